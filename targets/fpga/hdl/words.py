"""Tensors as the bits of their buses: elements side by side, the lowest bit of each first."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.hdl.design import Bus

Bits: TypeAlias = npt.NDArray[np.uint8]

_INT64_WIDTH = 62
"""Bits of elements up to which they are int64; wider ones are Python integers."""


def bus_bits(bus: Bus, values: npt.ArrayLike) -> Bits:
    """Bits [samples, bus.bits] of a tensor's elements [samples, *bus.shape]."""
    array = np.asarray(values)
    rows = array.reshape(len(array), len(bus.wires))
    if bus.width > _INT64_WIDTH:
        wide = rows.astype(object)
        places = [(wide >> place) & 1 for place in range(bus.width)]
        return np.stack(places, axis=2).reshape(len(rows), bus.bits).astype(np.uint8)
    bits = (rows.astype(np.int64)[:, :, None] >> np.arange(bus.width)) & 1
    return bits.reshape(len(rows), bus.bits).astype(np.uint8)


def bus_values(bus: Bus, bits: Bits) -> npt.NDArray[np.generic]:
    """Elements [samples, *bus.shape] of bits [samples, bus.bits]: int64, or Python integers."""
    dtype = np.dtype(object if bus.width > _INT64_WIDTH else np.int64)
    digits = bits.reshape(len(bits), len(bus.wires), bus.width).astype(dtype)
    weights = np.array([1 << place for place in range(bus.width)], dtype)
    if bus.signed:
        weights[-1] = -weights[-1]
    values: npt.NDArray[np.generic] = (digits * weights).sum(axis=2)
    return values.reshape(-1, *bus.shape)
