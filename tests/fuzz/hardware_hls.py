"""The oracles of HLS: C++ for vendors, compiled with g++, gives the bits of golden.onnx."""

from __future__ import annotations

import importlib.util
import random
import shutil
from dataclasses import dataclass

from actc.targets.hls4ml.options import BACKENDS, INTERFACES
from fuzz.hardware_planned import planned, small
from fuzz.oracles import Case, Mismatch, Oracle

_FLOWS = ("vitis", "vivado")
_SPEEDS = ("", "throughput=max", "throughput=1", "throughput=1000000")
_STRATEGIC = ("vitis", "vivado", "catapult")
"""Backends of hls4ml with a choice of strategies."""


@dataclass(frozen=True)
class BnnHls:
    """C++ for Vitis and Vivado: run, run by its testbench, and by threads with its queues."""

    name: str = "bnn-hls"
    every: int = 60
    seconds: float = 240

    def accepts(self, case: Case) -> bool:
        """Small ones, where g++ is."""
        return shutil.which("g++") is not None and small(case)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe and on random samples."""
        draw = random.Random(case.seed)
        options = [draw.choice(_FLOWS), draw.choice(_SPEEDS)]
        return _compared(case, f"bnn-hls:{','.join(filter(None, options))}")


@dataclass(frozen=True)
class Hls4ml:
    """hls4ml's C simulation, for each of its backends, and actc's units in it on all inputs."""

    name: str = "hls4ml"
    every: int = 60
    seconds: float = 400

    def accepts(self, case: Case) -> bool:
        """Small ones, where hls4ml and g++ are."""
        there = importlib.util.find_spec("hls4ml") is not None
        return there and shutil.which("g++") is not None and small(case)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe and on random samples."""
        draw = random.Random(case.seed)
        backend, io = draw.choice(tuple(BACKENDS)), draw.choice(INTERFACES)
        options = [backend, f"io={io}", draw.choice(("", "", "reuse=2", "reuse=7"))]
        if backend in _STRATEGIC and draw.random() < 0.3:
            options.append("strategy=resource")
        return _compared(case, f"hls4ml:{','.join(filter(None, options))}")


def _compared(case: Case, spec: str) -> list[Mismatch]:
    """As a user runs it, then every step of the target's own comparison."""
    found = planned(case, spec)
    machine, path = found.machine, found.path
    return found.asked(
        lambda: (
            found.wrong(machine.load(path))
            or found.fallen(machine.verify(path, found.probe, found.golden))
        )
    )


ORACLES: tuple[Oracle, ...] = (BnnHls(), Hls4ml())
