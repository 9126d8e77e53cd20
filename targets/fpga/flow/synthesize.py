"""From Verilog files to a netlist of a device's cells, and what each layer takes of it.

The hierarchy is flattened before optimization: with modules kept apart a 64-16-10 MLP took
6 percent more look-up tables and 36 percent more multiplexers, in the same time. The cells
of a layer are told by their names (:mod:`~actc.targets.fpga.flow.places`); what several
layers share counts for one of them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.families import SYNTHESIZED
from actc.targets.fpga.flow.cached import execute_cached
from actc.targets.fpga.flow.execute import Limits, damaged, log_file, scratch
from actc.targets.fpga.flow.places import Places
from actc.targets.fpga.flow.programs import Program
from actc.targets.fpga.netlist import Netlist, lone_flip_flops
from actc.targets.fpga.synthesis import FPGA_HELP, RUN_SCRIPT, Resources, count
from actc.targets.fpga.techmap import improve, techmap_files, with_sums

SYNTHESIS_LIMITS = Limits(seconds=3600, memory=12 << 30)
NETLIST = "netlist.json"

_COMMANDS = {
    "ice40": ("synth_ice40 -nobram", "", "-dsp"),
    "ecp5": ("synth_ecp5 -nobram -nolutram", "-nodsp", ""),
    "gowin": ("synth_gowin -nobram -nolutram", "-nodsp", ""),
    "xc7": ("synth_xilinx -family xc7 -flatten -nobram -nolutram", "-nodsp", ""),
    "xcup": ("synth_xilinx -family xcup -flatten -nobram -nolutram", "-nodsp", ""),
}
"""By family: the command for whole designs, its options without and with multipliers.

Without "-nobram" yosys makes block memories of large tables in logic, as it likes. What the
Verilog asks for by an attribute becomes one all the same.
"""
_OUT_OF_CONTEXT = {
    "gowin": ("-noiopads",),
    "xc7": ("-noiopad", "-noclkbuf"),
    "xcup": ("-noiopad", "-noclkbuf"),
}
"""By family: what leaves out pads and clock buffers, where the command makes some."""
_NAMING = {"xc7": ("autoname",), "xcup": ("autoname",)}
"""By family: what names cells after the nets that they drive, where the command does not."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.v")


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A synthesized design.

    Attributes:
        netlist: file that yosys' `write_json` wrote, flat; it holds no paths.
        top: its module.
        device: what it is for.
        total: what all of it takes.
        layers: instance path ("core.dense_1"; "" for what is in no instance) -> what it
            takes without the instances in it, in the order of the paths.
        tool: name and version of the synthesizer.
        seconds: wall time.
        drivers: see :class:`~actc.targets.fpga.flow.places.Places`.
    """

    netlist: Path
    top: str
    device: Device
    total: Resources
    layers: Mapping[str, Resources]
    tool: str
    seconds: float
    drivers: Mapping[str, str] = field(default_factory=dict)


def find_yosys() -> Program:
    """The synthesizer: pyosys, or the native yosys that ACTC_YOSYS names.

    Raises:
        MissingTool: ACT0503, pyosys is not installed; ACT0502, ACTC_YOSYS is wrong.
    """
    native = toolchain.locate("yosys") if "ACTC_YOSYS" in os.environ else None
    if native is not None:
        return Program("yosys", (str(native), "-s", "run.ys"), "")
    if importlib.util.find_spec("pyosys") is None:
        raise toolchain.missing_package("pyosys", FPGA_HELP)
    return Program("yosys", (sys.executable, "-c", RUN_SCRIPT), "")


def synthesize_design(
    files: Mapping[str, str],
    top: str,
    device: Device,
    work: Path,
    *,
    dsp: bool = False,
    pads: bool = True,
    kept: Sequence[tuple[str, str]] = (),
    drivers: Mapping[str, str] | None = None,
    limits: Limits = SYNTHESIS_LIMITS,
) -> Synthesis:
    """Synthesize a design for a device.

    Args:
        files: name ("core.v") -> Verilog text.
        top: name of the top module, a plain identifier.
        device: of :func:`~actc.targets.fpga.boards.load.devices`.
        work: folder that receives `netlist.json` and `logs/synthesis.log`; made if missing.
        dsp: whether multiplications may take hard multipliers.
        pads: whether the ports are pins of the device; False: those of a part of a design.
        kept: modules and wires of them whose names the netlist must keep.
        drivers: path of a net -> path of the instance that drives it, where names alone do
            not say so.
        limits: of the run.

    Raises:
        UsageError: ACT0531, a name is not plain.
        MissingTool: ACT0503, pyosys is not installed.
        ToolFailed: ACT0510..0513, ACT0533, ACT0584, ACT0585.
    """
    _check_names(files, top, device)
    yosys = find_yosys()
    command = synthesis_command(device, dsp=dsp, pads=pads)
    start = time.monotonic()
    with scratch(work) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        for name, text in techmap_files(device.family).items():
            (folder / name).write_text(text, "utf-8")
        (folder / "run.ys").write_text(_script(files, top, device, command, kept), "utf-8")
        log = log_file(work, "synthesis")
        execute_cached(
            "synthesis",
            yosys,
            (),
            folder,
            [NETLIST],
            limits=limits,
            log=log,
            valid=lambda: _read(folder, top, yosys, log),
        )
        document = _read(folder, top, yosys, log)
        improve(document, device.family)
        (folder / NETLIST).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        (folder / NETLIST).replace(work / NETLIST)
    family = SYNTHESIZED[device.family]
    lone = lone_flip_flops(document, top, family)
    total = count(Netlist.read(document, top, family, lone), document["creator"])
    layers = {
        layer: count(Netlist.read(part, top, family, lone), document["creator"])
        for layer, part in _layers(document, top, drivers or {}).items()
    }
    return Synthesis(
        netlist=work / NETLIST,
        top=top,
        device=device,
        total=total,
        layers=layers,
        tool=total.tool,
        seconds=time.monotonic() - start,
        drivers=drivers or {},
    )


def _read(folder: Path, top: str, yosys: Program, log: Path) -> dict[str, Any]:
    """The netlist that yosys wrote.

    Raises:
        ToolFailed: ACT0510, it is damaged.
    """
    try:
        found: dict[str, Any] = json.loads((folder / NETLIST).read_text("utf-8"))
        if isinstance(found["modules"][top]["cells"], dict) and found["creator"]:
            return found
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise damaged(NETLIST, yosys, log) from problem
    raise damaged(NETLIST, yosys, log)


def _script(
    files: Iterable[str], top: str, device: Device, command: str, kept: Sequence[tuple[str, str]]
) -> str:
    lines = [
        *(f"read_verilog {name}" for name in files),
        *(f"setattr -set keep 1 {module}/w:{wire}" for module, wire in kept),
        *with_sums(f"{command} -top {top}", device.family),
        *_NAMING.get(device.family, ()),
        # places in source files hold the path of yosys' own library
        f"setattr -unset src {top}/*",
        f"setattr -mod -unset src {top}",
        f"select {top}",
        f"write_json -selected {NETLIST}",
    ]
    return "\n".join(lines) + "\n"


def synthesis_command(device: Device, *, dsp: bool = False, pads: bool = True) -> str:
    """The synth_* command of yosys for a device, without the top module."""
    command, without, with_dsp = _COMMANDS[device.family]
    around = () if pads else _OUT_OF_CONTEXT.get(device.family, ())
    return " ".join(
        filter(None, (command, *device.synthesis, with_dsp if dsp else without, *around))
    )


def _layers(
    document: Mapping[str, Any], top: str, drivers: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Instance path -> a netlist of its cells alone."""
    places = Places.of_netlist(document, top, drivers)
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, cell in document["modules"][top]["cells"].items():
        if not cell["type"].startswith("$"):
            found[places.find(name)][name] = cell
    return {layer: {"modules": {top: {"cells": found[layer]}}} for layer in sorted(found)}


def _check_names(files: Mapping[str, str], top: str, device: Device) -> None:
    taken = set(techmap_files(device.family))
    wrong = [name for name in files if not _FILE.fullmatch(name) or name in taken]
    if not _IDENTIFIER.fullmatch(top):
        wrong.append(top)
    if wrong:
        raise UsageError(
            Diagnostic(
                "ACT0531",
                f"{wrong[0]!r} is not a plain name, or one that is taken",
                help="name modules and files with letters, digits and underscores",
            )
        )
