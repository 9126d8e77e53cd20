"""Binary networks in torch: layers, a training recipe, and the way to ONNX and QONNX.

Needs the extra `torch`.
"""

from __future__ import annotations

from actc import toolchain
from actc.torch_export import TORCH_HELP

toolchain.require_package("torch", TORCH_HELP)

from actc.torch.binary.converting import binarize_module  # noqa: E402
from actc.torch.binary.exporting import deployed, export_binary  # noqa: E402
from actc.torch.binary.layers import (  # noqa: E402
    Binarize,
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    InstanceThreshold,
    IntegerScores,
    ShiftedPReLU,
)
from actc.torch.binary.recipe import (  # noqa: E402
    Epoch,
    Recipe,
    measure_norms,
    set_binary,
    train_bnn,
)
from actc.torch.binary.signs import Sign, Surrogate  # noqa: E402

__all__ = [
    "Binarize",
    "BinaryActivation",
    "BinaryConv2d",
    "BinaryLinear",
    "Epoch",
    "InstanceThreshold",
    "IntegerScores",
    "Recipe",
    "ShiftedPReLU",
    "Sign",
    "Surrogate",
    "binarize_module",
    "deployed",
    "export_binary",
    "measure_norms",
    "set_binary",
    "train_bnn",
]
