"""Codebooks of binary kernels, against their definition."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from models import network, normal, prepared

from actc.errors import UsageError
from actc.ir.context import context_of
from actc.numerics.weights import (
    Moments,
    PairedMoments,
    WeightFormat,
    kernel_codebook,
    nearest_weights,
    paired_output_error,
    snapped_weights,
)
from actc.passes.binarize import FACTS, Binarize
from actc.pipeline import Pipeline

Array = np.ndarray[Any, Any]


def layer(seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    few = rng.choice([-1, 1], (5, 9))
    kernels = few[rng.integers(0, 5, 48)] * np.where(rng.random((48, 9)) < 0.08, -1, 1)
    return kernels.reshape(12, 4, 3, 3).astype(np.int8)


@pytest.mark.parametrize("size", [1, 3, 8, 600])
@pytest.mark.parametrize("seed", range(3))
def test_every_kernel_is_the_nearest_of_the_most_frequent(size: int, seed: int) -> None:
    codes = layer(seed)
    book = kernel_codebook(codes, size)
    kernels = [tuple(k) for k in codes.reshape(-1, 9)]
    counts = Counter(kernels)
    entries = [tuple(entry) for entry in book.entries]
    assert len(entries) == min(size, len(counts)) == len(set(entries))
    least = min(counts[entry] for entry in entries)
    assert all(count <= least for kernel, count in counts.items() if kernel not in entries)
    found = book.codes(codes.shape).reshape(-1, 9)
    changed = 0
    for kernel, new in zip(kernels, found, strict=True):
        nearest = min(sum(a != b for a, b in zip(kernel, e, strict=True)) for e in entries)
        assert int((np.array(kernel) != new).sum()) == nearest
        changed += nearest
    assert (book.changed, book.distinct) == (changed, len(counts))
    columns = found.reshape(12, 4, 9)
    assert book.computed == sum(len({tuple(k) for k in columns[:, c]}) for c in range(4))
    if size == 600:
        np.testing.assert_array_equal(book.codes(codes.shape), codes)


def test_bytes_are_indices_and_entries() -> None:
    codes = np.array(list(itertools.product([-1, 1], repeat=9)), np.int8).reshape(16, 32, 3, 3)
    assert kernel_codebook(codes, 16).packed_bytes == 512 * 4 // 8 + 16 * 9 // 8
    assert kernel_codebook(codes, 17).packed_bytes == 512 * 5 // 8 + -(-17 * 9 // 8)
    with pytest.raises(ValueError, match="31 weights"):
        kernel_codebook(np.ones((2, 2, 31), np.int8), 4)


def test_scales_and_bias_are_fitted_again() -> None:
    weights, x = normal(12, 4, 3, 3), normal(500, 36) + 0.5
    second, mean = (x.T @ x / 500)[None].astype(np.float64), x.mean(0)[None].astype(np.float64)
    exact = Moments(second, mean, 500)
    moments = PairedMoments(exact, second, exact)
    plain = nearest_weights(weights, WeightFormat.parse("binary"))
    found, book = snapped_weights(weights, plain, moments, 6)
    np.testing.assert_array_equal(found.codes, book.codes(weights.shape))
    error = paired_output_error(weights, found, moments)
    outputs = x @ weights.reshape(12, -1).T
    got = x @ found.real().reshape(12, -1).T + found.correction
    np.testing.assert_allclose(got.mean(0), outputs.mean(0), atol=1e-5)
    rms = np.sqrt(np.mean((got - outputs) ** 2) / np.mean(outputs**2))
    assert error == pytest.approx(rms, rel=1e-4)
    centred = x - x.mean(0)

    def left(factor: float) -> float:
        change = weights - found.scaled(np.full(12, factor)).real()
        return float(((centred @ change.reshape(12, -1).T) ** 2).mean())

    assert left(1) < min(left(0.9), left(1.1))


def test_as_an_option_of_the_pass() -> None:
    model = network(
        "float[N,2,8,8] x => float[N,3] y",
        """c0 = Conv (x, k0)\n r0 = Relu (c0)\n c1 = Conv (r0, k1)\n r1 = Relu (c1)
           p = GlobalAveragePool (r1)\n f = Flatten (p)\n y = MatMul (f, w)""",
        {
            "k0": normal(8, 2, 3, 3),
            "k1": normal(16, 8, 3, 3, seed=1),
            "w": normal(16, 3, seed=2),
        },
    )
    ready = prepared(model, {"x": normal(64, 2, 8, 8)})
    front = Pipeline.parse("normalize,structure").passes
    Pipeline((*front, Binarize("all", codebook=7))).run(ready)
    facts = context_of(ready).facts
    ((name, given),) = facts["given"].items()
    kernels = {tuple(np.sign(kernel)) for kernel in given.codes.reshape(-1, 9)}
    book = facts[FACTS]["layers"][name]["codebook"]
    assert len(kernels) == book["entries"] == 7
    assert book["error"] > book["error_before"] > 0
    assert book["bytes"] < book["bytes_before"]
    assert book["computed"] < book["computed_before"] == 128
    with pytest.raises(UsageError, match="ACT0224"):
        Pipeline((*front, Binarize("all", codebook=-1))).run(prepared(model))
