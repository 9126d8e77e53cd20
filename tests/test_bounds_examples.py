"""Bounds of the example networks, and how soon a network that is too large is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bound_networks import Compiled, compiled, searched

from actc.errors import UsageError

Array = np.ndarray[Any, Any]
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name: str, data: str, bits: str) -> Compiled:
    model = onnx.load(EXAMPLES / f"{name}.onnx")
    given = model.graph.input[0]
    shape = [d.dim_value for d in given.type.tensor_type.shape.dim[1:]]
    with np.load(EXAMPLES / f"{data}.npz") as arrays:
        images = arrays["image"][:100].reshape(-1, *shape).astype(np.float32)
    return compiled(model, {given.name: images}, bits)


@pytest.mark.parametrize("bits", ["8", "mixed"])
def test_no_search_exceeds_the_bound_of_the_mlp(bits: str) -> None:
    found = example("digits/mlp", "digits/digits_mlp", bits)
    proof = found.prove()
    (bound,) = proof.bounds
    worst = searched(found, climbs=2)
    assert np.all(worst <= bound.largest)
    assert worst.max() > 1  # the search leaves what calibration saw
    assert (bound.largest[:6] / worst[:6]).min() < 40


@pytest.mark.slow
def test_no_search_exceeds_the_bound_of_the_cnn() -> None:
    found = example("digits/cnn", "digits/digits", "8")
    start = time.process_time()
    (bound,) = found.prove().bounds
    assert time.process_time() - start < 60
    assert np.all(searched(found, climbs=0) <= bound.largest)


def test_a_large_network_is_refused_soon() -> None:
    found = example("mnist/cnn_silu", "mnist/mnist", "8")
    start = time.process_time()
    with pytest.raises(UsageError, match=r"ACT0367.*numbers times [0-9]+ noise symbols"):
        found.prove()
    assert time.process_time() - start < 60
