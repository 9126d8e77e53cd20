"""Staircases with thresholds on lines, divided by rows of adders, and tables behind them."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.fpga.folded.functions.division import Division
from actc.targets.fpga.folded.functions.lane import LaneFunction
from actc.targets.fpga.folded.functions.lines import Codes, lines
from actc.targets.fpga.folded.functions.search import chosen, reached
from actc.targets.fpga.folded.functions.segments import Segments
from actc.targets.fpga.folded.functions.setting import Setting
from actc.targets.fpga.folded.functions.staircases import Parts
from actc.targets.fpga.folded.functions.tables import Tables
from actc.targets.fpga.hdl import Wire

_MOST_BITS = 16


def divided(parts: Parts, setting: Setting) -> LaneFunction | None:
    """The form; None if there are no such lines."""
    codes = Codes.of(parts, setting.output)
    if codes is None or codes.bits > _MOST_BITS:
        return None
    segments = Segments.of(parts, codes)
    if segments is None:
        return None
    found = lines(segments.conditions, "thresholds")
    if found is None:
        return None
    division = Division.of(codes.bits, found, segments.inputs)
    tables = Tables.of(codes.tables, setting.options, setting.memory)
    count, begins = segments.count, segments.begins
    slopes = found.slopes.reshape(-1, count).T
    starts = division.starts(found).reshape(-1, count).T

    def build(total: Wire, wires: Sequence[Wire]) -> Wire:
        graph = total.graph
        inverted, table, *rest = wires
        turned = graph.select(inverted, [total, ~total])
        thresholds, rest = rest[: len(begins)], rest[len(begins) :]
        piece = reached(turned, thresholds)
        slope, start = (chosen(piece, _filled(own)) for own in (rest[:count], rest[count:]))
        return tables.build(division.build(turned, slope, start), table)

    what = "a line" if count == 1 else f"{count} lines"
    name = f"{what} divided into {codes.bits} bits{tables.title}"
    columns = (segments.inverted, parts.classes, *begins, *slopes, *starts)
    return setting.function(name, columns, build)


def _filled(parameters: list[Wire]) -> list[Wire]:
    """As many parameters as pieces can be counted: the last one again and again."""
    more = (1 << (len(parameters) - 1).bit_length()) - len(parameters)
    return [*parameters, *parameters[-1:] * more]
