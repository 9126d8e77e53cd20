"""Samples that go up the ladder: those of the data, and random ones over all codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir import spec
from actc.targets.fpga.network import Network
from actc.targets.fpga.network.interface import Entry

Array = npt.NDArray[Any]

RANDOM = 1000
"""Random samples beside those of the data."""
ALL_BITS = 16
"""Bits of all inputs together up to which every input is tried, in place of random ones."""
MOST = 4000
"""Samples of the data that go up the ladder."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Samples for every rung.

    Attributes:
        feeds: the model's inputs.
        codes: what the network takes, by bus.
        golden: golden's outputs.
        expected: what the network must give, by bus.
        count: how many.
        kind: what there is beside samples of the data: "1000 random ones".
        more: how many of these.
    """

    feeds: dict[str, Array]
    codes: dict[str, Array]
    golden: dict[str, Array]
    expected: dict[str, Array]
    count: int
    kind: str
    more: int


def vectors_of(
    network: Network, golden: ir.Model, feeds: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Vectors:
    """The first samples of the data, and every input where there are few, else random ones.

    Args:
        feeds, outputs: the data and golden's outputs for it.
    """
    total = _inputs(network)
    random = random_feeds(network, RANDOM) if total is None else all_feeds(network, total)
    kind = f"{RANDOM} random ones" if total is None else f"every input ({total})"
    kept = {name: np.asarray(array)[:MOST] for name, array in feeds.items()}
    found = specified(golden, random)
    joined = {name: np.concatenate([kept[name], random[name]]) for name in kept}
    right = {name: np.concatenate([outputs[name][:MOST], found[name]]) for name in outputs}
    codes = network.prologue(joined)
    expected = network.design.evaluate(codes)
    count = len(next(iter(joined.values())))
    return Vectors(joined, codes, right, expected, count, kind, total or RANDOM)


def specified(golden: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Golden's outputs by the specification, in batches of the size that it has."""
    proto = ir.to_proto(golden)
    count = len(next(iter(feeds.values())))
    shape = golden.graph.inputs[0].shape
    batch = shape[0] if shape is not None and isinstance(shape[0], int) else count
    parts = []
    for start in range(0, count, batch):
        # the last batch is filled with the last sample
        rows = np.minimum(np.arange(start, start + batch), count - 1)
        parts.append(spec.run(proto, {name: array[rows] for name, array in feeds.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def random_feeds(network: Network, count: int) -> dict[str, Array]:
    """As :func:`random_inputs`, for a network."""
    return random_inputs(network.entries, count)


def random_inputs(entries: Iterable[Entry], count: int) -> dict[str, Array]:
    """Inputs whose codes are uniform over all that there are; the first are all least, all most.

    Returns:
        name of each of the model's inputs -> [count, ...] of its type.
    """
    generator = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for entry in entries:
        low, high = entry.range.low, entry.range.high
        codes = generator.integers(low, high + 1, (count, *entry.shape))
        codes[0], codes[1] = low, high
        found[entry.input] = _values(entry, codes)
    return found


def all_feeds(network: Network, count: int) -> dict[str, Array]:
    """Every input once.

    Args:
        count: how many there are.

    Returns:
        as :func:`random_feeds`.
    """
    found: dict[str, Array] = {}
    rest = np.arange(count)
    for entry in network.entries:
        size, low = prod(entry.shape), entry.range.low
        levels = entry.range.high - low + 1
        # a digit for each element
        codes = low + rest[:, None] // levels ** np.arange(size) % levels
        found[entry.input] = _values(entry, codes.reshape(count, *entry.shape))
        rest = rest // levels**size
    return found


def _inputs(network: Network) -> int | None:
    """How many different inputs there are; None where they are too many to try."""
    total = 1
    for entry in network.entries:
        levels = entry.range.high - entry.range.low + 1
        for _ in range(prod(entry.shape)):
            total *= levels
            if total > 1 << ALL_BITS:
                return None
    return total


def _values(entry: Entry, codes: Array) -> Array:
    """What the host gets for these codes."""
    if entry.kind == "quantize":
        values: Array = (codes - entry.zero_point) * entry.scale
        return values.astype(entry.dtype)
    return codes.astype(entry.dtype)


def counted(vectors: Vectors) -> str:
    """How many samples there are of which kind."""
    return f"{vectors.count - vectors.more} samples of the data, {vectors.kind}"
