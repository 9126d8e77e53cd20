"""How nodes become calls of generic kernels, where one call per output is not enough.

Pure Python.
"""

from __future__ import annotations

from collections.abc import Callable

from actc.targets.tvm.generic.request import Request


def direct(request: Request) -> None:
    """One call per used output, with all inputs and attributes of the node."""
    for index in range(len(request.node.outputs)):
        if request.used(index):
            request.call(output=index)


def broadcasting(request: Request) -> None:
    """An elementwise operator: one call; the operands broadcast to the declared shape."""
    request.call()


def cast(request: Request) -> None:
    """Cast or CastLike: the type is that of the result, the second input is not read."""
    request.call(inputs=[request.operand(0)], attributes={})


def axis_of(request: Request, axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        Unsupported: there is no such axis.
    """
    if not -rank <= axis < max(rank, 1):
        raise request.refuse(f"there is no axis {axis} in {rank} axes")
    return axis % max(rank, 1)


def along_axis(default: int) -> Callable[[Request], None]:
    """The plan of an operator along one axis, an attribute."""

    def plan(request: Request) -> None:
        axis = axis_of(request, request.integer("axis", default), request.type(0).rank)
        attributes = {**request.attributes(), "axis": axis}
        for index in range(len(request.node.outputs)):
            if request.used(index):
                request.call(output=index, attributes=attributes)

    return plan


def reduction(request: Request) -> None:
    """Reduce*: the axes are constants, or an input that the kernel reads."""
    rank = request.type(0).rank
    axes = request.attribute("axes", ())
    given = tuple(int(axis) for axis in axes) if isinstance(axes, tuple) else ()
    if request.has(1):
        constant = () if request.type(1).size == 0 else request.integers(1)
        if constant is None:
            request.call(attributes={})
            return
        given = constant
    over = sorted({axis_of(request, axis, rank) for axis in given})
    if not over and not request.integer("noop_with_empty_axes", 0):
        over = list(range(rank))
    request.call(inputs=[request.operand(0)], attributes={"axes": tuple(over)})


def cumulative(request: Request) -> None:
    """CumSum and its like: the axis is a constant, or an input that the kernel reads."""
    attributes = request.attributes()
    axes = request.integers(1)
    if axes is None:
        request.call(attributes=attributes)
        return
    attributes["axis"] = axis_of(request, axes[0], request.type(0).rank)
    request.call(inputs=[request.operand(0)], attributes=attributes)


def einsum(request: Request) -> None:
    """Einsum: every axis gets a letter, those of an ellipsis ones that no equation has."""
    equation = str(request.attribute("equation", "")).replace(" ", "")
    left, arrow, right = equation.partition("->")
    types = [request.type(index) for index in range(len(request.node.inputs))]
    written = left.split(",")
    if len(written) != len(types):
        raise request.refuse(f"the equation {equation} is not one of {len(types)} operands")
    wide = max(
        kind.rank - len(term.replace("...", "")) if "..." in term else 0
        for term, kind in zip(written, types, strict=True)
    )
    letters = "".join(chr(0x100 + i) for i in range(wide))
    terms: list[str] = []
    for term, kind in zip(written, types, strict=True):
        own = kind.rank - len(term.replace("...", ""))
        full = term.replace("...", letters[wide - own :] if own > 0 else "")
        if len(full) != kind.rank:
            raise request.refuse(f"{term} does not name the axes of shape {kind.shape}")
        terms.append(full)
    if arrow:
        result = right.replace("...", letters)
    else:
        once = sorted({c for c in left if c.isalpha() and left.count(c) == 1})
        result = letters + "".join(once)
    request.call(attributes={"terms": tuple(terms), "result": result})


def batch_normalization(request: Request) -> None:
    """BatchNormalization as it runs after training."""
    if request.integer("training_mode", 0):
        raise request.refuse("training_mode=1 is for training")
    request.call()
