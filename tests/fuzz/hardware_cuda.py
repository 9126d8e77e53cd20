"""The oracle of CUDA: kernels executed on the CPU give the bits of golden.onnx."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actc import toolchain
from actc.targets.tvm.cuda import CudaTarget, runtime
from actc.targets.tvm.cuda.host import TEMPLATES, extents_of, host_command, network_header
from actc.targets.tvm.cuda.lower import kernel_plan
from actc.targets.tvm.runtime import LIBRARY
from fuzz.compared import Array, Cpu, batches
from fuzz.hardware_planned import Planned, joined, planned
from fuzz.oracles import Case, Mismatch, Oracle

_WAYS = ("sm_80", "sm_75", "sm_90", "sm_80,dp4a")
"""Of products: tensor cores of three generations, and none."""
_LINK_SECONDS = 60.0
_NO_MACHINE_CODE = (0xBA55ED50).to_bytes(4, "little")
"""A fat binary's first word."""


@dataclass(frozen=True)
class Cuda:
    """The kernels without a GPU and without nvcc, watched for races and foreign accesses."""

    name: str = "cuda"
    every: int = 60
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """Activations of up to 8 bits, where TVM and g++ are."""
        there = importlib.util.find_spec("tvm") is not None and shutil.which("g++") is not None
        return there and Cpu().accepts(case)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe."""
        found = planned(case, f"cuda:{random.Random(case.seed).choice(_WAYS)}")
        return found.asked(lambda: _emulated(found))


def _emulated(found: Planned) -> list[Mismatch]:
    run = runtime.Network(_library(found), str(_driver(found.path)))

    def in_batches(feeds: Mapping[str, Array]) -> dict[str, Array]:
        return joined([run(part) for part in batches(found.case, feeds)])

    return found.wrong(in_batches)


def _library(found: Planned) -> Path:
    """model.so with its kernels' text, but no machine code of them, which the CPU does not read."""
    from actc.targets.tvm.cuda.source import generate

    machine, folder = found.machine, found.path
    assert isinstance(machine, CudaTarget)
    kernels = kernel_plan(found.model, "int8")
    source, network = generate(kernels, machine.architectures[0], machine.products)
    resources = {
        "arena": [network.arena.fixed, network.arena.sample],
        "launches": extents_of(network),
    }
    (folder / runtime.RESOURCES).write_text(json.dumps(resources))
    (folder / runtime.KERNELS).write_text(source)
    (folder / "network.h").write_text(network_header(network))
    (folder / "constants.bin").write_bytes(network.constants)
    (folder / "kernels.fatbin").write_bytes(_NO_MACHINE_CODE)
    shutil.copyfile(TEMPLATES / "host.cpp", folder / "host.cpp")
    toolchain.run(list(host_command(LIBRARY)), timeout=_LINK_SECONDS, cwd=folder)
    return folder / LIBRARY


def _driver(folder: Path) -> Path:
    place = folder / "emulated"
    place.mkdir()
    return runtime.checked_emulation(folder, place)


ORACLES: tuple[Oracle, ...] = (Cuda(),)
