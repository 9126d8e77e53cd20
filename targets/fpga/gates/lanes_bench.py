"""The test bench of a core that words go through: what it offers, takes and has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

RESET, IN_VALID, IN_READY, OUT_VALID, OUT_READY = range(5)
"""Places of the control ports among the pins of a bench."""
INPUTS = {"reset": RESET, "in_valid": IN_VALID, "out_ready": OUT_READY}
OUTPUTS = {"in_ready": IN_READY, "out_valid": OUT_VALID}
PROBLEMS = {1: "in_ready", 2: "out_valid"}
"""Ports that must be the same in all lanes, by the number of the problem."""


@dataclass
class Bench:
    """One block of lanes with a word of 64 bits for each 64 lanes.

    Attributes:
        pins: slots of the control ports, of in_data and of out_data; -1 for an input that
            nothing reads.
        lanes: [words of lanes], bits of lanes that count.
        given: [words, in_bits, words of lanes].
        taken: [expected words, out_bits, words of lanes].
        gaps, stalls: patterns that repeat, 1 in the clocks in which no word begins to be
            offered, or out_ready is 0.
        in_clocks, out_clocks: clocks in which words moved.
        clock, in_count, out_count: so far.
        offered: whether a word is offered that has not been taken.
        problem: a key of :data:`PROBLEMS`, 0 while there is none.
    """

    pins: npt.NDArray[np.int32]
    lanes: Words
    given: Words
    taken: Words
    gaps: npt.NDArray[np.uint8]
    stalls: npt.NDArray[np.uint8]
    in_clocks: npt.NDArray[np.int64] = field(init=False)
    out_clocks: npt.NDArray[np.int64] = field(init=False)
    clock: int = 0
    in_count: int = 0
    out_count: int = 0
    offered: int = 0
    problem: int = 0

    def __post_init__(self) -> None:
        self.in_clocks = np.zeros(len(self.given), np.int64)
        self.out_clocks = np.zeros(len(self.taken), np.int64)

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.problem) or self.out_count == len(self.taken)


def bench_pins(
    inputs: Mapping[str, Sequence[int]], outputs: Mapping[str, Sequence[int]]
) -> npt.NDArray[np.int32]:
    """The pins of a bench from the slots of ports.

    Raises:
        ValueError: ports are missing, unknown or too wide.
    """
    clear = {"reset": [-1], **inputs}
    needed = ({*INPUTS, "in_data"}, {*OUTPUTS, "out_data"})
    if (set(clear), set(outputs)) != needed:
        raise ValueError(f"a core has the ports {sorted(needed[0] | needed[1])}")
    control = [-1] * 5
    for ports, places in ((clear, INPUTS), (outputs, OUTPUTS)):
        for port, place in places.items():
            (control[place],) = ports[port]
    return np.array([*control, *clear["in_data"], *outputs["out_data"]], np.int32)
