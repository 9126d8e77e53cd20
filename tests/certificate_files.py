"""Documents of certificates, and a model with two sites."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from models import network

Document = dict[str, Any]


def two_sites(first: str = "Sigmoid") -> onnx.ModelProto:
    generator = np.random.default_rng(0)
    weights = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in (("w", (6, 5)), ("v", (5, 3)))
    }
    body = f"a = {first}(x)\n b = MatMul(a, w)\n c = Tanh(b)\n y = MatMul(c, v)"
    return network("float[N,6] x => float[N,3] y", body, weights)


def scaled(text: str, factor: float) -> str:
    return (float.fromhex(text) * factor).hex()
