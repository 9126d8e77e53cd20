"""From a trained module to ONNX and QONNX files that hold signs, not latent weights."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass
from onnxscript.optimizer import fold_constants_ir
from torch import Tensor, nn
from torch.nn import functional

from actc.diagnostics import Diagnostic, Place
from actc.emission import write_files
from actc.errors import ModelError, UsageError
from actc.ir.execute import ExecutionError, Session
from actc.torch.binary.layers import BinaryConv2d, BinaryLinear, IntegerScores, per_channel
from actc.torch.binary.qonnx import Weights, bipolar, one_byte

Array = np.ndarray[Any, Any]

_OPSET = 18
FORMATS = ("onnx", "qonnx")
_TOLERANCE = 1e-5
"""Of the largest result; a sign that differs changes much more."""


class _Product(nn.Module):
    """A binary layer with its signs in the place of latent weights."""

    signs: Tensor
    gain: Tensor | None

    def __init__(self, layer: BinaryLinear | BinaryConv2d) -> None:
        super().__init__()
        self.register_buffer("signs", layer.signs().detach().clone())
        gain = layer.gain
        self.register_buffer("gain", None if gain is None else gain.detach().clone())

    def scaled(self, y: Tensor) -> Tensor:
        return y if self.gain is None else y * per_channel(self.gain, y)


class _Linear(_Product):
    def forward(self, x: Tensor) -> Tensor:
        return self.scaled(functional.linear(x, self.signs))


class _Convolution(_Product):
    def __init__(self, layer: BinaryConv2d) -> None:
        super().__init__(layer)
        self.stride, self.dilation, self.groups = layer.stride, layer.dilation, layer.groups
        self.padding, self.border = layer.padding, layer.border

    def forward(self, x: Tensor) -> Tensor:
        if self.padding:
            x = functional.pad(x, (self.padding,) * 4, value=self.border)
        y = functional.conv2d(
            x, self.signs, stride=self.stride, dilation=self.dilation, groups=self.groups
        )
        return self.scaled(y)


class _Scores(nn.Module):
    """Scores with the integers that training rounded to."""

    bias: Tensor

    def __init__(self, layer: IntegerScores) -> None:
        super().__init__()
        self.register_buffer("bias", layer.whole().detach().clone())
        self.factor = layer.factor

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.bias) * self.factor


def deployed(module: nn.Module) -> nn.Module:
    """A copy of a module for evaluation that holds +1 and -1 in the place of latent weights.

    Args:
        module: stays as it is.

    Returns:
        a module in evaluation mode, of constants only, that computes the same as `module` does
        in that mode.
    """
    return _replaced(copy.deepcopy(module)).eval().requires_grad_(False)


def _replaced(module: nn.Module) -> nn.Module:
    if isinstance(module, BinaryLinear):
        return _Linear(module)
    if isinstance(module, BinaryConv2d):
        return _Convolution(module)
    if isinstance(module, IntegerScores):
        return _Scores(module)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child))
    return module


def export_binary(
    module: nn.Module,
    example: Tensor,
    path: str | Path | None = None,
    *,
    form: str = "qonnx",
    input_name: str = "x",
    output_name: str = "y",
    weights: str | Weights = Weights.FLOAT,
) -> onnx.ModelProto:
    """Export a binary network in evaluation mode, and check that the file computes the same.

    BatchNorm stays a node of its own; nothing is folded.

    Args:
        module: of one input and one output; stays as it is.
        example: its input, the batch first, which may vary in the model.
        path: file to write as well.
        form: "onnx": signs are Where(x >= 0, 1, -1); "qonnx": they are BipolarQuant of the
            domain qonnx.custom_op.general, of weights too.
        input_name, output_name: names in the model.
        weights: "float": as these forms have it, 4 bytes per weight; "int8": one byte,
            behind DequantizeLinear with scale 1, which is exact as well.

    Returns:
        the model.

    Raises:
        UsageError: ACT0386, there is no such form; ACT0337, the file cannot be written.
        ModelError: ACT0387, the module cannot be exported, or not exactly.
    """
    if form not in FORMATS or weights not in list(Weights):
        known = f"forms: {', '.join(FORMATS)}; weights: {', '.join(Weights)}"
        message = f"there is no form '{form}' of a file with weights '{weights}'"
        raise UsageError(Diagnostic("ACT0386", message, help=known))
    network, example = deployed(module), example.detach().cpu()
    try:
        model = _exported(network, example, input_name, output_name)
    except Exception as error:
        # the exporter raises whatever it runs into; the user is told what that was
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise _inexact(module, f"{type(error).__name__}: {first[:200]}") from error
    _require_equal(module, model, example)
    if weights == Weights.INT8:
        one_byte(model)
    if form == "qonnx":
        bipolar(model)
    if path is not None:
        write_files({Path(path): model.SerializeToString(deterministic=True)})
    return model


def _exported(
    network: nn.Module, example: Tensor, input_name: str, output_name: str
) -> onnx.ModelProto:
    """The exporter's graph as it is, with constants folded and nothing of this machine in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own future
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            optimize=False,
            opset_version=_OPSET,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    fold_constants_ir(program.model)
    RemoveUnusedNodesPass()(program.model)
    ClearMetadataAndDocStringPass()(program.model)
    graph = program.model.graph
    program.model.metadata_props.clear()
    for value in (*graph.inputs, *graph.outputs, *graph.initializers.values()):
        value.metadata_props.clear()
    return program.model_proto


def _require_equal(module: nn.Module, model: onnx.ModelProto, example: Tensor) -> None:
    """Compare the model in onnxruntime with the module, on the example.

    Sums of signs are equal in any order; what is left are the products of BatchNorm, which two
    runtimes may round differently.
    """
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            wanted = module(example).cpu().numpy()
        (name,) = (value.name for value in model.graph.input)
        (found,) = Session(model).run({name: example.numpy()}).values()
    except (ExecutionError, RuntimeError, ValueError) as error:
        raise _inexact(module, f"the model does not run: {str(error)[:200]}") from error
    finally:
        module.train(training)
    largest = float(np.abs(wanted).max(initial=1e-6))
    if wanted.shape != found.shape or float(np.abs(wanted - found).max(initial=0)) > (
        _TOLERANCE * largest
    ):
        raise _inexact(module, "the model gives other results than the module")


def _inexact(module: nn.Module, reason: str) -> ModelError:
    return ModelError(
        Diagnostic(
            "ACT0387",
            f"the binary network cannot be exported: {reason}",
            place=Place(type(module).__name__),
            help="its forward must be one that torch.export takes, of one input and one output",
        )
    )
