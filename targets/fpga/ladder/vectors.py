"""Samples that go up the ladder: those of the data, and random ones over all codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.ir import spec
from actc.targets.fpga.network import Network

Array = npt.NDArray[Any]

RANDOM = 1000
"""Random samples beside those of the data."""
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
    """

    feeds: dict[str, Array]
    codes: dict[str, Array]
    golden: dict[str, Array]
    expected: dict[str, Array]
    count: int


def vectors_of(
    network: Network, golden: ir.Model, feeds: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Vectors:
    """The first samples of the data, and random ones.

    Args:
        feeds, outputs: the data and golden's outputs for it.
    """
    random = random_feeds(network, RANDOM)
    kept = {name: np.asarray(array)[:MOST] for name, array in feeds.items()}
    found = _specified(golden, random)
    all_feeds = {name: np.concatenate([kept[name], random[name]]) for name in kept}
    right = {name: np.concatenate([outputs[name][:MOST], found[name]]) for name in outputs}
    codes = network.prologue(all_feeds)
    expected = network.design.evaluate(codes)
    return Vectors(all_feeds, codes, right, expected, len(next(iter(all_feeds.values()))))


def random_feeds(network: Network, count: int) -> dict[str, Array]:
    """Inputs whose codes are uniform over all that there are; the first are all least, all most.

    Returns:
        name of each of the model's inputs -> [count, ...] of its type.
    """
    generator = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for entry in network.entries:
        low, high = entry.range.low, entry.range.high
        codes = generator.integers(low, high + 1, (count, *entry.shape))
        codes[0], codes[1] = low, high
        if entry.kind == "quantize":
            found[entry.input] = ((codes - entry.zero_point) * entry.scale).astype(entry.dtype)
        else:
            found[entry.input] = codes.astype(entry.dtype)
    return found


def _specified(golden: ir.Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
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


def counted(vectors: Vectors) -> str:
    """How many samples there are of which kind."""
    return f"{vectors.count - RANDOM} samples of the data, {RANDOM} random ones"
