"""A golden model as a torch module: the same bits, and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnx_ir as ir
import torch
from torch import Tensor, nn

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError
from actc.ir.graph import constant
from actc.torch.exporting import write_float, write_golden
from actc.torch.gradients import Gradients
from actc.torch.operators import NotSupported, make
from actc.torch.planning import Plan
from actc.torch.shadow import Shadow


class _Step:
    """One node of golden: what computes it, what it reads and what it gives."""

    def __init__(self, node: ir.Node, operator: Callable[..., Any]) -> None:
        self.operator = operator
        self.inputs = ["" if value is None else str(value.name) for value in node.inputs]
        self.outputs = [str(value.name) for value in node.outputs]
        self.done: list[str] = []


class PreparedModule(nn.Module):
    """What `actc.torch.prepare` gives.

    Its forward pass takes the model's inputs, as positional arguments in its order or by
    name, and gives its outputs, float32, equal to those of golden.onnx on every bit: a
    tensor, or a tuple of them when there are several. It computes in float64, on any
    device that has it; it cannot be cast to another type.

    Attributes:
        layers: the trained weights, one `Shadow` per linear operator, in golden's order.
        inputs, outputs: names.
    """

    def __init__(self, plan: Plan, gradients: Gradients) -> None:
        """Build the operators of a plan.

        Raises:
            ModelError: ACT0374, with every node that torch cannot compute.
        """
        super().__init__()
        self._plan = plan
        self.layers = nn.ModuleList(Shadow(found, gradients.weights) for found in plan.trainable)
        graph = plan.golden.graph
        self.inputs = [str(value.name) for value in graph.inputs]
        self.outputs = [str(value.name) for value in graph.outputs]
        self._types = {str(value.name): value.dtype for value in graph.inputs}
        self._steps = _steps(plan, gradients)
        operators = [s.operator for s in self._steps if isinstance(s.operator, nn.Module)]
        self._operators = nn.ModuleList(operators)
        self._constants: dict[str, str] = {}
        trained = {name for layer in self.shadows() for name in layer.names}
        for index, value in enumerate(graph.initializers.values()):
            array = constant(value)
            if array is not None and value.name not in trained:
                self._constants[str(value.name)] = f"_constant_{index}"
                self.register_buffer(f"_constant_{index}", _tensor(array), False)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute golden's outputs.

        Raises:
            UsageError: ACT0376, the inputs are not those of the model.
        """
        values: dict[str, Any] = self._given(inputs, named)
        values.update((name, getattr(self, kept)) for name, kept in self._constants.items())
        for layer in self.shadows():
            values.update(layer.codes())
        values[""] = None
        for step in self._steps:
            results = step.operator(*(values[name] for name in step.inputs))
            found = results if isinstance(results, tuple) else (results,)
            values.update(zip(step.outputs, found, strict=True))
            for name in step.done:
                del values[name]
        outputs = tuple(values[name] for name in self.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def codes(self) -> dict[str, np.ndarray[Any, Any]]:
        """The trained integers: golden's constants by name, in its types."""
        types = {str(v.name): v.dtype for v in self._plan.golden.graph.initializers.values()}
        with torch.no_grad():
            found = {name: c for layer in self.shadows() for name, c in layer.codes().items()}
        arrays = {}
        for name, codes in found.items():
            dtype = types[name]
            assert dtype is not None
            arrays[name] = codes.cpu().numpy().astype(dtype.numpy())
        return arrays

    def export(self, path: str | Path) -> onnx.ModelProto:
        """Write golden.onnx with the trained integers; formats and metadata stay.

        Args:
            path: the file to write.

        Returns:
            the model, which gives in any ONNX runtime what this module gives.

        Raises:
            ModelError: ACT0377, with every layer whose sums could leave its accumulator.
            UsageError: ACT0337, the file cannot be written.
        """
        return write_golden(self._plan, self.shadows(), self.codes(), Path(path))

    def float_model(self, path: str | Path) -> onnx.ModelProto:
        """Write the float model with the trained weights, for another compilation.

        It has the form that actc's first passes give a model: BatchNorm folded, each
        activation one function. Its weights are the real numbers that the integers stand
        for.

        Args:
            path: the file to write.

        Returns:
            the model.

        Raises:
            UsageError: ACT0337, the file cannot be written.
        """
        return write_float(self._plan, self.shadows(), Path(path))

    def extra_repr(self) -> str:
        """Where it comes from, for torch's printing."""
        return f"{self._plan.name}, {len(self._steps)} operators"

    def shadows(self) -> list[Shadow]:
        """`layers`, as what they are."""
        return cast(list[Shadow], list(self.layers))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PreparedModule:
        kinds = (torch.float32, torch.float64)
        if any(fn(torch.zeros(0, dtype=kind)).dtype != kind for kind in kinds):
            raise UsageError(
                Diagnostic(
                    "ACT0376",
                    "a prepared module cannot be cast: integers and scales have their types",
                    help="move it with .to(device) alone",
                )
            )
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _given(self, inputs: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs by name, in the types that the operators compute with."""
        given = dict(zip(self.inputs, inputs, strict=False)) | dict(named)
        wrong = len(inputs) > len(self.inputs) or set(given) != set(self.inputs)
        twice = len(inputs) + len(named) != len(given)
        if wrong or twice or not all(isinstance(t, Tensor) for t in given.values()):
            message = f"the inputs are {', '.join(self.inputs)}: one tensor each"
            raise UsageError(Diagnostic("ACT0376", message))
        return {name: self._converted(name, given[name]) for name in self.inputs}

    def _converted(self, name: str, tensor: Tensor) -> Tensor:
        if self._types[name] == ir.DataType.FLOAT:
            return tensor.to(torch.float32)
        if tensor.is_floating_point():
            message = f"input '{name}' takes integers, not {tensor.dtype}"
            raise UsageError(Diagnostic("ACT0376", message))
        return tensor.to(torch.float64)


def _steps(plan: Plan, gradients: Gradients) -> list[_Step]:
    """The nodes of golden in order; each forgets what no later one reads."""
    steps, problems = [], []
    for node in plan.golden.graph:
        try:
            steps.append(_Step(node, make(node, gradients)))
        except NotSupported as problem:
            reason = f": {problem}" if str(problem) else ""
            problems.append(
                Diagnostic(
                    "ACT0374",
                    f"operator {node.op_type} has no form in torch that equals golden's{reason}",
                    place=Place(plan.name, str(node.name), node.op_type),
                    help="fine-tune the float model, and compile it again",
                )
            )
    if problems:
        raise ModelError(problems)
    last: dict[str, int] = {}
    for position, step in enumerate(steps):
        last.update(dict.fromkeys([*step.inputs, *step.outputs], position))
    kept = {"", *(str(value.name) for value in plan.golden.graph.outputs)}
    for name, position in last.items():
        if name not in kept:
            steps[position].done.append(name)
    return steps


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """A constant of golden: float32 as it is, everything else in float64."""
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    return torch.from_numpy(np.array(array, dtype))
