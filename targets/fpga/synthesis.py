"""Synthesis with yosys: what a Verilog module costs in cells of an FPGA family.

yosys (Wolf and Glaser, 2013) comes from PyPI as `pyosys` and runs in a Python process of
its own, under limits of time and memory. Many modules share a run: each keeps its
hierarchy, so that its netlist is that of a run of its own, and the start-up time, three
seconds for xc7, is paid once.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.families import SYNTHESIZED, Family, find_family
from actc.targets.fpga.netlist import Netlist

FPGA_HELP = "pip install 'actc[fpga]'"
TIMEOUT = 300.0
"""Seconds of a run."""
MEMORY = 8 << 30
"""Bytes of address space of a run."""

RUN_SCRIPT = "from pyosys import libyosys; libyosys.run_pass('script run.ys', libyosys.Design())"
COMMANDS = {
    "ice40": ("synth_ice40", "", "-dsp"),
    "ecp5": ("synth_ecp5", "-nodsp", ""),
    "gowin": ("synth_gowin -noiopads", "-nodsp", "-family gw2a"),
    "xc7": ("synth_xilinx -family xc7 -flatten -noiopad -noclkbuf", "-nodsp", ""),
    "xcup": ("synth_xilinx -family xcup -flatten -noiopad -noclkbuf", "-nodsp", ""),
}
"""By family: the command for units, its options without and with hard multipliers."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Source:
    """A Verilog module to synthesize.

    Attributes:
        verilog: its text, with all that it instantiates.
        top: its name.
    """

    verilog: str
    top: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What a synthesized module takes.

    Attributes:
        family: the FPGA family.
        luts: look-up tables of any size.
        carries: carry cells.
        muxes: dedicated multiplexers behind look-up tables.
        dsps, brams: hard multipliers, block memories.
        ffs: flip-flops.
        depth: logic levels; see :meth:`actc.targets.fpga.netlist.Netlist.depth`.
        logic_cells: sites of look-up tables that all of it takes, but for flip-flops.
        total: logic cells, hard multipliers and block memories in logic cells, at the
            rates of :class:`~actc.targets.fpga.families.Family`.
        cells: number of cells by type, in the order of their names.
        tool: name and version of the synthesizer.
        lone_ffs: flip-flops that fill a site of a look-up table each, on families where their
            data comes through it.
    """

    family: str
    luts: int
    carries: int
    muxes: int
    dsps: int
    brams: int
    ffs: int
    depth: int
    logic_cells: int
    total: int
    cells: Mapping[str, int]
    tool: str
    lone_ffs: int = 0

    @property
    def sites(self) -> int:
        """Of look-up tables, those that hold a flip-flop alone among them."""
        return self.logic_cells + self.lone_ffs


def synthesize(
    verilog: str,
    top: str,
    family: str,
    *,
    dsp: bool = False,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    log: Path | None = None,
) -> Resources:
    """Synthesize one module.

    Args:
        verilog: its text, with all that it instantiates.
        top: its name, a plain Verilog identifier.
        family: a name of :data:`actc.targets.fpga.families.SYNTHESIZED`.
        dsp: whether multiplications may take hard multipliers.
        timeout: seconds.
        memory: bytes of address space.
        log: file that receives the log of yosys.

    Raises:
        UsageError: ACT0530, no such family; ACT0531, not a plain identifier.
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510..0513, yosys refused the Verilog or exceeded a limit; ACT0533,
            the module has a combinational loop.
    """
    return synthesize_all(
        [Source(verilog, top)], family, dsp=dsp, timeout=timeout, memory=memory, log=log
    )[0]


def synthesize_all(
    sources: Sequence[Source],
    family: str,
    *,
    dsp: bool = False,
    timeout: float = TIMEOUT,
    memory: int = MEMORY,
    log: Path | None = None,
) -> list[Resources]:
    """Synthesize several modules in one run, each as if alone.

    Args:
        sources: their module names must all differ, also those of what they instantiate.
        family, dsp, timeout, memory, log: as for :func:`synthesize`.

    Raises:
        as :func:`synthesize`.
    """
    kind = find_family(family, SYNTHESIZED)
    for source in sources:
        if not _IDENTIFIER.fullmatch(source.top):
            raise UsageError(_bad_name(source.top))
    if importlib.util.find_spec("pyosys") is None:
        raise toolchain.missing_package("pyosys", FPGA_HELP)
    with tempfile.TemporaryDirectory(prefix="actc-synthesis-") as folder:
        work = Path(folder)
        _write_job(work, sources, kind, dsp)
        toolchain.run(
            [sys.executable, "-c", RUN_SCRIPT],
            timeout=timeout,
            cwd=work,
            memory=memory,
            environment={"TMPDIR": "."},  # yosys splits the name of another at its spaces
            log=log,
        )
        document = json.loads((work / "netlist.json").read_text("utf-8"))
    return [_resources(document, source.top, kind) for source in sources]


def _write_job(work: Path, sources: Sequence[Source], family: Family, dsp: bool) -> None:
    """Write the Verilog files, a module that holds them all, and the script."""
    script = []
    for number, source in enumerate(sources):
        (work / f"source{number}.v").write_text(source.verilog, "utf-8")
        script.append(f"read_verilog source{number}.v")
    names = [source.top for source in sources]
    # a name that no source has, and that no source begins with
    everything = "all_" + max([*names, ""], key=len)
    parts = "".join(f"  (* keep *) {name} unit{i} ();\n" for i, name in enumerate(names))
    (work / "all.v").write_text(f"module {everything};\n{parts}endmodule\n", "utf-8")
    command, without, with_dsp = COMMANDS[family.name]
    script += [
        "read_verilog all.v",
        *(f"setattr -mod -set keep_hierarchy 1 {name}" for name in names),
        f"{command} {with_dsp if dsp else without} -top {everything}",
        "write_json netlist.json",
    ]
    (work / "run.ys").write_text("\n".join(script) + "\n", "utf-8")


def _resources(document: dict[str, Any], top: str, family: Family) -> Resources:
    return count(Netlist.read(document, top, family), document["creator"])


def count(netlist: Netlist, creator: str) -> Resources:
    """What the cells of a netlist take.

    Args:
        netlist: of one family.
        creator: what wrote it, as the netlist's file says.
    """
    family = netlist.family
    counts = dict.fromkeys(("lut", "carry", "mux", "dsp", "bram", "ff", "clock", "none"), 0)
    logic_cells = netlist.lonely_carries
    for cell, number in netlist.cell_counts.items():
        kind = family.kind(cell)
        if kind is None:
            continue
        counts[kind.role] += number * (kind.sites if kind.role in ("dsp", "bram") else 1)
        if kind.role in ("lut", "carry"):
            logic_cells += number * kind.sites
    hard = counts["dsp"] * family.dsp_rate + counts["bram"] * family.bram_rate
    return Resources(
        family=family.name,
        luts=counts["lut"],
        carries=counts["carry"],
        muxes=counts["mux"],
        dsps=counts["dsp"],
        brams=counts["bram"],
        ffs=counts["ff"],
        depth=netlist.depth(),
        logic_cells=logic_cells,
        total=logic_cells + hard,
        cells=netlist.cell_counts,
        tool=_tool(creator),
        lone_ffs=netlist.lone_ffs,
    )


def _tool(creator: str) -> str:
    """ "Yosys 0.70 (git sha1 ...)" without what differs between builds of a version."""
    return " ".join(creator.split()[:2])


def _bad_name(name: str) -> Diagnostic:
    return Diagnostic(
        "ACT0531",
        f"{name!r} is not a plain Verilog identifier",
        help="name the module with letters, digits and underscores, not beginning with a digit",
    )
