"""What a case of an operator is: a small network around it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SEQUENCE = "float[N,3,16] x => float[N,a,b] y"
IMAGE = "float[N,4,8,8] x => float[N,a,b,c] y"
FLAT = "float[N,4,8,8] x => float[N,a] y"
VOLUME = "float[N,2,4,5,6] x => float[N,a,b,c,d] y"
TOKENS = "float[N,6,8] x => float[N,a,b] y"


@dataclass(frozen=True)
class Case:
    """A network.

    Attributes:
        signature, body, weights, opset: see `models.network`.
        noise: largest relative RMS error.
    """

    signature: str
    body: str
    weights: dict[str, Array] = field(default_factory=dict)
    opset: int = 21
    noise: float = 0.03


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def one(number: float) -> Array:
    return np.array(number, np.float32)
