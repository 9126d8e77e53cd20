"""Independent reading and evaluation of fixed-point forms from their JSON.

Part of the checker of :mod:`actc.approx.fixed_checker`: it shares no code with the
forms. Everything that comes from a file is checked for type, range and length before
it is used, so that hostile certificates cost neither time nor memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actc.approx.check_numbers import Malformed, integer, require_keys

Integers = npt.NDArray[np.int64]

MOST_BITS = 16
"""Of an input format, so that all codes can be enumerated."""
MOST_SHIFT = 62
_LARGEST = 2**62
_FORMAT = re.compile(r"([su])([1-9]\d?)\.(0|-?[1-9]\d?)", re.ASCII)


@dataclass(frozen=True)
class Format:
    """A fixed-point format: code times 2**-fraction."""

    signed: bool
    bits: int
    fraction: int

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return self.low + (1 << self.bits) - 1

    def codes(self) -> Integers:
        """All codes."""
        return np.arange(self.low, self.high + 1, dtype=np.int64)


@dataclass(frozen=True)
class Form:
    """A form, evaluated.

    Attributes:
        name: its name in the JSON.
        outputs: int64, its output for every input code in increasing order.
        pieces: levels, segments or leaves; None where the form has none.
        slopes, shift: those of lines.
    """

    name: str
    outputs: Integers
    pieces: int | None = None
    slopes: tuple[int, ...] = ()
    shift: int = 0


def read_format(text: object, most_bits: int) -> Format:
    """Read a format such as "s8.4".

    Raises:
        Malformed: it is none, or has too many bits.
    """
    match = _FORMAT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Malformed("a format is not of the kind s8.4 or u8.8")
    sign, bits, fraction = match[1], int(match[2]), int(match[3])
    if bits > most_bits or abs(fraction) > 64:
        raise Malformed(f"the format {match[0]} has too many bits")
    return Format(sign == "s", bits, fraction)


def read_form(described: object, input: Format, output: Format) -> Form:
    """Read a form and evaluate it at every input code.

    Raises:
        Malformed: it is no form of these formats.
    """
    if not isinstance(described, dict):
        raise Malformed("the form is not an object")
    name = described.get("form")
    if not isinstance(name, str) or name not in _READERS:
        raise Malformed("the form is of no known kind")
    keys, read = _READERS[name]
    require_keys(described, {"form", *keys.split()}, "the form")
    return read(described, input, output)


# --- checked values


def integers(value: object, what: str, count: int, low: int, high: int) -> Integers:
    """A list of `count` whole numbers in low..high, as int64.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, list) or len(value) != count:
        raise Malformed(f"{what} is not a list of {count} numbers")
    if any(type(item) is not int or not low <= item <= high for item in value):
        raise Malformed(f"an item of {what} is not a whole number in {low}..{high}")
    return np.array(value, np.int64)


def _length(value: object, what: str, most: int) -> int:
    if not isinstance(value, list) or not len(value) <= most:
        raise Malformed(f"{what} is not a list of at most {most} numbers")
    return len(value)


def _says(described: Mapping[str, Any], key: str, value: int) -> None:
    if type(described[key]) is not int or described[key] != value:
        raise Malformed(f"{key} of the form is not {value}")


# --- tables


def _width(table: Integers) -> int:
    return int(table.max()).bit_length()


def _fixed_table(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    values = integers(described["values"], "values", 2**input.bits, output.low, output.high)
    return Form("fixed_table", values)


def _compressed_table(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    split = integer(described["split"], 0, input.bits, "split")
    drop = integer(described["drop"], 0, output.bits, "drop")
    base = integer(described["base"], -(2**34), 2**34, "base")
    entries = 2**33
    coarse = integers(described["coarse"], "coarse", 2 ** (input.bits - split), 0, entries >> drop)
    differences = integers(described["differences"], "differences", 2**input.bits, 0, entries)
    _says(described, "coarse_width", _width(coarse))
    _says(described, "difference_width", _width(differences))
    start = np.repeat(coarse * 2**drop, 2**split)
    return Form("compressed_table", start + differences + base)


def _bipartite_table(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    a, b, c = integers(described["parts"], "parts", 3, 0, input.bits).tolist()
    if a + b + c != input.bits:
        raise Malformed("the parts do not make up the input")
    guard = integer(described["guard"], 0, 16, "guard")
    base = integer(described["base"], -(2**50), 2**50, "base")
    initial = integers(described["initial"], "initial", 2 ** (a + b), 0, 2**50)
    offset = integers(described["offset"], "offset", 2 ** (a + c), 0, 2**50)
    _says(described, "initial_width", _width(initial))
    _says(described, "offset_width", _width(offset))
    sums = initial.reshape(2**a, 2**b, 1) + offset.reshape(2**a, 1, 2**c) + base
    return Form("bipartite_table", sums.reshape(-1) // 2**guard)


# --- pieces


def _steps(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    count = _length(described["thresholds"], "thresholds", 2**input.bits - 1)
    thresholds = _breaks(described["thresholds"], "thresholds", count, input)
    levels = integers(described["levels"], "levels", count + 1, output.low, output.high)
    if np.any(levels[1:] == levels[:-1]):
        raise Malformed("neighbouring levels are equal")
    return Form("thresholds", np.repeat(levels, _sizes(thresholds, input)), count + 1)


def _lines(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    count = _length(described["breakpoints"], "breakpoints", 2**input.bits - 1)
    breaks = _breaks(described["breakpoints"], "breakpoints", count, input)
    which = np.repeat(np.arange(count + 1), _sizes(breaks, input))
    return _linear(described, count + 1, which, input.codes())


def _tree(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    which, rest = _leaves(described, input)
    return _linear(described, int(which[-1]) + 1, which, rest)


def _linear(described: Mapping[str, Any], count: int, which: Integers, x: Integers) -> Form:
    slopes, constants = (
        integers(described[key], key, count, -_LARGEST, _LARGEST) for key in ("slopes", "constants")
    )
    _says(described, "segments", count)
    _says(described, "digits", max(map(fewest_digits, slopes.tolist())))
    shift = integer(described["shift"], 0, MOST_SHIFT, "shift")
    outputs = _shifted([(slopes[which], x), (constants[which], np.ones_like(x))], shift)
    return Form(described["form"], outputs, count, tuple(slopes.tolist()), shift)


def _polynomials(described: Mapping[str, Any], input: Format, output: Format) -> Form:
    which, rest = _leaves(described, input)
    count = int(which[-1]) + 1
    cuts = described["truncations"]
    degree = 1 + _length(cuts, "truncations", 2)
    cuts = integers(cuts, "truncations", degree - 1, 0, 3 * MOST_BITS).tolist()
    _says(described, "degree", degree)
    _says(described, "segments", count)
    rows = described["coefficients"]
    if _length(rows, "coefficients", count) != count:
        raise Malformed("there is not one row of coefficients per leaf")
    table = np.array(
        [integers(row, "coefficients", degree + 1, -_LARGEST, _LARGEST) for row in rows]
    )
    powers = [rest**0, rest, *(rest**k // 2**cut for k, cut in enumerate(cuts, 2))]
    shift = integer(described["shift"], 0, MOST_SHIFT, "shift")
    terms = [(table[which, k], power) for k, power in enumerate(powers)]
    return Form(described["form"], _shifted(terms, shift), count)


def _shifted(terms: list[tuple[Integers, Integers]], shift: int) -> Integers:
    """Sum of products, shifted right; values beyond every format may be others beyond."""
    sizes = [np.abs(one).astype(np.float64) * np.abs(other) for one, other in terms]
    if float(np.sum(sizes, axis=0).max()) >= _LARGEST:  # too large for int64: Python's integers
        terms = [(one.astype(object), other.astype(object)) for one, other in terms]
    total = terms[0][0] * terms[0][1]
    for one, other in terms[1:]:
        total = total + one * other
    shifted: Integers = np.clip(total // 2**shift, -(2**40), 2**40).astype(np.int64)
    return shifted


def _breaks(value: object, what: str, count: int, input: Format) -> Integers:
    found = integers(value, what, count, input.low + 1, input.high)
    if np.any(np.diff(found) <= 0):
        raise Malformed(f"the {what} do not increase")
    return found


def _sizes(breaks: Integers, input: Format) -> Integers:
    """How many inputs each piece has."""
    sizes: Integers = np.diff(breaks, prepend=input.low, append=input.high + 1)
    return sizes


def _leaves(described: Mapping[str, Any], input: Format) -> tuple[Integers, Integers]:
    """The leaf of each input, and its position there."""
    count = _length(described["depths"], "depths", 2**input.bits)
    depths = integers(described["depths"], "depths", count, 0, input.bits)
    sizes = np.int64(1) << (input.bits - depths)
    starts = np.cumsum(sizes) - sizes
    if int(sizes.sum()) != 2**input.bits or np.any(starts % sizes):
        raise Malformed("the depths are not those of a binary tree")
    which = np.repeat(np.arange(count), sizes)
    return which, np.arange(2**input.bits) - starts[which]


def fewest_digits(value: int) -> int:
    """Fewest terms +-2**i with this sum: digits from the right, each -1, 0 or 1."""
    count = 0
    while value:
        if value % 2:
            value -= 2 - value % 4  # leaves a multiple of 4
            count += 1
        value //= 2
    return count


_Reader = Callable[[Mapping[str, Any], Format, Format], Form]
_READERS: dict[str, tuple[str, _Reader]] = {
    "fixed_table": ("values", _fixed_table),
    "compressed_table": (
        "split drop base coarse_width difference_width coarse differences",
        _compressed_table,
    ),
    "bipartite_table": (
        "parts guard base initial_width offset_width initial offset",
        _bipartite_table,
    ),
    "thresholds": ("thresholds levels", _steps),
    "integer_piecewise_linear": ("segments digits shift breakpoints slopes constants", _lines),
    "segment_tree": ("segments digits shift depths slopes constants", _tree),
    "integer_piecewise_polynomial": (
        "segments degree truncations shift depths coefficients",
        _polynomials,
    ),
}
