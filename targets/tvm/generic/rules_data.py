"""How nodes become calls where attributes are tensors or results are known. Pure Python."""

from __future__ import annotations

import math

import numpy as np

from actc.targets.tvm.generic.request import Request
from actc.targets.tvm.generic.spec import TensorType
from actc.targets.tvm.plan import Array


def hold(request: Request, what: str, array: Array) -> tuple[str, TensorType]:
    """A constant as an operand."""
    name = request.planner.add_constant(f"{request.node.outputs[0].name}.{what}", array)
    return name, TensorType(str(array.dtype), array.shape)


def split(request: Request) -> None:
    """One call per output; where each begins follows from the declared extents."""
    axis = request.integer("axis", 0) % request.type(0).rank
    inputs = [request.operand(index) for index in range(len(request.node.inputs))]
    start = 0
    for index in range(len(request.node.outputs)):
        if request.used(index):
            request.call(inputs=inputs, output=index, attributes={"axis": axis, "start": start})
        start += request.result(index).shape[axis] or 0


def shape(request: Request) -> None:
    """Shape and Size: numbers that are known."""
    kind = request.type(0)
    if None in kind.shape:
        raise request.refuse("the batch is not fixed", "fix the batch")
    extents = np.array(kind.shape, np.int64)
    if request.node.op_type == "Shape":
        array = extents[request.integer("start", 0) :]
        if "end" in request.node.attributes:
            array = extents[slice(request.integer("start", 0), request.integer("end", 0))]
    else:
        array = np.array(math.prod(extents.tolist()), np.int64)
    request.call("Identity", [hold(request, "known", array)], attributes={})


def constant_of_shape(request: Request) -> None:
    """The value is an attribute, and an operand of the kernel."""
    attribute = request.node.attributes.get("value")
    value = np.zeros(1, np.float32) if attribute is None else attribute.as_tensor().numpy()
    inputs = [request.operand(0), hold(request, "value", value)]
    request.call(inputs=inputs, attributes={})
