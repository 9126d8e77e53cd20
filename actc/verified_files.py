"""The models of a compilation, read again to tie its certificates to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.dialect import DOMAIN
from actc.ir.files import read_regular
from actc.ir.sites import Site
from actc.output import MANIFEST
from actc.pipeline import Pipeline
from actc.site_functions import recognized_sites, until_recognize

Array = npt.NDArray[Any]

_CERTIFIED = ("Table", "ChannelTable", "QuantizedTable", "PiecewiseLinear")
"""Operators whose sites have certificates."""
_FORMAT = ("scale", "zero_point", "low", "high")
_HALF_STEP = 0.5 + 2.0**-16
"""Half an output step, and room for float32 rounding before it."""


@dataclass(frozen=True)
class _Emitted:
    """A node that stands for a site, with its constants.

    Attributes:
        op: its operator.
        constants: its initializers by input position.
        input, output: integer formats of its first input and its output.
    """

    op: str
    constants: Mapping[int, Array]
    input: Mapping[str, float]
    output: Mapping[str, float]


@dataclass(frozen=True)
class CompiledFiles:
    """Sites of the float model and what was emitted for them.

    Attributes:
        sites: site id -> site of the float model, recognized anew.
        golden, approximated: site id -> node; None: no such file.
    """

    sites: Mapping[str, Site]
    golden: Mapping[str, _Emitted] | None
    approximated: Mapping[str, _Emitted] | None
    precision: str = ""

    @classmethod
    def read(
        cls, directory: Path | None, model: str | Path | None, certificates: Path
    ) -> CompiledFiles:
        """Read the files of a compilation.

        Args:
            directory: what `actc compile` wrote; None: only `model` is known.
            model: the float model; None: float.onnx of the directory.

        Raises:
            UsageError: ACT0342, neither is given, or a file cannot be read.
            ModelError: the float model is broken.
        """
        if directory is None:
            if model is None:
                raise _unreadable(certificates, "the certificates speak of a model's functions")
            return cls(recognized_sites(model), None, None)
        protos = {name: _load(directory / f"{name}.onnx") for name in ("golden", "approximated")}
        manifest = _manifest(directory)
        passes = until_recognize(Pipeline.parse(",".join(manifest["passes"])).passes)
        sites = recognized_sites(
            directory / "float.onnx" if model is None else model,
            passes=passes,
            shapes=protos["approximated"] or protos["golden"],
        )
        found = {
            name: None if proto is None else _emitted(proto, directory / f"{name}.onnx")
            for name, proto in protos.items()
        }
        precision = str(manifest["options"]["precision"])
        return cls(sites, found["golden"], found["approximated"], precision)

    def tie_problems(self, site: str, certificate: Mapping[str, Any]) -> Iterator[str]:
        """What was emitted for a site, but is not what its certificate speaks of."""
        kind = certificate["kind"]
        if kind == "piecewise-linear":
            yield from self._approximated_problems(site, certificate)
        if self.golden is None:
            if self.precision == "int8":
                yield "golden.onnx is missing"
            return
        table = self.golden.get(site)
        if table is None or table.op != ("ChannelTable" if kind == "channel-table" else "Table"):
            yield f"golden.onnx has no table of site {site}"
        elif kind == "table":
            yield from _table_problems(table, certificate, [certificate["values"]])
        elif kind == "channel-table":
            yield from _channel_problems(table, certificate)
        else:
            yield from _tabulated_problems(table, certificate)

    def _approximated_problems(self, site: str, certificate: Mapping[str, Any]) -> Iterator[str]:
        if self.approximated is None:
            if self.precision:
                yield "approximated.onnx is missing"
            return
        found, steps = self.approximated.get(site), certificate.get("steps")
        if found is None or found.op != ("PiecewiseLinear" if steps is None else "QuantizedTable"):
            what = "piecewise-linear function" if steps is None else "table"
            yield f"approximated.onnx has no {what} of site {site}"
        elif steps is None:
            yield from _lines_problems(found, certificate)
        else:
            yield from _steps_problems(found, certificate)

    def without_certificate(self, certified: set[str]) -> dict[str, str]:
        """Emitted sites that lack their certificate; site -> form."""
        missing = {}
        files = (
            ("table", self.golden, ("Table", "ChannelTable")),
            ("table", self.approximated, ("QuantizedTable",)),
            ("pwl", self.approximated, ("PiecewiseLinear",)),
        )
        for form, nodes, operators in files:
            for site, node in (nodes or {}).items():
                if node.op in operators and site not in certified:
                    missing[site] = form
        return missing


def _lines_problems(lines: _Emitted, certificate: Mapping[str, Any]) -> Iterator[str]:
    single = len(certificate["slopes"]) == 1  # written as equal pieces, wherever they meet
    for position, name in enumerate(("breakpoints", "slopes", "intercepts"), 1):
        emitted, wanted = lines.constants.get(position, np.zeros(0)), _floats(certificate[name])
        if single:
            wanted = emitted if name == "breakpoints" else np.resize(wanted, len(emitted) or 1)
        if not np.array_equal(emitted, wanted):
            yield f"the {name} in approximated.onnx are not those of the certificate"


def _steps_problems(table: _Emitted, certificate: Mapping[str, Any]) -> Iterator[str]:
    """The table must hold the certified steps; unused codes repeat the nearest one."""
    steps, entries = certificate["steps"], _floats(certificate["intercepts"])
    codes = np.clip(np.arange(256) - steps["low"], 0, len(entries) - 1)
    wanted = (float.fromhex(steps["scale"]), steps["zero_point"], entries[codes])
    for position, (name, value) in enumerate(
        zip(("scale", "zero point", "values"), wanted, strict=True), 1
    ):
        if not np.array_equal(table.constants.get(position, ()), value):
            yield f"the {name} of the table in approximated.onnx is not that of the certificate"


def _channel_problems(table: _Emitted, certificate: Mapping[str, Any]) -> Iterator[str]:
    rows, offset = certificate["tables"], table.constants.get(2, np.zeros(0))
    entries = _entries(certificate["input"].get("bits", 8))
    if not np.array_equal(offset.reshape(-1), entries * np.arange(certificate["channels"])):
        yield "golden.onnx does not give every channel its own table"
    yield from _table_problems(table, certificate, [rows[k] for k in certificate["table"]])


def _table_problems(
    table: _Emitted, certificate: Mapping[str, Any], rows: Sequence[str]
) -> Iterator[str]:
    if certificate["output"] is None:
        yield "golden.onnx has a table of codes, the certificate one of real numbers"
        return
    dtype = np.dtype("u1" if certificate["output"].get("bits", 8) <= 8 else "<u2")
    values = np.frombuffer(b"".join(bytes.fromhex(row) for row in rows), dtype)
    emitted = table.constants.get(1, np.zeros(0, np.uint8))
    if emitted.dtype != dtype or emitted.shape != values.shape:
        yield f"the table in golden.onnx is {emitted.dtype} {list(emitted.shape)}"
    elif not np.array_equal(emitted, values):
        where = np.flatnonzero(emitted != values)
        yield (
            f"the table in golden.onnx is not the certified one: {where.size} entries differ, "
            f"the first at code {where[0]}"
        )
    for side, formats in (("input", table.input), ("output", table.output)):
        if formats != _format(certificate[side]):
            yield f"the {side} format in golden.onnx is not that of the certificate"


def _tabulated_problems(table: _Emitted, certificate: Mapping[str, Any]) -> Iterator[str]:
    """The table must hold the certified lines, rounded to the nearest code."""
    if not table.input or not table.output:
        yield "golden.onnx does not say the formats of the table"
        return
    x, y = table.input, table.output
    codes = np.arange(int(x["low"]), int(x["high"]) + 1)
    real = x["scale"] * (codes - x["zero_point"])
    low, high = (float.fromhex(certificate[key]) for key in ("lo", "hi"))
    if real[0] < low - x["scale"] or real[-1] > high + x["scale"]:
        yield "the input codes in golden.onnx go beyond the certified domain"
    which = np.searchsorted(_floats(certificate["breakpoints"]), real, side="right")
    lines = _floats(certificate["slopes"])[which] * real + _floats(certificate["intercepts"])[which]
    least, most = (y["scale"] * (y[key] - y["zero_point"]) for key in ("low", "high"))
    emitted = table.constants.get(1, np.zeros(0, np.uint8))
    if emitted.shape != (_entries(x["bits"]),):
        yield f"the table in golden.onnx has shape {list(emitted.shape)}"
        return
    attained = y["scale"] * (emitted[codes].astype(np.float64) - y["zero_point"])
    wrong = np.abs(attained - np.clip(lines, least, most)) > _HALF_STEP * y["scale"]
    if wrong.any():
        yield (
            f"the table in golden.onnx is not that of the certified lines: {int(wrong.sum())} "
            f"entries differ, the first at code {codes[wrong][0]}"
        )


def _emitted(model: onnx.ModelProto, path: Path) -> dict[str, _Emitted]:
    """The nodes of the domain `actc` that name a site, on the node or on its output."""
    try:
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    except (ValueError, TypeError) as error:
        raise _unreadable(path, f"its constants cannot be read: {error}") from error
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    facts = {v.name: {p.key: p.value for p in v.metadata_props} for v in values}
    found = {}
    for node in model.graph.node:
        if node.domain != DOMAIN or not node.output or not node.input:
            continue
        own = {p.key: p.value for p in node.metadata_props}
        output = facts.get(node.output[0], {})
        site = own.get("actc.site") or output.get("actc.site")
        if site and node.op_type in _CERTIFIED:
            given = {k: constants[name] for k, name in enumerate(node.input) if name in constants}
            source = facts.get(node.input[0], {})
            found[site] = _Emitted(node.op_type, given, _annotated(source), _annotated(output))
    return found


def _annotated(facts: Mapping[str, str]) -> dict[str, float]:
    """A format as `actc.ir.formats` writes it; {} when it is absent or no format."""
    try:
        found = {key: float(facts[f"actc.{key}"]) for key in _FORMAT}
        return {**found, "bits": float(facts.get("actc.bits", "8"))}
    except (KeyError, ValueError):
        return {}


def _entries(bits: float) -> int:
    """Entries of a table over codes of so many bits."""
    return 1 << int(min(max(bits, 8), 16))


def _format(claimed: Mapping[str, Any]) -> dict[str, float]:
    numbers = {key: float(claimed[key]) for key in ("zero_point", "low", "high")}
    bits = float(claimed.get("bits", 8))
    return {"scale": float.fromhex(claimed["scale"]), **numbers, "bits": bits}


def _floats(texts: Any) -> npt.NDArray[np.float64]:
    return np.array([float.fromhex(text) for text in texts], np.float64)


def _load(path: Path) -> onnx.ModelProto | None:
    if not path.is_file():
        return None
    try:
        return onnx.load(path)
    except (OSError, DecodeError) as error:
        raise _unreadable(path, "this is not an ONNX model") from error


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    try:
        manifest = json.loads(read_regular(path))
        texts = [*manifest["passes"], manifest["options"]["precision"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(path, "this is not a manifest of actc") from error
    if not all(isinstance(text, str) for text in texts):
        raise _unreadable(path, "this is not a manifest of actc")
    return dict(manifest)


def _unreadable(path: Path, message: str) -> UsageError:
    help_text = "give the directory that `actc compile -o DIR` wrote, or --model FLOAT.onnx"
    return UsageError(Diagnostic("ACT0342", message, place=Place(str(path)), help=help_text))
