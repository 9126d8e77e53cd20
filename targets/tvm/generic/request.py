"""A node as the planning functions of the generic path see it. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from actc.targets.tvm.generic.declared import shape_of
from actc.targets.tvm.generic.spec import DTYPES, Attribute, Generic, TensorType
from actc.targets.tvm.layout import Tensor, plain
from actc.targets.tvm.plan import Array
from actc.targets.tvm.planner import Planner, Unsupported
from actc.targets.tvm.rules_common import ensure

_TYPES_HELP = (
    "cast it in front of the model or behind it: there are kernels for bool, integers of 8 to 64"
    " bits and floats of 16 to 64"
)
UNKNOWN_SHAPE = "ACT0460"
NO_GENERIC_KERNEL = "ACT0461"


class Request:
    """A node that is to be computed by generic kernels.

    Args:
        planner: what was planned so far.
        node: of ONNX's own domain.
    """

    def __init__(self, planner: Planner, node: ir.Node) -> None:
        self.planner = planner
        self.node = node

    # ---- what the node is ----------------------------------------------------------------

    def refuse(self, reason: str, help: str = "") -> Unsupported:
        """The exception for a use that has no generic kernel."""
        return Unsupported(f"{self.node.op_type}: {reason}", help, NO_GENERIC_KERNEL)

    def attribute(self, name: str, default: Attribute) -> Attribute:
        """An attribute of numbers or text, `default` where the node does not give it."""
        found = self.node.attributes.get(name)
        return default if found is None else _attribute(found)

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        found = self.attribute(name, default)
        assert isinstance(found, int)
        return found

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.node.inputs) and self.node.inputs[index] is not None

    def constant(self, index: int) -> Array | None:
        """The array of a constant input; None where it is absent or known only at run time."""
        return self.planner.constant(self.node.inputs[index]) if self.has(index) else None

    def integers(self, index: int) -> tuple[int, ...] | None:
        """A constant input of integers; None where it is absent or not constant."""
        array = self.constant(index)
        return None if array is None else tuple(int(v) for v in array.reshape(-1))

    def type(self, index: int) -> TensorType:
        """Type of input `index`.

        Raises:
            Unsupported: the element type has no generic kernel.
        """
        value = self.node.inputs[index]
        assert value is not None
        array = self.planner.constant(value)
        if array is not None:
            found = TensorType(str(array.dtype), array.shape)
        else:
            tensor = self.planner.tensors[str(value.name)]
            found = TensorType(tensor.dtype, tensor.shape)
        if found.dtype not in DTYPES:
            raise self.refuse(f"input {index} has elements of type {found.dtype}", _TYPES_HELP)
        return found

    def result(self, index: int = 0) -> TensorType:
        """Declared type of output `index`.

        Raises:
            Unsupported: its shape or type is not known, or has no generic kernel.
        """
        value = self.node.outputs[index]
        declared = shape_of(value)
        if declared is None or value.dtype is None:
            raise self._unknown(index)
        shape: list[int | None] = []
        for axis, extent in enumerate(declared):
            symbol = None if isinstance(extent, int) else extent.value
            if symbol is not None and (axis or symbol != self.planner.batch_name):
                raise self._unknown(index)
            if symbol is None and not isinstance(extent, int):
                raise self._unknown(index)
            shape.append(extent if isinstance(extent, int) else None)
        dtype = ir_dtype(value.dtype)
        if dtype not in DTYPES:
            raise self.refuse(f"output {index} has elements of type {dtype}", _TYPES_HELP)
        return TensorType(dtype, tuple(shape))

    def _unknown(self, index: int) -> Unsupported:
        value = self.node.outputs[index]
        extents = "" if value.shape is None else f": {value.shape}"
        return Unsupported(
            f"the shape of output {index} is not known before it runs{extents}",
            "fix the batch, make what decides the shape a constant, and declare the shapes of the"
            " model's outputs",
            UNKNOWN_SHAPE,
        )

    # ---- emitting ------------------------------------------------------------------------

    def used(self, index: int) -> bool:
        """Whether anything reads output `index`."""
        if index >= len(self.node.outputs):
            return False
        value = self.node.outputs[index]
        return bool(value.name) and (bool(value.uses()) or self.planner.is_output(value))

    def place(self, index: int) -> str | None:
        """Name of the row-major buffer or constant of input `index`; None where it is absent."""
        if not self.has(index):
            return None
        value = self.node.inputs[index]
        assert value is not None
        array = self.planner.constant(value)
        if array is not None:
            return self.planner.add_constant(str(value.name), np.ascontiguousarray(array))
        tensor = self.planner.tensors[str(value.name)]
        if 0 in tensor.shape:  # the runtime does not take an empty array for a compact one
            empty = np.zeros([extent or 0 for extent in tensor.shape], tensor.dtype)
            return self.planner.add_constant(f"{value.name}/empty", empty)
        return self.row_major(tensor).name

    def row_major(self, tensor: Tensor) -> Tensor:
        """The tensor in row-major order without padding, copied if it lies otherwise."""
        if tensor.plain:
            return tensor
        return ensure(self.planner, tensor, plain(tensor.name, tensor.dtype, tensor.shape))

    def call(
        self,
        op: str | None = None,
        inputs: Sequence[tuple[str, TensorType] | None] | None = None,
        output: int | TensorType = 0,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> tuple[str, TensorType]:
        """Emit one kernel call.

        Args:
            op: name in the registry, that of the node unless given.
            inputs: buffers or constants with their types, those of the node unless given.
            output: the output of the node that it computes, or the type of a temporary.
            attributes: instead of those of the node.

        Returns:
            the buffer that it writes, and its type: an input of further calls.
        """
        given = self.operands() if inputs is None else inputs
        found = self.attributes() if attributes is None else attributes
        types = tuple(None if item is None else item[1] for item in given)
        names = [item[0] for item in given if item is not None]
        value = self.node.outputs[output] if isinstance(output, int) else None
        index = output if isinstance(output, int) else 0
        kind = self.result(output) if isinstance(output, int) else output
        assert isinstance(kind, TensorType)
        name = str(value.name) if value is not None else self._temporary()
        spec = Generic(op or self.node.op_type, types, kind, tuple(sorted(found.items())), index)
        tensor = plain(name, kind.dtype, kind.shape)
        extents = tuple(int(extent or 0) for extent in kind.shape[1:])
        self.planner.emit(spec, names, tensor, value, extents)
        return name, kind

    def operands(self) -> list[tuple[str, TensorType] | None]:
        """All inputs of the node, as `call` takes them."""
        return [self.operand(index) for index in range(len(self.node.inputs))]

    def operand(self, index: int) -> tuple[str, TensorType] | None:
        """Input `index` of the node, as `call` takes it."""
        name = self.place(index)
        return None if name is None else (name, self.type(index))

    def attributes(self) -> dict[str, Attribute]:
        """All attributes of the node.

        Raises:
            Unsupported: one is no number, text, or list of them.
        """
        return {name: self.attribute(name, 0) for name in self.node.attributes}

    def _temporary(self) -> str:
        return self.planner.temporary(f"{self.node.outputs[0].name}.part")


def ir_dtype(dtype: ir.DataType) -> str:
    """numpy's name of an element type, ONNX's own for text."""
    return "string" if dtype == ir.DataType.STRING else str(dtype.numpy())


def _attribute(attribute: ir.Attr) -> Attribute:
    value = attribute.value
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, Sequence) and all(isinstance(v, (int, float, str)) for v in value):
        return tuple(value)
    raise Unsupported(f"attribute {attribute.name} is no number or text", code=NO_GENERIC_KERNEL)
