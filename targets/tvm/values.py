"""What a model declares of its values, and what the planner can say of them. Pure Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx_ir as ir

from actc.targets.tvm.layout import Shape, Tensor


class Unsupported(Exception):
    """A node that the target cannot lower.

    Args:
        reason: one sentence without a final period.
        help: what the user can do.
        code: diagnostic code.
    """

    def __init__(self, reason: str, help: str = "", code: str = "ACT0401") -> None:
        super().__init__(reason)
        self.reason, self.help, self.code = reason, help, code


def shape_of(value: ir.Value) -> Shape:
    """Shape of a model input; only the first axis may be symbolic.

    Raises:
        Unsupported
    """
    if value.shape is None:
        raise Unsupported("the shape of this input is not known", code="ACT0402")
    extents = [d if isinstance(d, int) else None for d in value.shape]
    if any(extent is None for extent in extents[1:]):
        raise Unsupported(
            f"only the batch axis may vary, but the shape is {value.shape}",
            "fix the other axes, e.g. with onnxruntime.tools.make_dynamic_shape_fixed",
            code="ACT0402",
        )
    return tuple(extents)


def dtype_of(value: ir.Value) -> str:
    """numpy's name of a value's element type.

    Raises:
        Unsupported
    """
    if value.dtype is None:
        raise Unsupported("the element type of this input is not known", code="ACT0402")
    return str(value.dtype.numpy())


def ordinary(node: ir.Node, tensors: Mapping[str, Tensor]) -> bool:
    """Whether all operands and results have axes and elements, as scheduled rules expect.

    And no operand is bfloat16, which TVM does not move in vectors.
    """
    given = [tensors.get(str(value.name)) for value in node.inputs if value is not None]
    found = [tensor for tensor in given if tensor is not None]
    shapes: list[tuple[object, ...]] = [tensor.shape for tensor in found]
    shapes += [tuple(value.shape) for value in node.outputs if value.shape is not None]
    plain = all(tensor.dtype != "bfloat16" for tensor in found)
    return plain and all(shape and 0 not in shape for shape in shapes)


def as_declared(values: Mapping[str, ir.Value], tensors: Iterable[tuple[str, Tensor]]) -> bool:
    """Whether tensors have the types and shapes that the model declares of the values.

    Args:
        values: those of the model, by name.
        tensors: names of values, and where they lie.
    """
    return all(_agrees(values[name], tensor) for name, tensor in tensors if name in values)


def _agrees(value: ir.Value, tensor: Tensor) -> bool:
    if value.dtype is not None and str(value.dtype.numpy()) != tensor.dtype:
        return False
    if value.shape is None:
        return True
    pairs = zip(value.shape, tensor.shape, strict=False)
    return len(value.shape) == len(tensor.shape) and all(
        a == b or b is None or not isinstance(a, int) for a, b in pairs
    )
