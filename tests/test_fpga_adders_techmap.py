"""Sums in cells: the mappings against the simulation models of yosys, and what they cost."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actc.errors import UsageError
from actc.targets.fpga.adders.cost import cells_with_carry
from actc.targets.fpga.families import find_family
from actc.targets.fpga.netlist import Netlist
from actc.targets.fpga.synthesis import count
from actc.targets.fpga.techmap import free_carries, techmap_files, with_sums

_CELLS = ("LUT2", "LUT4", "PFUMX", "L6MUX21", "CCU2C")


def needs_yosys() -> Path:
    """The folder of yosys' own files."""
    pyosys = pytest.importorskip(
        "pyosys", reason="pyosys is not installed (pip install 'actc[fpga]')"
    )
    return Path(str(pyosys.__file__)).parent / "share"


def cell_models(share: Path) -> str:
    """The models of the cells that sums take; the whole file is beyond Icarus Verilog 11."""
    text = "".join(
        (share / "lattice" / name).read_text() for name in ("common_sim.vh", "ccu2c_sim.vh")
    )
    found = (re.search(rf"^module {name}\b.*?^endmodule", text, re.M | re.S) for name in _CELLS)
    models = "\n".join(match.group(0) for match in found if match is not None)
    return re.sub(r"\bspecify\b.*?endspecify", "", models, flags=re.S)


def sums(widths: range) -> tuple[str, list[str]]:
    """Sums and differences of operands of unequal widths and signs, and of carries."""
    ports, lines, number = ["input [11:0] a", "input [11:0] b"], [], 0
    for width in widths:
        for operator in "+-":
            for short, sign in ((0, "signed"), (1, "unsigned"), (2, "signed")):
                a = f"${sign}(a[{width - 1}:0])"
                b = f"${sign}(b[{max(width - short, 1) - 1}:0])"
                ports.append(f"output [{width - 1}:0] y{number}")
                lines.append(f"assign y{number} = {a} {operator} {b};")
                number += 1
            # the place below the sum makes a carry of b[11]
            a = f"{{a[{width - 1}:0], 1'b{int(operator == '+')}}}"
            lines.append(
                f"wire [{width}:0] c{number} = {a} {operator} {{b[{width - 1}:0], b[11]}};"
            )
            lines.append(f"assign y{number} = c{number}[{width}:1];")
            ports.append(f"output [{width - 1}:0] y{number}")
            number += 1
    names = [f"y{index}" for index in range(number)]
    return f"module NAME({', '.join(ports)});\n" + "\n".join(lines) + "\nendmodule\n", names


def run_yosys(folder: Path, script: list[str]) -> None:
    (folder / "run.ys").write_text("\n".join(script) + "\n")
    run = "from pyosys import libyosys; libyosys.run_pass('script run.ys', libyosys.Design())"
    done = subprocess.run([sys.executable, "-c", run], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def mapped(folder: Path, source: str, family: str, command: str) -> dict[str, Any]:
    (folder / "source.v").write_text(source)
    for name, text in techmap_files(family).items():
        (folder / name).write_text(text)
    run_yosys(
        folder,
        ["read_verilog source.v", *with_sums(command, family), "write_json netlist.json"],
    )
    document: dict[str, Any] = json.loads((folder / "netlist.json").read_text())
    return document


def simulated(folder: Path, document: dict[str, Any], gold: str, names: list[str]) -> int:
    """How many of 2000 random pairs of operands give another sum than Verilog's own."""
    share = needs_yosys()
    document = copy.deepcopy(document)
    for number, cell in enumerate(cells(document, "CCU2C"), 1 << 20):
        if cell["connections"]["COUT"] == ["x"]:
            cell["connections"]["COUT"] = [number]  # Verilog lets no output drive a constant
    (folder / "changed.json").write_text(json.dumps(document))
    run_yosys(folder, ["read_json changed.json", "write_verilog -noattr mapped.v"])
    wires = "".join(f"wire [11:0] g_{n}, m_{n};\n" for n in names)
    ports = [", ".join(f".{n}({side}_{n})" for n in names) for side in "gm"]
    differ = " || ".join(f"g_{n} !== m_{n}" for n in names)
    bench = f"""module bench; reg [11:0] a, b; integer i, bad;
{wires}gold gold (.a(a), .b(b), {ports[0]}); gate gate (.a(a), .b(b), {ports[1]});
initial begin bad = 0; for (i = 0; i < 2000; i = i + 1) begin
{{a, b}} = $random; #1; bad = bad + ({differ}); end $display("%0d", bad); end endmodule
"""
    (folder / "bench.v").write_text(bench + gold.replace("NAME", "gold") + cell_models(share))
    build = ["iverilog", "-g2005", "-o", "bench", "bench.v", "mapped.v"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    done = subprocess.run(["vvp", "bench"], cwd=folder, check=True, capture_output=True, text=True)
    return int(done.stdout)


def cells(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    modules = document["modules"].values()
    return [c for m in modules for c in m["cells"].values() if c["type"] == kind]


@pytest.mark.slow
def test_sums_of_ecp5_are_sums(tmp_path: Path) -> None:
    needs_yosys()
    source, names = sums(range(1, 12))
    document = mapped(
        tmp_path, source.replace("NAME", "gate"), "ecp5", "synth_ecp5 -nodsp -top gate"
    )
    free_carries(document)
    # carry in and out are free in every chain
    chains = [c for c in cells(document, "CCU2C") if c["connections"]["CIN"] == ["x"]]
    ends = [c for c in cells(document, "CCU2C") if c["connections"]["COUT"] == ["x"]]
    assert len(chains) == len(ends) >= 30  # equal sums are one
    assert simulated(tmp_path, document, source, names) == 0
    wrong = copy.deepcopy(document)
    cell = cells(wrong, "CCU2C")[-1]
    cell["parameters"]["INIT1"] = f"{int(cell['parameters']['INIT1'], 2) ^ 0xF000:016b}"
    assert simulated(tmp_path, wrong, source, names) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "command", "most"),
    [
        ("ecp5", "synth_ecp5 -nodsp", (9 + 1) + (10 + 1)),
        ("ice40", "synth_ice40", 9 + 10),
        ("gowin", "synth_gowin -noiopads -nodsp -family gw2a", 9 + 10),
        ("xc7", "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -nodsp", 9 + 10),
    ],
)
def test_every_sum_is_one_chain_of_its_own(
    tmp_path: Path, family: str, command: str, most: int
) -> None:
    """a + b + c of 8 bits: stock synthesis takes full adders, two tables a bit."""
    needs_yosys()
    source = (
        "module top(input [7:0] a, b, c, output [9:0] y);\n"
        "wire [8:0] s = a + b; assign y = s + c;\nendmodule\n"
    )
    document = mapped(tmp_path, source, family, f"{command} -top top")
    top = {"modules": {"top": document["modules"]["top"]}}
    assert count(Netlist.read(top, "top", find_family(family)), "").logic_cells <= most


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "sign"), [(8, "+"), (8, "-"), (9, "+"), (9, "-")])
def test_a_carry_takes_no_more_than_the_place_that_each_chain_has(
    tmp_path: Path, bits: int, sign: str
) -> None:
    needs_yosys()
    source = (
        f"module top(input [{bits - 1}:0] a, b, input c, output [{bits}:0] y);\n"
        f"wire [{bits + 1}:0] s = {{a, 1'b{int(sign == '+')}}} {sign} {{b, c}};\n"
        f"assign y = s[{bits + 1}:1];\nendmodule\n"
    )
    document = mapped(tmp_path, source, "ecp5", "synth_ecp5 -nodsp -top top")
    top = {"modules": {"top": document["modules"]["top"]}}
    found = count(Netlist.read(top, "top", find_family("ecp5")), "").logic_cells
    assert found <= cells_with_carry("ecp5")(bits + 1, bits)


def test_carries_that_matter_stay() -> None:
    def cell(table: int, carry: int, out: int, low: int) -> dict[str, Any]:
        connections = {"CIN": [carry], "COUT": [out], "S0": [low], "C0": ["1"], "D0": ["1"]}
        outputs = ("COUT", "S0")
        return {
            "type": "CCU2C",
            "parameters": {"INIT0": f"{table:016b}", "INJECT1_0": "NO"},
            "connections": connections,
            "port_directions": {p: "output" if p in outputs else "input" for p in connections},
        }

    first, sums, last = cell(0x0008, 1, 2, 3), cell(0x600A, 2, 4, 5), cell(0x0008, 4, 6, 7)
    module = {"ports": {"y": {"bits": [5, 7]}}, "cells": {"a": first, "b": sums, "c": last}}
    free_carries({"modules": {"top": module}})
    assert first["connections"]["CIN"] == ["x"]  # makes its own carry, its sum is not read
    assert first["connections"]["COUT"] == [2]  # read by the next cell
    assert sums["connections"]["CIN"] == [2]
    assert last["connections"]["CIN"] == [4]  # its sum, a port, shows the carry in
    assert last["connections"]["COUT"] == ["x"]


def test_commands() -> None:
    lines = with_sums("synth_ice40 -top t", "ice40")
    assert lines[0] == "synth_ice40 -top t -run begin:flatten"
    assert lines[-2:] == ["techmap -map sums.v", "synth_ice40 -top t -run flatten:"]
    assert set(techmap_files("ecp5")) == {"ecp5_sums.v", "sums.v"}
    with pytest.raises(UsageError, match="ACT0530"):
        with_sums("synth", "nothing")
