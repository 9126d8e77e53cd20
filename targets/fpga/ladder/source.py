"""What actc wrote itself, beside golden: the description, its Verilog, the board around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actc.device.client import Device
from actc.targets.base import Rung
from actc.targets.fpga.assembly import RTL, Assembly
from actc.targets.fpga.gates import compare_values
from actc.targets.fpga.ladder.vectors import Vectors, counted
from actc.targets.fpga.rtl_simulation import simulate_design

OVER_THE_WIRE = 2
"""Samples that go over the wire of the board: each takes tens of thousands of clocks."""


def description_rung(assembly: Assembly, vectors: Vectors) -> Rung:
    """The hardware description, evaluated, against golden itself."""
    outputs = assembly.network.epilogue(vectors.expected)
    wrong = [
        name
        for name, array in vectors.golden.items()
        if not np.array_equal(outputs[name], array, equal_nan=True)
    ]
    name, how = "hardware description", "evaluated in exact integers"
    if wrong:
        return Rung(name, "differs", f"output {wrong[0]}", vectors.count)
    return Rung(name, "equal", f"{how}; {counted(vectors)}", vectors.count)


def verilog_rung(assembly: Assembly, directory: Path, vectors: Vectors) -> Rung:
    """The files as they were written, in a simulator."""
    files = {name: (directory / RTL / name).read_text("ascii") for name in assembly.core_files}
    found = simulate_design(files, assembly.design, vectors.codes)
    difference = compare_values(found, vectors.expected)
    if difference is not None:
        return Rung("Verilog", "differs", str(difference), vectors.count)
    how = f"simulated, a sample every clock; {counted(vectors)}"
    return Rung("Verilog", "equal", how, vectors.count)


def board_rung(assembly: Assembly, directory: Path, vectors: Vectors) -> Rung:
    """The whole board in simulation, asked over its wire by the host's own client."""
    name = "board, over its wire"
    if assembly.kind == "stream":
        return Rung(name, "not run", "a bare stream has no wire")
    feeds = {key: array[-OVER_THE_WIRE:] for key, array in vectors.feeds.items()}
    with Device.open(directory, "sim") as device:
        outputs = device.run(feeds)
    for output, array in vectors.golden.items():
        if not np.array_equal(outputs[output], array[-OVER_THE_WIRE:], equal_nan=True):
            return Rung(name, "differs", f"output {output}", OVER_THE_WIRE)
    how = f"simulated with its {assembly.kind}, asked by `actc run` for {OVER_THE_WIRE} samples"
    return Rung(name, "equal", how, OVER_THE_WIRE)
