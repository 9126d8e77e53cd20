"""interface.json, the file of an :class:`~actc.device.interface.Interface`: text and checks.

It is written beside the bitstream, and read by whoever asks the board.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np

from actc.device.interface import InputFormat, Interface, OutputFormat, Simulation
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError

FILE = "interface.json"
FORMAT = 1
"""Version of the file."""

KINDS = ("stream", "uart", "spi")
OUTPUT_KINDS = ("codes", "accumulator", "softmax", "index")
_WIDEST = 62


class _Wrong(Exception):
    """What is wrong with the file, as a sentence without a period."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _Wrong(message)


def interface_text(interface: Interface) -> str:
    """The text of interface.json; equal interfaces give equal bytes.

    Raises:
        ValueError: the interface could not be read again.
    """
    try:
        _check(interface)
    except _Wrong as problem:
        raise ValueError(str(problem)) from problem
    return json.dumps({"format": FORMAT, **asdict(interface)}, indent=1, allow_nan=False) + "\n"


def write_interface(directory: Path, interface: Interface) -> None:
    """Write interface.json into a directory."""
    (directory / FILE).write_text(interface_text(interface), encoding="utf-8")


def read_interface(directory: str | Path) -> Interface:
    """Read interface.json of a directory.

    Raises:
        UsageError: ACT0590, there is none, or it is damaged.
    """
    path = Path(directory) / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return _interface(document)
    except OSError as problem:
        reason = (problem.strerror or type(problem).__name__).lower()
        raise _unreadable(path, f"cannot read {FILE}: {reason}") from problem
    except _Wrong as problem:
        raise _unreadable(path, f"{FILE} is damaged: {problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise _unreadable(path, f"{FILE} is not JSON") from problem


def _unreadable(path: Path, message: str) -> UsageError:
    help_text = "give the directory that `actc compile --target BOARD -o DIR` wrote"
    return UsageError(Diagnostic("ACT0590", message, place=Place(str(path)), help=help_text))


# --- from JSON: types first, then what they mean


def _interface(document: Any) -> Interface:
    _require(isinstance(document, dict), "it is not an object")
    _require(document.get("format") == FORMAT, f"its format is not {FORMAT}")
    read = _Reader(document, "the interface")
    given = document.get("simulation")
    found = Interface(
        name=read.text("name"),
        kind=read.text("kind"),
        build=read.text("build"),
        latency=read.whole("latency"),
        inputs=tuple(_input(item) for item in read.objects("inputs")),
        outputs=tuple(_output(item) for item in read.objects("outputs")),
        clock_hz=read.optional("clock_hz"),
        baud=None if document.get("baud") is None else read.whole("baud"),
        simulation=None if given is None else _simulation(given),
    )
    _check(found)
    return found


def _input(document: Mapping[str, Any]) -> InputFormat:
    read = _Reader(document, "an input")
    return InputFormat(
        name=read.text("name"),
        dtype=read.text("dtype"),
        shape=read.wholes("shape"),
        width=read.whole("width"),
        signed=read.boolean("signed"),
        low=read.whole("low"),
        high=read.whole("high"),
        scale=read.optional("scale"),
        zero_point=read.whole("zero_point"),
    )


def _output(document: Mapping[str, Any]) -> OutputFormat:
    read = _Reader(document, "an output")
    return OutputFormat(
        name=read.text("name"),
        dtype=read.text("dtype"),
        shape=read.wholes("shape"),
        width=read.whole("width"),
        signed=read.boolean("signed"),
        kind=read.text("kind"),
        scale=read.numbers("scale"),
        zero_point=read.whole("zero_point"),
        axis=read.whole("axis"),
        table=read.wholes("table"),
    )


def _simulation(document: Any) -> Simulation:
    _require(isinstance(document, dict), "'simulation' is not an object")
    read = _Reader(document, "the simulation")
    return Simulation(read.text("top"), read.texts("files"), read.text("clock_module"))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Members of one object, of the types that they must have."""

    document: Mapping[str, Any]
    what: str

    def text(self, key: str) -> str:
        value = self.document.get(key)
        _require(isinstance(value, str), f"'{key}' of {self.what} is no text")
        return str(value)

    def boolean(self, key: str) -> bool:
        value = self.document.get(key)
        _require(isinstance(value, bool), f"'{key}' of {self.what} is not true or false")
        return bool(value)

    def whole(self, key: str) -> int:
        value = self.document.get(key)
        if not _is_whole(value):
            raise _Wrong(f"'{key}' of {self.what} is no whole number of at most 62 bits")
        return int(value)  # type: ignore[arg-type]  # checked

    def optional(self, key: str) -> float | None:
        value = self.document.get(key)
        if value is None:
            return None
        _require(_is_number(value), f"'{key}' of {self.what} is no number")
        return float(value)

    def wholes(self, key: str) -> tuple[int, ...]:
        values = self._items(key)
        _require(all(map(_is_whole, values)), f"'{key}' of {self.what} is no list of integers")
        return tuple(values)

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self._items(key)
        _require(all(map(_is_number, values)), f"'{key}' of {self.what} is no list of numbers")
        return tuple(map(float, values))

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._items(key)
        _require(all(isinstance(v, str) for v in values), f"'{key}' of {self.what} is no texts")
        return tuple(values)

    def objects(self, key: str) -> tuple[Mapping[str, Any], ...]:
        values = self._items(key)
        _require(all(isinstance(v, dict) for v in values), f"'{key}' of {self.what} are no objects")
        return tuple(values)

    def _items(self, key: str) -> list[Any]:
        value = self.document.get(key)
        if not isinstance(value, list):
            raise _Wrong(f"'{key}' of {self.what} is no list")
        return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << _WIDEST


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300 and isfinite(value)


# --- what the numbers mean


def _check(interface: Interface) -> None:
    _require(interface.kind in KINDS, f"'{interface.kind}' is no kind of interface")
    digits = set(interface.build) <= set("0123456789abcdef") and len(interface.build) == 16
    _require(digits, "'build' is not 16 hexadecimal digits")
    _require(interface.latency >= 0, "'latency' is negative")
    _require(bool(interface.inputs and interface.outputs), "there are no inputs or no outputs")
    for items in (interface.inputs, interface.outputs):
        names = [item.name for item in items]
        _require(len(set(names)) == len(names), "two tensors have the same name")
    tensors: list[InputFormat | OutputFormat] = [*interface.inputs, *interface.outputs]
    for item in tensors:
        for problem in _tensor_problems(item):
            raise _Wrong(f"'{item.name}' {problem}")
    most = max(interface.input_bits, interface.output_bits)
    _require(most < 1 << 24, f"{most} bits are more than a board can have")
    if interface.kind == "uart":
        _require((interface.clock_hz or 0) > 0 and (interface.baud or 0) > 0, "no clock or baud")
    for name in interface.simulation.files if interface.simulation else ():
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        _require(inside, f"the file '{name}' is not inside the directory")


def _tensor_problems(item: InputFormat | OutputFormat) -> Iterator[str]:
    if min((1, *item.shape)) < 1 or prod(item.shape) >= 1 << 24:
        yield f"has the shape {list(item.shape)}"
    if not 1 <= item.width <= _WIDEST:
        yield f"has {item.width} bits, not 1..{_WIDEST}"
    yield from _input_problems(item) if isinstance(item, InputFormat) else _output_problems(item)


def _input_problems(item: InputFormat) -> Iterator[str]:
    if item.dtype != "float32" and item.dtype not in _INTEGERS:
        yield f"has the type {item.dtype}"
    least = -(1 << item.width - 1) if item.signed else 0
    if not least <= item.low <= item.high < least + (1 << item.width):
        yield f"has integers {item.low}..{item.high} in {item.width} bits"
    if item.scale is None:
        if item.dtype not in _INTEGERS:
            yield "is real, but has no scale"
    elif not _is_scale(item.scale):
        yield f"has the scale {item.scale}"


def _output_problems(item: OutputFormat) -> Iterator[str]:
    if item.kind not in OUTPUT_KINDS:
        yield f"is of the unknown kind '{item.kind}'"
    if item.dtype not in (_INTEGERS if item.kind == "index" else ("float32",)):
        yield f"has the type {item.dtype}"
    if not (0 <= item.axis < len(item.shape) or item.axis == 0):
        yield f"has no axis {item.axis}"
    elif item.kind in ("codes", "accumulator"):
        along = item.shape[item.axis] if item.shape else 1
        if len(item.scale) not in (1, along) or not all(map(_is_scale, item.scale)):
            yield "has scales that do not fit its shape, or are not positive"
    elif item.kind == "softmax":
        positive = min(item.table, default=-1) >= 0 and item.table[0] >= 1
        if not item.shape or not positive:
            yield "has no axis or no table for its softmax"


_INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def _is_scale(value: float) -> bool:
    return float(np.finfo(np.float32).tiny) <= value <= float(np.finfo(np.float32).max)
