"""Marks of tests that need a program or package which may be missing."""

from __future__ import annotations

import importlib.util
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from actc.targets.tvm.cuda.runtime import gpu_count
from actc.targets.tvm.cuda.toolkit import locate_nvcc


def _needs(title: str, programs: tuple[str, ...], package: str = "sys") -> pytest.MarkDecorator:
    there = all(map(shutil.which, programs)) and importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not there, reason=f"{title} is not installed")


def _has_distribution(name: str) -> bool:
    return any(found.name == name for found in metadata.distributions())


needs_aarch64 = _needs(
    "a compiler or an emulator for 64-bit Arm (apt: g++-aarch64-linux-gnu qemu-user)",
    ("aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64"),
)
needs_arm_gcc = _needs("Arm's gcc (apt: gcc-arm-none-eabi)", ("arm-none-eabi-gcc",))
needs_arm = _needs(
    "a compiler or an emulator for 32-bit Arm (apt: g++-arm-linux-gnueabihf qemu-user)",
    ("arm-linux-gnueabihf-gcc", "qemu-arm"),
)
needs_clang = _needs("clang (apt: clang libclang-rt-dev)", ("clang",))
needs_cortex_m = _needs(
    "Arm's gcc or QEMU (apt: gcc-arm-none-eabi qemu-system-arm)",
    ("arm-none-eabi-gcc", "qemu-system-arm"),
)
needs_gpu_onnxruntime = pytest.mark.skipif(
    not (Path("/proc/driver/nvidia").exists() and _has_distribution("onnxruntime-gpu")),
    reason="there is no GPU with onnxruntime-gpu",
)
needs_gcc = _needs("gcc", ("gcc",))
needs_gxx = _needs("g++", ("g++",))
needs_iverilog = _needs("Icarus Verilog (apt: iverilog)", ("iverilog", "vvp"))
needs_tclsh = _needs("tclsh (apt: tcl)", ("tclsh",))
needs_nvcc = pytest.mark.skipif(
    locate_nvcc() is None or shutil.which("g++") is None or not importlib.util.find_spec("tvm"),
    reason="nvcc (pip install 'actc[cuda]'), apache-tvm or g++ is not installed",
)
needs_gpu = pytest.mark.skipif(
    gpu_count() == 0, reason="NO NVIDIA GPU: THE MACHINE CODE OF THE TARGET cuda IS NOT RUN"
)
needs_tvm = _needs("apache-tvm or g++", ("g++",), package="tvm")
needs_verilator = _needs("Verilator (apt: verilator g++ make)", ("verilator", "g++", "make"))
needs_yosys = _needs("pyosys (pip install 'actc[fpga]')", (), package="pyosys")
