"""All foldings of a network on a board that are worth having."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from actc.targets.fpga.assembly import core_name
from actc.targets.fpga.boards import Board
from actc.targets.fpga.folded.assembly import request_of
from actc.targets.fpga.folded.choice import Choice, share
from actc.targets.fpga.folded.costs.area import RESOURCES, Area
from actc.targets.fpga.folded.folding import engine_members
from actc.targets.fpga.folded.goals import Goal, Request, choose
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.pareto import front
from actc.targets.fpga.folded.usual import usual_clock
from actc.targets.fpga.on_board import DEFAULT_KIND, clock_of
from actc.targets.fpga.options import FpgaOptions


@dataclass(frozen=True, eq=False)
class Exploration:
    """The Pareto front of a network on a board.

    Attributes:
        request: what was asked.
        device: what the device has.
        choices: none faster and smaller than another, the fastest first.
    """

    request: Request
    device: Area
    choices: tuple[Choice, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values."""
        clock = self.request.clock_mhz
        return {
            "device": self.request.device.name,
            "clock_mhz": clock,
            "available": asdict(self.device),
            "reserved": asdict(self.request.reserved),
            "stages": [stage.name for stage in self.request.program.stages],
            "points": [self._point(choice) for choice in self.choices],
        }

    def _point(self, choice: Choice) -> dict[str, Any]:
        clock = self.request.clock_mhz * 1e6
        stages, shared = self.request.program.stages, engine_members(choice.foldings)
        return {
            "samples_per_second": clock / choice.interval,
            "interval": choice.interval,
            "latency": round(choice.latency),
            "latency_us": 1e6 * choice.latency / clock,
            "share": share(choice.area, self.device),
            **{name: getattr(choice.area, name) for name in RESOURCES},
            "entry_words": list(choice.entry_words),
            "foldings": [asdict(folding) for folding in choice.foldings],
            "engine": [stages[place].name for own in shared.values() for place in own],
        }


def explore_golden(golden: ir.Model, name: str, board: Board, options: FpgaOptions) -> Exploration:
    """The front of a golden model on a board.

    Args:
        name: of the network.
        options: its clock and its interface count.

    Raises:
        ModelError: ACT0605, the model cannot be folded; ACT0606, no folding fits.
        UsageError: the board cannot make the clock.
    """
    kind = options.interface or DEFAULT_KIND
    _, clock_mhz = clock_of(board, kind, options.clock or usual_clock(board.device))
    program = build_folded(golden, core_name(name)).program
    request = request_of(program, board, clock_mhz, Goal("area"), kind)
    problem = request.problem()
    found = front(problem)
    if not found:
        choose(request)  # says why
    return Exploration(request, problem.device, tuple(found))
