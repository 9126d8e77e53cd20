"""The catalogue against torch.nn.functional, where torch has the function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actc.approx.catalogue import find

pytestmark = pytest.mark.slow
FUNCTIONS: list[tuple[str, tuple[float, ...], str, dict[str, Any]]] = [
    ("ReLU", (), "relu", {}),
    ("ReLU6", (), "relu6", {}),
    ("LeakyReLU", (0.2,), "leaky_relu", {"negative_slope": 0.2}),
    ("RReLU", (0.1, 0.3), "rrelu", {"lower": 0.1, "upper": 0.3, "training": False}),
    ("ELU", (0.7,), "elu", {"alpha": 0.7}),
    ("SELU", (), "selu", {}),
    ("CELU", (1.5,), "celu", {"alpha": 1.5}),
    ("GELU", (), "gelu", {}),
    ("TanhGELU", (), "gelu", {"approximate": "tanh"}),
    ("SiLU", (), "silu", {}),
    ("Mish", (), "mish", {}),
    ("HardSwish", (), "hardswish", {}),
    ("HardSigmoid", (), "hardsigmoid", {}),
    ("HardTanh", (), "hardtanh", {}),
    ("Softplus", (2.0,), "softplus", {"beta": 2.0, "threshold": 40.0}),
    ("Softsign", (), "softsign", {}),
    ("Softshrink", (0.4,), "softshrink", {"lambd": 0.4}),
    ("Hardshrink", (0.4,), "hardshrink", {"lambd": 0.4}),
    ("TanhShrink", (), "tanhshrink", {}),
    ("Threshold", (0.3, 0.1), "threshold", {"threshold": 0.3, "value": 0.1}),
    ("LogSigmoid", (), "logsigmoid", {}),
    ("Sigmoid", (), "sigmoid", {}),
    ("Tanh", (), "tanh", {}),
]


@pytest.mark.parametrize(
    ("name", "parameters", "function", "options"),
    FUNCTIONS,
    ids=[f"{name}{parameters}" for name, parameters, _, _ in FUNCTIONS],
)
def test_same_as_torch(
    name: str, parameters: tuple[float, ...], function: str, options: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch")
    x = np.concatenate([np.linspace(-30, 30, 1201), [1e-8, -1e-8, 500.0, -500.0]])
    y = getattr(torch.nn.functional, function)(torch.from_numpy(x), **options).numpy()
    np.testing.assert_allclose(find(name).function(*parameters)(x), y, rtol=1e-12, atol=1e-13)
