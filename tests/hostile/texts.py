"""Models whose names are no names: bytes that are no text, nothing, a megabyte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from hostile.case import MODEL, Case
from hostile.networks import Spoil, good, nodes, spoiled, written

_PLACE = "PLACEHLD"
_MEGABYTE = "n" * (1 << 20)
_NO_TEXT = b"\xff\xfeabcdef"
_SURROGATE = b"\xed\xa0\x80abcde"
INSPECT = ("inspect", MODEL)


def _renamed(old: str, new: str) -> Spoil:
    """Give a value, an input, an output or a weight another name."""

    def spoil(model: onnx.ModelProto) -> None:
        graph = model.graph
        for node in graph.node:
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]
        for value in (*graph.input, *graph.output, *graph.initializer):
            if value.name == old:
                value.name = new

    return spoil


def _node(field: str, text: str) -> Spoil:
    return lambda model: setattr(model.graph.node[1], field, text)


def _as_bytes(spoil: Spoil, text: bytes) -> Callable[[Path], object]:
    """What `spoil` calls PLACEHLD becomes bytes that no library would write."""
    model = good()
    spoil(model)
    content = model.SerializeToString()
    assert _PLACE.encode() in content
    return written(content.replace(_PLACE.encode(), text))


def _metadata(model: onnx.ModelProto) -> None:
    entry = model.metadata_props.add()
    entry.key = _PLACE


def _left(model: onnx.ModelProto) -> None:
    """An operator that stays in float, with a long name."""
    node = helper.make_node("Det", ["y3"], ["z"], name=_MEGABYTE)
    shape = helper.make_tensor("s", TensorProto.INT64, [3], [-1, 1, 1])
    model.graph.initializer.append(shape)
    cut = helper.make_node("ReduceSum", ["y", "axes"], ["y1"], keepdims=1)
    model.graph.initializer.append(helper.make_tensor("axes", TensorProto.INT64, [1], [1]))
    nodes(cut, helper.make_node("Reshape", ["y1", "s"], ["y3"]), node, shape=("batch",))(model)


def _case(
    name: str,
    title: str,
    make: Callable[[Path], object],
    status: int,
    *codes: str,
    command: tuple[str, ...] = (),
) -> Case:
    if command:
        return Case(f"name-{name}", title, make, status, codes, command=command)
    return Case(f"name-{name}", title, make, status, codes)


def _no_text(name: str, title: str, spoil: Spoil, text: bytes = _NO_TEXT) -> Case:
    return _case(name, title, _as_bytes(spoil, text), 3, "ACT0001")


CASES = (
    _no_text("input-bytes", "an input's name is no UTF-8", _renamed("x", _PLACE)),
    _no_text(
        "input-half", "an input's name is half a surrogate", _renamed("x", _PLACE), _SURROGATE
    ),
    _no_text("weight-bytes", "a weight's name is no UTF-8", _renamed("w", _PLACE)),
    _no_text("value-bytes", "a value's name is no UTF-8", _renamed("h", _PLACE)),
    _no_text("operator-bytes", "an operator's name is no UTF-8", _node("op_type", _PLACE)),
    _no_text("domain-bytes", "a domain is no UTF-8", _node("domain", _PLACE)),
    _no_text("doc-bytes", "a doc string is no UTF-8", _node("doc_string", _PLACE)),
    _no_text("metadata-bytes", "metadata is no UTF-8", _metadata),
    _case("input-nul", "an input's name holds a NUL", spoiled(_renamed("x", "a\0b")), 0),
    _case(
        "operator-nul",
        "an operator's name holds a NUL",
        spoiled(_node("op_type", "a\0b")),
        3,
        "ACT0101",
    ),
    _case("input-empty", "an input without a name", spoiled(_renamed("x", "")), 3, "ACT0007"),
    _case("output-empty", "an output without a name", spoiled(_renamed("y", "")), 3, "ACT0007"),
    _case("weight-empty", "a weight without a name", spoiled(_renamed("w", "")), 3, "ACT0007"),
    _case("value-empty", "a value without a name", spoiled(_renamed("h", "")), 3, "ACT0007"),
    _case("input-long", "an input's name of a megabyte", spoiled(_renamed("x", _MEGABYTE)), 0),
    _case(
        "operator-long",
        "an operator's name of a megabyte",
        spoiled(_node("op_type", _MEGABYTE)),
        3,
        "ACT0101",
    ),
    _case(
        "node-long",
        "a node's name of a megabyte",
        spoiled(_node("name", _MEGABYTE)),
        0,
        command=INSPECT,
    ),
    _case("left-long", "a node left in float, its name a megabyte", spoiled(_left), 0),
)
