"""hls4ml's scripts for the backend's tool: set to an IP, and how `actc build` runs them."""

from __future__ import annotations

import re
import shlex

from actc.diagnostics import Diagnostic
from actc.errors import InternalError
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.board import axi_design
from actc.targets.hls4ml.layers import HlsNetwork
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import compile_command
from actc.targets.hls4ml.worker import PROJECT
from actc.targets.vendor.amd import ip_step
from actc.targets.vendor.flow import Flow, VendorTool
from actc.targets.vendor.intel import export_step
from actc.targets.vendor.scripts import steps_of
from actc.targets.vendor.tools import VITIS, VIVADO_HLS

README = "README.md"
SCRIPT = "build_prj.tcl"
TOOLS: dict[str, tuple[VendorTool, ...]] = {"Vitis": VITIS, "Vivado": (VIVADO_HLS,)}
"""hls4ml's name of a backend -> its tools. Backends without tools here are not built."""
_CHOICES = {"Vitis": "build_opt.tcl", "Vivado": SCRIPT}
"""Where what the script does is chosen."""
_TO_IP = {"synth": 1, "export": 1}
"""All other choices are 0: the C simulation has run, with more samples than its own test bench."""
_BY_HAND = {
    "Quartus": "make {name}-fpga",
    "Catapult": "catapult -product ultra -shell -f build_prj.tcl",
}
"""What hls4ml runs with backends whose tools `actc build` does not know."""
_FAMILY = "Agilex7"
"""That hls4ml builds for with oneAPI, where nothing else is asked for."""
_BLOCK = re.compile(r"(?<=^array set opt \{\n)(?:[ ]+\w+[ ]+[01]\n)+(?=\}$)", re.MULTILINE)


def set_to_ip(files: dict[str, bytes], options: Options) -> dict[str, bytes]:
    """The project's files, with C synthesis and export chosen.

    Raises:
        InternalError: ACT0901, hls4ml writes another script than 1.3 does.
    """
    if options.backend not in _CHOICES:
        return files
    name = f"{PROJECT}/{_CHOICES[options.backend]}"
    text, count = _BLOCK.subn(_chosen, files[name].decode("utf-8"))
    if count != 1:
        message = f"{name} of this version of hls4ml does not say what it does"
        raise InternalError(Diagnostic("ACT0901", message))
    return {**files, name: text.encode("utf-8")}


def _chosen(block: re.Match[str]) -> str:
    names = [line.split()[0] for line in block[0].splitlines()]
    return "".join(f"    {name:<10} {_TO_IP.get(name, 0)}\n" for name in names)


def flow_of(network: HlsNetwork, options: Options) -> Flow | None:
    """To the IP, and with a board to its bitstream; None where the backend has no tool here."""
    slower = "a larger reuse="
    if BACKENDS[options.backend].pipes:
        source, test = f"src/firmware/{network.name}.cpp", f"src/{network.name}_test.cpp"
        part = options.part or _FAMILY
        export = export_step(network.name, source, (test,), part, options.period)
        return Flow(PROJECT, network.name, options.period, (export,), slower)
    if options.backend not in TOOLS:
        return None
    board = options.on_board
    if board is not None:
        design = axi_design(network, options)
        return Flow(PROJECT, design.name, options.period, steps_of(design, board), slower)
    solution = f"{network.name}_prj/solution1"
    step = ip_step(TOOLS[options.backend], SCRIPT, solution, network.name)
    return Flow(PROJECT, network.name, options.period, (step,), slower)


def readme(network: HlsNetwork, options: Options) -> str:
    """What lies in the directory, what to run, and what was verified."""
    lines = [
        f"# {network.name}",
        "",
        f"A project of hls4ml, backend {options.backend}, io_{options.io}, "
        f"{options.clock_mhz:g} MHz, written by actc.",
        "",
        f"- `{PROJECT}/`: C++ and scripts; `{PROJECT}/project.tcl` has part and clock",
        "- `network.onnx`, `settings.json`: what hls4ml read",
        "- `golden.onnx`: what the outputs equal, on every bit",
        "",
        "The C simulation, compiled with g++, was compared with golden.onnx; `report.json` says",
        "on how much (`rungs`).",
        "",
        f"    cd {PROJECT}",
        f"    {shlex.join(compile_command(network, options, 'bench'))}",
        "",
    ]
    flow = flow_of(network, options)
    if flow is not None:
        lines += _built(flow, options)
    else:
        command = _BY_HAND[options.backend].format(name=network.name)
        lines += ["With the vendor's tool, as hls4ml runs it:", ""]
        lines += [f"    cd {PROJECT} && {command}", ""]
    lines += ["No vendor's tool was run: clocks and resources are not known before that.", ""]
    return "\n".join(lines)


def _built(flow: Flow, options: Options) -> list[str]:
    """What the vendor's tools make."""
    ip, *further = flow.steps
    lines = ["C synthesis and the IP, with the vendor's tool (one of these):", ""]
    lines += [f"    cd {PROJECT} && {tool.line(ip.script)}" for tool in ip.tools]
    lines += ["", f"The IP is then in `{PROJECT}/{ip.products[0]}`."]
    if options.on_board is not None:
        (step,) = further
        lines += [
            f"Its top function is {flow.top}: the network between AXI4 streams, which the",
            "testbench (`testbench.cpp`, `data/`) compares with golden.",
            "",
            f"The bitstream for the {options.on_board.title}, with a DMA and the processor:",
            "",
            f"    cd {PROJECT} && {step.tools[0].line(step.script)}",
            "",
            f"Copy `{PROJECT}/{step.products[0]}`, the `.hwh` beside it and `host/` to the board;",
            f"`python3 driver.py {flow.top}.bit SAMPLES.npy` prints the outputs.",
            "",
        ]
    return [
        *lines,
        "`actc build` does the same in a copy, `build/vendor`, and adds resources and timing to",
        "`report.json`.",
        "",
    ]
