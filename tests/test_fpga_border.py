"""Where a network ends in the netlists of its board: buffers of pins, constants as cells."""

from __future__ import annotations

from typing import Any

import pytest

from actc.targets.fpga.gates.core import CORE, Border, Pin, cut_core, find_border


@pytest.mark.parametrize("buffer", ["SB_IO", "TRELLIS_IO"])
def test_the_border_of_a_stream_lies_behind_its_buffers(buffer: str) -> None:
    nets = {"in_x": 2, f"in_x${buffer}_IN": 3, f"out_y${buffer}_OUT": 4, "out_y": 5}
    ports = {"A": ("input", 3), "Z": ("output", 4)}
    cell = {
        "type": "LUT4",
        "parameters": {},
        "attributes": {},
        "port_directions": {port: direction for port, (direction, _) in ports.items()},
        "connections": {port: [bit] for port, (_, bit) in ports.items()},
    }
    pads = {
        "type": "PAD",
        "port_directions": {"I": "input", "O": "output"},
        "connections": {"I": [2], "O": [3]},
    }
    document: dict[str, Any] = {
        "modules": {
            "top": {
                "ports": {},
                "netnames": {name: {"bits": [bit]} for name, bit in nets.items()},
                "cells": {"logic": cell, "pad": pads},
            }
        }
    }
    border = Border({"x": (Pin("", ("core.x", "in_x")),)}, {"y": (Pin("", ("core.y", "out_y")),)})
    module = cut_core(document, "top", border)["modules"][CORE]
    assert set(module["cells"]) == {"logic"}
    assert module["cells"]["logic"]["connections"]["A"] == module["ports"]["x"]["bits"]
    assert module["ports"]["y"]["bits"] == [4]


def test_outputs_that_cells_tie_to_a_level() -> None:
    cells = {
        name: {"type": name, "port_directions": {port: "output"}, "connections": {port: [bit]}}
        for name, port, bit in (("GND", "G", 7), ("VCC", "V", 8), ("LUT1", "F", 9))
    }
    nets = {"core.x": {"bits": [2]}, "core.y": {"bits": [9, 7, 8, "1"]}}
    document = {"modules": {"top": {"cells": cells, "netnames": nets}}}
    found = find_border(document, "top", "core", ["x"], ["y"])
    assert found.inputs == {"x": (Pin("", ("core.x",)),)}
    assert found.outputs == {
        "y": (Pin("", ("core.y[0]",)), Pin("0", ()), Pin("1", ()), Pin("1", ()))
    }
