"""Programs of the FPGA flow that fail on purpose: scripts that ACTC_<TOOL> names."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actc.diagnostics import Diagnostic
from actc.errors import ActcError
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.flow import Synthesis, build_bitstream
from actc.targets.fpga.synthesis import Resources

NETLIST: dict[str, Any] = {
    "creator": "Yosys 0.70 (git sha1 abc)",
    "modules": {
        "top": {
            "ports": {},
            "cells": {
                "core": {"type": "$scopeinfo", "port_directions": {}, "connections": {}},
                "core.dense": {"type": "$scopeinfo", "port_directions": {}, "connections": {}},
                **{
                    name: {
                        "type": kind,
                        "parameters": {"INIT": "1000000000000000"},
                        "port_directions": {**dict.fromkeys("ABCD", "input"), "Z": "output"},
                        "connections": {
                            **{pin: [10 * number + k] for k, pin in enumerate("ABCD", 10)},
                            "Z": [number + 100],
                        },
                    }
                    for number, (name, kind) in enumerate(
                        [
                            ("core.dense.y_LUT4_Z", "LUT4"),
                            ("core.dense.y_LUT4_Z_1", "LUT4"),
                            ("core.argmax_LUT4_Z", "LUT4"),
                            ("led_TRELLIS_FF_Q", "TRELLIS_FF"),
                        ]
                    )
                },
            },
        }
    },
}
PATH = {
    "from": "posedge clk",
    "to": "posedge clk",
    "path": [
        {"type": "clk-to-q", "delay": 0.5, "to": {"cell": "core.dense.y_TRELLIS_FF_Q"}},
        {"type": "routing", "delay": 2, "net": "core.dense.y", "to": {"cell": "core.argmax_Z"}},
        {"type": "logic", "delay": 0.25, "to": {"cell": "core.argmax_Z"}},
        {"type": "setup", "delay": 0, "to": {"cell": "led_TRELLIS_FF_Q"}},
    ],
}
# What a fake tool begins with: it answers --version, and reads its own arguments.
HEADER = """\
import json, os, pathlib, signal, sys, time
if "--version" in sys.argv:
    print('"nextpnr" -- Next Generation Place and Route (Version nextpnr-0.9-1-gabcdef)')
    sys.exit(0)
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
seed = int(arguments.get("--seed", 0))
def say(name, text):
    pathlib.Path(arguments[name]).write_text(text)
def route(fmax):
    clock = {"achieved": fmax, "constraint": float(arguments["--freq"])}
    use = {"TRELLIS_COMB": {"used": 3, "available": 24288}}
    say("--write", json.dumps({"modules": {"top": {"seed": seed}}}))
    say("--textcfg", "configuration %d" % seed)
    report = {"fmax": {"clk": clock}, "utilization": use, "critical_paths": [PATH]}
    say("--report", json.dumps(report))
"""
YOSYS = f"open('netlist.json', 'w').write(json.dumps({NETLIST!r}))"

"""A synthesizer that writes NETLIST."""

Fake = Callable[[str, str], Path]
"""Tool, body of its script -> its path; the script stands in the tool's place."""


def fake_tools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Tools in a folder; what fails keeps its logs there too."""
    kept = folder / "temporary"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))

    def make(tool: str, body: str) -> Path:
        path = folder / f"fake-{tool}"
        text = f"#!{sys.executable}\nPATH = {PATH!r}\n{HEADER}{body}\n"
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setenv("ACTC_" + tool.upper().replace("-", "_"), str(path))
        return path

    return make


def small_synthesis(folder: Path) -> Synthesis:
    """NETLIST as a synthesized design for an ECP5."""
    path = folder / "netlist.json"
    path.write_text(json.dumps(NETLIST))

    def takes(luts: int, ffs: int) -> Resources:
        return Resources("ecp5", luts, 0, 0, 0, 0, ffs, 1, luts, luts, {}, "Yosys 0.70")

    layers = {"": takes(0, 1), "core": takes(1, 0), "core.dense": takes(2, 0)}
    device = find_board("ecp5-25k").device
    return Synthesis(path, "top", device, takes(3, 1), layers, "Yosys 0.70", 0.0)


def only(problem: ActcError) -> Diagnostic:
    assert len(problem.diagnostics) == 1
    return problem.diagnostics[0]


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def built(work: Path, board: Board, **options: Any) -> Any:
    return build_bitstream(
        {"top.v": "module top; endmodule\n"},
        "top",
        board,
        work,
        ports={"clk": "clk"},
        clock_mhz=100,
        **options,
    )
