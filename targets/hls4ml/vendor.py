"""hls4ml's scripts for the backend's tool: set to an IP, and how `actc build` runs them."""

from __future__ import annotations

import re

from actc.diagnostics import Diagnostic
from actc.errors import InternalError
from actc.targets.hls4ml.layers import HlsNetwork
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import compile_command
from actc.targets.hls4ml.worker import PROJECT
from actc.targets.vendor.amd import ip_step
from actc.targets.vendor.flow import Flow, VendorTool
from actc.targets.vendor.tools import VITIS, VIVADO_HLS

README = "README.md"
SCRIPT = "build_prj.tcl"
TOOLS: dict[str, tuple[VendorTool, ...]] = {"Vitis": VITIS, "Vivado": (VIVADO_HLS,)}
"""hls4ml's name of a backend -> its tools. Backends without tools here are not built."""
_CHOICES = {"Vitis": "build_opt.tcl", "Vivado": SCRIPT}
"""Where what the script does is chosen."""
_TO_IP = {"synth": 1, "export": 1}
"""All other choices are 0: the C simulation has run, with more samples than its own test bench."""
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
    """To the IP; None where the backend has no tool here."""
    if options.backend not in TOOLS:
        return None
    solution = f"{network.name}_prj/solution1"
    step = ip_step(TOOLS[options.backend], SCRIPT, solution, network.name)
    slower = "a larger reuse="
    return Flow(PROJECT, network.name, options.period, (step,), slower)


def readme(network: HlsNetwork, options: Options) -> str:
    """What lies in the directory, what to run, and what was verified."""
    lines = [
        f"# {network.name}",
        "",
        f"A project of hls4ml, backend {options.backend}, io_{options.io}, "
        f"{options.clock:g} MHz, written by actc.",
        "",
        f"- `{PROJECT}/`: C++ and scripts; `{PROJECT}/project.tcl` has part and clock",
        "- `network.onnx`, `settings.json`: what hls4ml read",
        "- `golden.onnx`: what the outputs equal, on every bit",
        "",
        "The C simulation, compiled with g++, was compared with golden.onnx; `report.json` says",
        "on how much (`rungs`).",
        "",
        f"    cd {PROJECT}",
        f"    {' '.join(compile_command(network, options, 'bench'))}",
        "",
    ]
    flow = flow_of(network, options)
    if flow is not None:
        (step,) = flow.steps
        lines += ["C synthesis and the IP, with the vendor's tool (one of these):", ""]
        lines += [f"    cd {PROJECT} && {tool.line(step.script)}" for tool in step.tools]
        lines += [
            "",
            f"The IP is then in `{PROJECT}/{step.products[0]}`. `actc build` does the same in a",
            "copy, `build/vendor`, and adds resources and timing to `report.json`.",
            "",
        ]
    lines += ["No vendor's tool was run: clocks and resources are not known before that.", ""]
    return "\n".join(lines)
