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
from actc.targets.vendor import catapult, quartus
from actc.targets.vendor.amd import ip_step
from actc.targets.vendor.flow import Flow, Step, VendorTool
from actc.targets.vendor.intel import export_step
from actc.targets.vendor.scripts import steps_of
from actc.targets.vendor.tools import VITIS, VIVADO_HLS

README = "README.md"
SCRIPT = "build_prj.tcl"
TOOLS: dict[str, tuple[VendorTool, ...]] = {"Vitis": VITIS, "Vivado": (VIVADO_HLS,)}
"""hls4ml's name of a backend -> AMD's tools for it."""
_CHOICES = {"Vitis": "build_opt.tcl", "Vivado": SCRIPT, "Catapult": SCRIPT}
"""Where what the script does is chosen."""
_TO_IP = {"synth": "1", "export": "1", "verilog": "1"}
"""All other choices are 0: the C simulation has run, with more samples than its own test bench."""
_LEFT = frozenset({"ran_frame"})
"""Numbers that choose nothing."""
_FAMILIES = {"oneAPI": "Agilex7", "Quartus": "Arria10"}
"""That hls4ml builds for with Intel's tools, where nothing else is asked for."""
_BLOCK = re.compile(r"(?<=^array set opt \{\n)(?:[ ]+\w+[ ]+\d+\n)+(?=\}$)", re.MULTILINE)
_SETTINGS = {
    "Quartus": "`{0}/Makefile` has the part, `{0}/firmware/{1}.h` the clock",
    "oneAPI": "`{0}/CMakeLists.txt` has part and clock",
    "Catapult": f"`{{0}}/{SCRIPT}` has part and clock",
}
"""Where they are written; with AMD's tools in `project.tcl`."""


def set_to_ip(files: dict[str, bytes], name: str, options: Options) -> dict[str, bytes]:
    """The project's files, with C synthesis and export chosen, and scripts that lead further.

    Args:
        name: of the network.

    Raises:
        InternalError: ACT0901, hls4ml writes another script than 1.3 does.
    """
    if options.backend not in _CHOICES:
        return files
    script = f"{PROJECT}/{_CHOICES[options.backend]}"
    text, count = _BLOCK.subn(_chosen, files[script].decode("utf-8"))
    if count != 1:
        message = f"{script} of this version of hls4ml does not say what it does"
        raise InternalError(Diagnostic("ACT0901", message))
    found = {**files, script: text.encode("utf-8")}
    if options.backend == "Catapult":
        found[f"{PROJECT}/{catapult.FIT_SCRIPT}"] = catapult.fit_tcl(name).encode()
    return dict(sorted(found.items()))


def _chosen(block: re.Match[str]) -> str:
    rows = [line.split() for line in block[0].splitlines()]
    return "".join(
        f"    {name:<10} {value if name in _LEFT else _TO_IP.get(name, '0')}\n"
        for name, value in rows
    )


def flow_of(network: HlsNetwork, options: Options) -> Flow:
    """To the IP, and then to its fit, or with a board to its bitstream."""
    slower = "a larger reuse="
    board = options.on_board
    if board is not None:
        design = axi_design(network, options)
        return Flow(PROJECT, design.name, options.period, steps_of(design, board), slower)
    return Flow(PROJECT, network.name, options.period, _steps(network.name, options), slower)


def _steps(name: str, options: Options) -> tuple[Step, ...]:
    """Without a board."""
    backend = options.backend
    if backend in TOOLS:
        return (ip_step(TOOLS[backend], SCRIPT, f"{name}_prj/solution1", name),)
    if backend == "Catapult":
        return catapult.rtl_step(name, SCRIPT), catapult.fit_step(name)
    folder = "src/" if BACKENDS[backend].pipes else ""
    source, test = f"{folder}firmware/{name}.cpp", f"{folder}{name}_test.cpp"
    part = options.part or _FAMILIES[backend]
    if backend == "Quartus":
        return quartus.component_step(name, source, (test,), part), quartus.fit_step(name)
    return (export_step(name, source, (test,), part, options.period),)


def readme(network: HlsNetwork, options: Options) -> str:
    """What lies in the directory, what to run, and what was verified."""
    lines = [
        f"# {network.name}",
        "",
        f"A project of hls4ml, backend {options.backend}, io_{options.io}, "
        f"{options.clock_mhz:g} MHz, written by actc.",
        "",
        f"- `{PROJECT}/`: C++ and scripts; "
        + _SETTINGS.get(options.backend, "`{0}/project.tcl` has part and clock").format(
            PROJECT, network.name
        ),
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
    lines += _built(flow_of(network, options), options)
    lines += ["No vendor's tool was run: clocks and resources are not known before that.", ""]
    return "\n".join(lines)


def _built(flow: Flow, options: Options) -> list[str]:
    """What the vendor's tools make."""
    ip, *further = flow.steps
    several = " (one of these)" if len(ip.tools) > 1 else ""
    lines = [f"C synthesis and the IP, with the vendor's tool{several}:", ""]
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
    elif further:
        (step,) = further
        folder = f"{PROJECT}/{step.folder}".rstrip("/")
        lines += [
            "",
            "Resources and timing, by the tools of the FPGA's vendor:",
            "",
            f"    cd {folder} && {step.tools[0].line(step.script)}",
            "",
        ]
    return [
        *lines,
        "`actc build` does the same in a copy, `build/vendor`, and adds resources and timing to",
        "`report.json`.",
        "",
    ]
