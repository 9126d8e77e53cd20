"""Parameters of QONNX quantizers: codes, rounding modes, axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]

_SLACK = 1e-6
"""Relative; the ends of a Clip are float32 numbers."""
_INTEGERS = (np.int8, np.uint8, np.int16, np.uint16)


class NotRead(Exception):
    """Why an operator is not read."""


ROUNDING: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "FLOOR": np.floor,
    "CEIL": np.ceil,
    "UP": lambda x: np.copysign(np.ceil(np.abs(x)), x),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x),
    "HALF_DOWN": lambda x: np.copysign(np.ceil(np.abs(x) - 0.5), x),
}
"""Rounding modes; the last four treat numbers below 0 as those above."""


@dataclass(frozen=True, eq=False, slots=True)
class Codes:
    """What a quantizer rounds to: scale * (q - zero) for low <= q <= high."""

    scale: Array
    zero: int
    low: int
    high: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type of integers that holds the codes."""
        for kind in _INTEGERS:
            limits = np.iinfo(kind)
            if limits.min <= min(self.low, self.zero) and max(self.high, self.zero) <= limits.max:
                return np.dtype(kind)
        raise NotRead("its codes have more than 16 bits")

    def within(self, low: float | None, high: float | None) -> Codes | None:
        """The codes of numbers from `low` to `high`, both multiples of the scale.

        Counted from 0 where that makes bytes of them. None: the ends are no multiples, or
        there are several scales.
        """
        if self.scale.size != 1 or low is None or high is None:
            return None
        scale = float(self.scale.reshape(-1)[0])
        steps = [end / scale for end in (low, high)]
        first, last = (round(step) for step in steps)
        if max(abs(steps[0] - first), abs(steps[1] - last)) > _SLACK * max(abs(first), last, 1):
            return None
        first, last = max(first, self.low), min(last, self.high)
        if not first <= 0 <= last or first == last:
            return None
        found = Codes(self.scale, 0, first, last)
        if found.dtype.itemsize > 1 and last - first <= 255:
            return Codes(self.scale, -first, 0, last - first)
        return found

    @property
    def full(self) -> bool:
        """Whether the codes are all of the type."""
        limits = np.iinfo(self.dtype)
        return (self.low, self.high) == (limits.min, limits.max)


def tensor_of(node: onnx.NodeProto) -> Array:
    """The array of a Constant node; an empty one where the node does not hold what it names."""
    for attribute in node.attribute:
        if attribute.name == "value" and attribute.HasField("t"):
            return numpy_helper.to_array(attribute.t)
        if attribute.name in ("value_float", "value_int", "value_floats", "value_ints"):
            try:
                return np.asarray(helper.get_attribute_value(attribute))
            except ValueError:  # an attribute of no type
                break
    return np.zeros(0)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def rounding_mode(attributes: dict[str, Any], default: str = "ROUND") -> str:
    """The mode of a quantizer, a key of ROUNDING."""
    given = attributes.get("rounding_mode", default)
    mode = (given.decode() if isinstance(given, bytes) else str(given)).upper()
    if mode not in ROUNDING:
        raise NotRead(f"it rounds by {mode}")
    return mode


def code_ends(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Smallest and largest code."""
    if not 1 <= bits <= 32:
        raise NotRead(f"its codes have {bits} bits")
    if signed:
        return -(2 ** (bits - 1)) + int(narrow), 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - int(narrow)


def whole_number(number: float, what: str) -> int:
    """A number that must be whole."""
    if number != round(number):
        raise NotRead(f"its {what} is {number:g}, no whole number")
    return int(number)


def axis_of(scale: Array, rank: int) -> tuple[int | None, Array]:
    """Axis and scales of a DequantizeLinear for a scale that broadcasts."""
    if scale.size == 1:
        return None, scale.reshape(())
    places = [scale.ndim - 1 - k for k in range(scale.ndim) if scale.shape[scale.ndim - 1 - k] > 1]
    if len(places) > 1 or scale.ndim > rank:
        raise NotRead("its scale differs along several axes")
    return rank - scale.ndim + places[0], scale.reshape(-1)


def threshold_codes(scale: float, bias: float, count: int) -> Codes:
    """The integers that scale * n + bias takes for 0 <= n <= count, and 0 among them.

    Bipolar codes (2 * n - 1) are every other integer.
    """
    if not scale > 0:
        raise NotRead("its out_scale is not positive")
    for parts in (1, 2, 4):
        first = bias / scale * parts
        if first == round(first):
            low, high = int(first), int(first) + count * parts
            return Codes(np.asarray(np.float32(scale / parts)), 0, min(low, 0), max(high, 0))
    raise NotRead(f"its out_bias is no multiple of a quarter of its out_scale, {scale:g}")


def threshold_shape(attributes: dict[str, Any], channels: int, rank: int | None) -> tuple[int, ...]:
    """The shape in which one threshold per channel broadcasts with what is compared."""
    if channels == 1:
        return ()
    given = attributes.get("data_layout", b"")
    layout = given.decode() if isinstance(given, bytes) else str(given)
    if not layout:
        layout = {2: "NC", 3: "NWC", 4: "NCHW"}.get(rank or 0, "")
    if "C" not in layout:
        raise NotRead("the axis of its channels is not known: it has no data_layout")
    return tuple(-1 if letter == "C" else 1 for letter in layout)
