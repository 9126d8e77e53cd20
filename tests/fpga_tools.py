"""Netlists for tests: synthesis, placement and routing of small modules."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from actc.toolchain import run

_YOSYS = "from pyosys import libyosys; libyosys.run_pass('script run.ys', libyosys.Design())"
_COMMANDS = {
    "ice40": ("synth_ice40", "-dsp", ""),
    "ecp5": ("synth_ecp5", "", "-nodsp"),
    "gowin": ("synth_gowin -noiopads -family gw2a", "", "-nodsp"),
    "xc7": ("synth_xilinx -family xc7 -flatten -noiopad -noclkbuf", "", "-nodsp"),
}


def synthesized(verilog: str, top: str, family: str, *, dsp: bool = False) -> dict[str, Any]:
    """What yosys' write_json writes for a module."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.v").write_text(verilog, "utf-8")
        command, with_dsp, without = _COMMANDS[family]
        script = [
            "read_verilog top.v",
            f"{command} {with_dsp if dsp else without} -top {top}",
            "write_json netlist.json",
        ]
        (folder / "run.ys").write_text("\n".join(script) + "\n", "utf-8")
        run([sys.executable, "-c", _YOSYS], timeout=300, cwd=folder)
        found: dict[str, Any] = json.loads((folder / "netlist.json").read_text("utf-8"))
        return found
