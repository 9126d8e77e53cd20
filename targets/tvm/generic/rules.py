"""How nodes become calls of generic kernels, where one call per output is not enough.

Pure Python.
"""

from __future__ import annotations

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
