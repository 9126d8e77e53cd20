"""NVIDIA's compiler: where it is, what it builds for, and what it says of kernels."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import MissingTool, Problems, UsageError

NVCC_HELP = "pip install 'actc[cuda]', or install NVIDIA's CUDA toolkit and set CUDA_HOME"
NVCC_SECONDS = 600

ARCHITECTURES = (
    "sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_100", "sm_103", "sm_110",
    "sm_120", "sm_121",
)  # fmt: skip
"""What nvcc of CUDA 13 builds for, the oldest first."""

DEFAULT = ("sm_80", "sm_90")
PRODUCTS = ("dp4a", "fp16")
"""Words for how large products are computed, beside architectures."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What ptxas says of a kernel on one architecture.

    Attributes:
        kernel: name of the device function.
        architecture: "sm_80".
        registers: of a thread.
        shared: bytes of a block's shared memory.
        spilled: bytes that a thread stores outside of its registers for want of them.
        stack: bytes of a thread's own memory.
    """

    kernel: str
    architecture: str
    registers: int
    shared: int
    spilled: int
    stack: int


def parse_architectures(text: str) -> tuple[str, ...]:
    """Architectures joined by commas, sorted, each once; the default where there are none.

    Raises:
        UsageError: CUDA has no such architectures; all of them.
    """
    if not text:
        return DEFAULT
    given = [part.strip() for part in text.split(",")]
    unknown = [part for part in dict.fromkeys(given) if part not in ARCHITECTURES]
    if unknown:
        raise UsageError(_unknown(part) for part in unknown)
    return tuple(a for a in ARCHITECTURES if a in given)


def _unknown(part: str) -> Diagnostic:
    known = (*ARCHITECTURES, *PRODUCTS)
    near = difflib.get_close_matches(part, known, n=3, cutoff=0.5)
    return Diagnostic(
        "ACT0465",
        f"CUDA has no architecture '{part}'",
        help=(f"did you mean {', '.join(near)}? " if near else "")
        + f"known are {', '.join(ARCHITECTURES)}; several are joined by commas, with"
        f" {' or '.join(PRODUCTS)} among them",
    )


def parse_options(text: str) -> tuple[tuple[str, ...], str]:
    """What stands behind `cuda:`: architectures, and how products are computed, or "auto".

    Raises:
        UsageError: there is no such architecture, or two ways of products are given.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    chosen = [part for part in PRODUCTS if part in parts]
    problems = Problems()
    rest = ",".join(part for part in parts if part not in PRODUCTS)
    architectures = problems.attempt(parse_architectures, rest)
    if len(chosen) > 1:
        message = f"{' and '.join(chosen)} exclude each other"
        problems.add(Diagnostic("ACT0465", message, help="leave one of them out"))
    if problems.found or architectures is None:
        raise UsageError(problems.found)
    return architectures, chosen[0] if chosen else "auto"


def locate_nvcc() -> Path | None:
    """nvcc: that of ACTC_NVCC, on PATH, in CUDA_HOME, or of NVIDIA's packages on PyPI."""
    found = toolchain.locate("nvcc")
    if found is not None:
        return found
    folders = [Path(home) for name in ("CUDA_HOME", "CUDA_PATH") if (home := os.environ.get(name))]
    spec = importlib.util.find_spec("nvidia")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folders += sorted(Path(place).glob("cu[0-9]*"), reverse=True)
    return next((f / "bin" / "nvcc" for f in folders if (f / "bin" / "nvcc").is_file()), None)


def find_nvcc() -> Path:
    """Where nvcc is.

    Raises:
        MissingTool: it is nowhere.
    """
    found = locate_nvcc()
    if found is None:
        raise MissingTool(
            Diagnostic("ACT0466", "NVIDIA's compiler nvcc is not installed", help=NVCC_HELP)
        )
    return found


def nvcc_command(architectures: Sequence[str]) -> tuple[str, ...]:
    """kernels.cu to kernels.fatbin: machine code for each architecture, PTX for later ones.

    Arithmetic is that of IEEE 754: products and sums are not fused, nothing is flushed to zero.
    """
    code = []
    for name in architectures:
        number = name.removeprefix("sm_")
        last = f",compute_{number}" if name == architectures[-1] else ""
        code += ["-gencode", f"arch=compute_{number},code=[{name}{last}]"]
    exact = ("--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
    quiet = ("-diag-suppress", "177", "-Xptxas", "-v")
    return ("nvcc", "-fatbin", "-std=c++17", *code, *exact, *quiet, "-o", "kernels.fatbin",
            "kernels.cu")  # fmt: skip


def compile_fatbin(folder: Path, architectures: Sequence[str]) -> list[Resources]:
    """Compile kernels.cu in `folder`; returns what each kernel takes on each architecture.

    Raises:
        MissingTool: there is no nvcc. ToolFailed: it refuses the kernels.
    """
    _, *arguments = nvcc_command(architectures)
    done = toolchain.run(
        [str(find_nvcc()), *arguments],
        timeout=NVCC_SECONDS,
        cwd=folder,
        environment={"TMPDIR": "."},  # fatbinary splits the name of another at its spaces
    )
    _require_fatbin(folder / "kernels.fatbin")
    return parse_resources(done.output)


def _require_fatbin(path: Path) -> None:
    """Refuse machine code that is not whole: where there is no GPU, nothing else would see it.

    It begins with a magic number, a version, the size of this header and that of what follows, as
    ``__cudaFatFormat`` in NVIDIA's fatbinary.h.
    """
    found = tool_results.content(path, "nvcc")
    if len(found) < _FATBIN.size or found[:4] != _FATBIN_MAGIC:
        raise tool_results.damaged(path, "nvcc", "is no machine code")
    _, _, header, body = _FATBIN.unpack_from(found)
    if header + body != len(found):
        raise tool_results.damaged(path, "nvcc", "is cut short")


_FATBIN_MAGIC, _FATBIN = bytes.fromhex("50ed55ba"), struct.Struct("<IHHQ")
_ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def parse_resources(log: str) -> list[Resources]:
    """What ``ptxas -v`` says, sorted by architecture and kernel."""
    found: list[Resources] = []
    entry, stack, spilled = ("", ""), 0, 0
    for line in log.splitlines():
        if match := _ENTRY.search(line):
            entry, stack, spilled = (match[1], match[2]), 0, 0
        elif match := _STACK.search(line):
            stack, spilled = int(match[1]), int(match[2])
        elif (match := _USED.search(line)) and entry[0]:
            shared = int(match[2] or 0)
            found.append(Resources(*entry, int(match[1]), shared, spilled, stack))
    order = {name: place for place, name in enumerate(ARCHITECTURES)}
    return sorted(found, key=lambda r: (order.get(r.architecture, 0), r.kernel))
