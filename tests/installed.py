"""Marks of tests that need a program or package which may be missing."""

from __future__ import annotations

import importlib.util
import shutil

import pytest


def _needs(title: str, programs: tuple[str, ...], package: str = "sys") -> pytest.MarkDecorator:
    there = all(map(shutil.which, programs)) and importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not there, reason=f"{title} is not installed")


needs_gcc = _needs("gcc", ("gcc",))
needs_gxx = _needs("g++", ("g++",))
needs_iverilog = _needs("Icarus Verilog (apt: iverilog)", ("iverilog", "vvp"))
needs_tclsh = _needs("tclsh (apt: tcl)", ("tclsh",))
needs_tvm = _needs("apache-tvm or g++", ("g++",), package="tvm")
needs_verilator = _needs("Verilator (apt: verilator g++ make)", ("verilator", "g++", "make"))
needs_yosys = _needs("pyosys (pip install 'actc[fpga]')", (), package="pyosys")
