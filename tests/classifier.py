"""A small classifier, and samples that it labels itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from models import network, normal, run

Array = np.ndarray[Any, Any]


def classifier(offset: Array) -> onnx.ModelProto:
    return network(
        "float[N,2,8,8] x => float[N,10] y",
        """
          c = Conv <pads = [1,1,1,1]> (x, w, b)
          s = Sigmoid (c)
          m = Mul (c, s)
          p = GlobalAveragePool (m)
          f = Flatten (p)
          h = MatMul (f, v)
          g = Tanh (h)
          q = MatMul (g, u)
          y = Add (q, offset)
        """,
        {
            "w": normal(12, 2, 3, 3),
            "b": normal(12, seed=1),
            "v": normal(12, 16, seed=2),
            "u": normal(16, 10, seed=3),
            "offset": offset,
        },
    )


def images(count: int = 96, seed: int = 5) -> Array:
    return normal(count, 2, 8, 8, seed=seed)


# Without its mean, every class wins on some samples.
_UNCENTRED = run(classifier(np.zeros(10, np.float32)), {"x": images(500)})["y"]
MODEL = classifier(-_UNCENTRED.mean(axis=0))


def labelled(count: int = 96) -> dict[str, Array]:
    """Samples whose labels are what the float model says: it is right on all of them."""
    x = images(count)
    return {"x": x, "labels": run(MODEL, {"x": x})["y"].argmax(axis=1)}


def hardest(count: int = 60) -> dict[str, Array]:
    """Those of many samples between whose two best classes the float model sees least."""
    x = images(6000, seed=6)
    outputs = run(MODEL, {"x": x})["y"]
    top = np.sort(outputs, axis=1)
    close = np.argsort(top[:, -1] - top[:, -2])[:count]
    return {"x": x[close], "labels": outputs[close].argmax(axis=1)}
