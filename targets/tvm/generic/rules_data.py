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


def constant(request: Request) -> None:
    """A constant that the model gives as it is."""
    (attribute,) = request.node.attributes.values()
    if attribute.name != "value":
        raise request.refuse("a constant that is no tensor")
    array = attribute.as_tensor().numpy()
    request.call("Identity", [hold(request, "value", array)], attributes={})


def dropout(request: Request) -> None:
    """In inference: the input, and a mask that hides nothing."""
    training = request.constant(2)
    if request.has(2) and (training is None or training.any()):
        raise request.refuse("it is in training mode", "export the model for inference")
    if request.used(0):
        request.call("Identity", [request.operand(0)], attributes={})
    if request.used(1):
        mask = hold(request, "mask", np.ones(1, np.bool_))
        request.call("Identity", [mask], output=1, attributes={})


def max_unpool(request: Request) -> None:
    """Indices count in the result; with another shape than the windows give, that is unclear."""
    x, out = request.type(0).shape, request.result().shape
    kernel = request.attribute("kernel_shape", ())
    assert isinstance(kernel, tuple)
    rank = len(kernel)
    strides, pads = (
        request.attribute(name, (default,) * count)
        for name, default, count in (("strides", 1, rank), ("pads", 0, 2 * rank))
    )
    assert isinstance(strides, tuple)
    assert isinstance(pads, tuple)
    for axis, extent in enumerate(out[2:]):
        cut = int(pads[axis]) + int(pads[axis + rank])
        whole = ((x[2 + axis] or 0) - 1) * int(strides[axis]) + int(kernel[axis]) - cut
        if whole != extent:
            raise request.refuse("a shape that the windows do not give: indices are then unclear")
    request.call()
