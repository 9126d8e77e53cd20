"""The interpreter in C++ for lanes: compiled for this machine, its arrays made and checked.

No text of a netlist gets into the source: it runs over numbers, all of which are inside the
arrays that they point into.
"""

from __future__ import annotations

import ctypes
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from actc import tool_results, toolchain
from actc.targets.fpga.gates.lanes_bench import Bench
from actc.targets.fpga.gates.lanes_program import LaneProgram
from actc.targets.fpga.gates.logic import Function, Lookup, Product, numbers

COMPILER_HELP = "apt-get install g++"
COMPILE_SECONDS = 120.0
_SOURCE = Path(__file__).with_name("lanes.cpp")
_READ_ROM, _READ_RAM, _MULTIPLY = 7, 8, 9
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

_Array = npt.NDArray[Any]
_Pointer = ctypes.c_void_p
_Long = ctypes.c_int64
_Int = ctypes.c_int32


class _Rom(ctypes.Structure):
    _fields_ = [("inputs", _Int), ("outputs", _Int), ("pins", _Pointer), ("words", _Pointer)]


class _Ram(ctypes.Structure):
    _fields_ = [("address", _Int), ("width", _Int), ("pins", _Pointer), ("words", _Pointer)]


class _Product(ctypes.Structure):
    _fields_ = [("a", _Int), ("b", _Int), ("pins", _Pointer)]


class _Machine(ctypes.Structure):
    _fields_ = [
        ("slots", _Pointer),
        ("code", _Pointer),
        ("code_size", _Long),
        ("loads", _Pointer),
        ("load_count", _Long),
        ("ring_count", _Long),
        ("copies", _Pointer),
        ("roms", _Pointer),
        ("rams", _Pointer),
        ("ram_count", _Long),
        ("products", _Pointer),
    ]


_COUNTERS = ("clock", "in_count", "out_count", "offered", "problem")


@functools.cache
def _bench_type(words: int) -> type[ctypes.Structure]:
    arrays = ("given", "taken", "pins", "gaps", "stalls", "in_clocks", "out_clocks")
    sizes = ("words", "expected", "in_bits", "out_bits", "gap_count", "stall_count", *_COUNTERS)
    fields = [
        ("lanes", ctypes.c_uint64 * words),
        *((name, _Pointer) for name in arrays),
        *((name, _Long) for name in sizes),
    ]
    return type("_Bench", (ctypes.Structure,), {"_fields_": fields})


def available(program: LaneProgram) -> bool:
    """Whether there is a compiler, and nothing in the program that the interpreter lacks."""
    functions = [f for level in program.levels for f in level.functions]
    return all(map(_is_known, functions)) and toolchain.locate("g++") is not None


def _is_known(function: Function) -> bool:
    apply = function.apply
    if isinstance(apply, Lookup):
        return len(function.outputs) <= 64
    return isinstance(apply, Product) and apply.a + apply.b <= 62


@functools.cache
def _library(words: int) -> ctypes.CDLL:
    """The interpreter for blocks of 64 `words` lanes.

    Raises:
        ToolFailed: ACT0510..0515, it could not be compiled. MissingTool: ACT0501, ACT0502.
    """
    compiler = toolchain.find("g++", COMPILER_HELP)
    with tempfile.TemporaryDirectory(prefix="actc-") as folder:
        path = Path(folder) / "lanes.so"
        flags = ["-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", f"-DWORDS={words}"]
        toolchain.run(
            [str(compiler), *flags, "-o", str(path), str(_SOURCE)],
            timeout=COMPILE_SECONDS,
            cwd=Path(folder),
        )
        return tool_results.load_library(path, "g++")


class KernelMachine:
    """One block of lanes of a program that is :func:`available`.

    Args:
        program: what to run.
        words: of 64 lanes each: 1, 2, 4, 8 or 16.
        floating: what nets without a driver read as.

    Attributes:
        slots: values [slots, words].

    Raises:
        as :func:`_library`.
    """

    def __init__(self, program: LaneProgram, words: int, floating: int) -> None:
        self._run = _library(words)
        self._kept: list[Any] = []  # what pointers point to
        self._words = words
        self.slots = _aligned(program.slots, words)
        self.slots[program.ones] = _ALL
        self.slots[program.floating] = _ALL if floating else 0
        roms: list[_Rom] = []
        products: list[_Product] = []
        code: list[int] = []
        for level in program.levels:
            for width, tables in sorted(level.tables.items()):
                code += [width, len(tables)]
                for table in tables:
                    low, high = table.truth & 0xFFFFFFFF, table.truth >> 32
                    code += [table.output, low, high, *table.inputs]
            for function in level.functions:
                code += self._function(function, roms, products)
            if level.memories:
                code += [_READ_RAM, len(level.memories), *level.memories]
        loads = [*program.loads, *program.rings]
        rows = np.array([(f.slot, f.data, f.enable) for f in loads], np.int32).reshape(-1)
        machine = _Machine()
        machine.slots = self._address(self.slots)
        machine.code = self._address(np.array(code, np.int64).astype(np.uint32).view(np.int32))
        machine.code_size = len(code)
        machine.loads = self._address(rows)
        machine.load_count, machine.ring_count = len(loads), len(program.rings)
        machine.copies = self._address(_aligned(max(len(program.rings), 1), words))
        machine.roms = self._structures(_Rom, roms)
        machine.rams = self._structures(_Ram, [self._ram(ram) for ram in program.memories])
        machine.ram_count = len(program.memories)
        machine.products = self._structures(_Product, products)
        self._machine = machine

    def _function(
        self, function: Function, roms: list[_Rom], products: list[_Product]
    ) -> tuple[int, int, int]:
        pins = self._pins((*function.inputs, *function.outputs))
        apply = function.apply
        if isinstance(apply, Product):
            products.append(_Product(apply.a, apply.b, pins))
            return _MULTIPLY, 1, len(products) - 1
        assert isinstance(apply, Lookup)
        if len(apply.words) != 1 << len(function.inputs):
            raise ValueError(f"{len(apply.words)} words for {len(function.inputs)} address bits")
        words = numbers(apply.words.T).astype(np.uint64)
        sizes = len(function.inputs), len(function.outputs)
        roms.append(_Rom(*sizes, pins, self._address(words)))
        return _READ_ROM, 1, len(roms) - 1

    def _ram(self, ram: Any) -> _Ram:
        count, width = ram.words.shape
        if count != 1 << len(ram.address) or len(ram.write_address) != len(ram.address):
            raise ValueError(f"{count} words for {len(ram.address)} address bits")
        words = _aligned(count * width, self._words)
        words[ram.words.reshape(-1) == 1] = _ALL
        pins = (*ram.address, *ram.outputs, *ram.write_address, *ram.data, *ram.mask)
        return _Ram(len(ram.address), width, self._pins(pins), self._address(words))

    def _pins(self, slots: Sequence[int]) -> int:
        return self._address(np.array(slots, np.int32))

    def _address(self, array: _Array) -> int:
        self._kept.append(array)
        return int(array.ctypes.data)

    def _structures(self, kind: type[ctypes.Structure], items: Sequence[Any]) -> int:
        array = (kind * max(len(items), 1))(*items)
        self._kept.append(array)
        return ctypes.addressof(array)

    def settle(self) -> None:
        """Compute what depends on present inputs."""
        self._run.lanes_settle(ctypes.byref(self._machine))

    def edge(self) -> None:
        """The rising edge of the clock."""
        self._run.lanes_edge(ctypes.byref(self._machine))

    def stream(self, bench: Bench, clocks: int) -> None:
        """Go on with a bench for some clocks, or until it has ended."""
        found = _bench_type(self._words)()
        found.lanes[:] = bench.lanes.tolist()
        for name in ("given", "taken", "pins", "gaps", "stalls", "in_clocks", "out_clocks"):
            setattr(found, name, getattr(bench, name).ctypes.data)
        found.words, found.in_bits = bench.given.shape[:2]
        found.expected, found.out_bits = bench.taken.shape[:2]
        found.gap_count, found.stall_count = len(bench.gaps), len(bench.stalls)
        for name in _COUNTERS:
            setattr(found, name, getattr(bench, name))
        self._run.lanes_stream(ctypes.byref(self._machine), ctypes.byref(found), _Long(clocks))
        for name in _COUNTERS:
            setattr(bench, name, getattr(found, name))


def _aligned(count: int, words: int) -> npt.NDArray[np.uint64]:
    """Zeros [count, words] that begin at a multiple of 64 bytes."""
    raw = np.zeros(count * words + 8, np.uint64)
    start = -raw.ctypes.data // 8 % 8
    return raw[start : start + count * words].reshape(count, words)


def aligned_like(array: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A copy [..., words] that begins at a multiple of 64 bytes."""
    found = _aligned(array.size // max(array.shape[-1], 1), array.shape[-1]).reshape(array.shape)
    found[:] = array
    return found
