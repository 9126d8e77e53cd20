"""What is installed, what is missing, how to get it: the facts of `actc doctor`."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ActcError
from actc.targets import TARGETS
from actc.targets.fpga.flow.inventory import inventory

if TYPE_CHECKING:  # it loads onnx_ir, which the command line can do without
    from actc.targets.base import Tool

_BASE = ("numpy", "onnx", "onnx-ir", "onnxscript", "scipy", "jinja2", "matplotlib")
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


def diagnose() -> dict[str, Any]:
    """Look at this environment; imports none of the tools.

    Returns:
        JSON-ready values: ``actc`` and ``python`` versions, ``packages``
        [{name, version or None}], ``programs`` of the FPGA flow [{name, version, state,
        help}], ``targets`` [{name, ready, summary, tools}],
        ``usable`` (there is an onnxruntime, so that models can be compiled for
        at least one target) and ``diagnostics``.
    """
    runtimes = runtime_distributions()
    targets = [describe_target(name) for name in TARGETS.references()]
    problems = _runtime_problems(runtimes)
    return {
        "actc": metadata.version("actc"),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "packages": [{"name": n, "version": _version(n)} for n in (*_BASE, *_RUNTIMES)],
        "programs": [asdict(entry) for entry in inventory()],
        "targets": targets,
        "usable": bool(runtimes),
        "diagnostics": [problem.to_json() for problem in problems],
    }


def runtime_distributions() -> list[str]:
    """The installed distributions that bring the module `onnxruntime`."""
    return sorted(set(metadata.packages_distributions().get("onnxruntime", [])))


def describe_target(name: str) -> dict[str, Any]:
    """Capabilities of a target and the state of its tools, JSON-ready.

    A plug-in whose code cannot be imported is described with the reason under
    ``broken``, so that it does not hide the others.

    Raises:
        UsageError: no target has this name.
    """
    try:
        target = TARGETS.get(name)
        capabilities = target.parse("").capabilities()
    except ActcError:
        raise
    except Exception as problem:  # a plug-in may fail in any way
        reason = f"{type(problem).__name__}: {problem}"
        return {"name": name, "ready": False, "summary": "", "tools": [], "broken": reason}
    tools = [tool_state(tool) for tool in capabilities.tools]
    return {
        "name": name,
        "ready": all(tool["found"] for tool in tools),
        "summary": capabilities.summary,
        "precisions": list(capabilities.precisions),
        "forms": list(capabilities.forms),
        "operators": None if capabilities.operators is None else sorted(capabilities.operators),
        "products": dict(capabilities.products),
        "options": dict(target.options),
        "tools": tools,
    }


def tool_state(tool: Tool) -> dict[str, Any]:
    """A tool's name, whether it is found, how to get it, and the variable that can name one."""
    commands = (*((tool.probe,) if tool.kind == "command" else ()), *tool.alternatives)
    found = any(map(_is_there, commands))
    if tool.kind == "package":
        found = found or importlib.util.find_spec(tool.probe) is not None
    override = toolchain.variable(commands[0]) if commands else None
    return {"name": tool.name, "found": found, "how": tool.how, "override": override}


def _is_there(command: str) -> bool:
    try:
        return toolchain.locate(command) is not None
    except ActcError:  # what its variable names is no program
        return False


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _runtime_problems(runtimes: list[str]) -> list[Diagnostic]:
    if len(runtimes) == 1:
        return []
    if not runtimes:
        return list(toolchain.missing_package("onnxruntime", "").diagnostics)
    both = " and ".join(runtimes)
    return [
        Diagnostic(
            "ACT0505",
            f"{both} are both installed and overwrite each other's files",
            help=f"pip uninstall -y {' '.join(runtimes)}, then {toolchain.ONNXRUNTIME_HELP}",
        )
    ]
