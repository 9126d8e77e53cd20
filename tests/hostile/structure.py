"""Graphs that no network has: cycles, deep nesting, recursion, versions that do not exist."""

from __future__ import annotations

from itertools import pairwise

import onnx
from onnx import TensorProto, helper

from hostile.case import Case
from hostile.networks import Spoil, constant, nodes, spoiled

_FLOAT = TensorProto.FLOAT


def _opsets(*pairs: tuple[str, int]) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        del model.opset_import[:]
        for domain, version in pairs:
            entry = model.opset_import.add()
            entry.domain, entry.version = domain, version

    return spoil


def _cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = "y"


def _self(model: onnx.ModelProto) -> None:
    model.graph.node[1].input[0] = "y"


def _order(model: onnx.ModelProto) -> None:
    first = onnx.NodeProto()
    first.CopyFrom(model.graph.node[0])
    del model.graph.node[0]
    model.graph.node.append(first)


def _same_value(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Tanh", ["h"], ["y"], name="again"))


def _same_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def _same_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def _weight_computed(model: onnx.ModelProto) -> None:
    model.graph.node[0].output[0] = "w"
    model.graph.node[1].input[0] = "w"


def _same_attribute(model: onnx.ModelProto) -> None:
    node = helper.make_node("Softmax", ["y"], ["z"], axis=1)
    node.attribute.append(node.attribute[0])
    nodes(node)(model)


def _wrong_attribute(model: onnx.ModelProto) -> None:
    nodes(helper.make_node("Softmax", ["y"], ["z"], axis="one"))(model)


def _ifs(depth: int) -> Spoil:
    """An If in each branch of an If."""

    def spoil(model: onnx.ModelProto) -> None:
        constant(model, "yes", True, "bool")
        result = [helper.make_tensor_value_info("t0", _FLOAT, None)]
        inner = helper.make_graph([helper.make_node("Relu", ["y"], ["t0"])], "g0", [], result)
        for level in range(1, depth + 1):
            name = f"t{level}"
            node = helper.make_node("If", ["yes"], [name], then_branch=inner, else_branch=inner)
            result = [helper.make_tensor_value_info(name, _FLOAT, None)]
            inner = helper.make_graph([node], f"g{level}", [], result)
        nodes(*inner.node)(model)

    return spoil


def _function(name: str, body: list[onnx.NodeProto]) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_function("local", name, ["a"], ["b"], body, imports)


def _calls(model: onnx.ModelProto, name: str) -> None:
    model.opset_import.append(helper.make_opsetid("local", 1))
    nodes(helper.make_node(name, ["y"], ["z"], name="call", domain="local"))(model)


def _recursive(model: onnx.ModelProto) -> None:
    body = [helper.make_node("f", ["a"], ["b"], domain="local")]
    model.functions.append(_function("f", body))
    _calls(model, "f")


def _mutual(model: onnx.ModelProto) -> None:
    for name, other in (("f", "g"), ("g", "f")):
        body = [helper.make_node(other, ["a"], ["b"], domain="local")]
        model.functions.append(_function(name, body))
    _calls(model, "f")


def _laughs(depth: int) -> Spoil:
    """A function that calls one twice, which calls one twice, and so on."""

    def spoil(model: onnx.ModelProto) -> None:
        model.functions.append(_function("f0", [helper.make_node("Relu", ["a"], ["b"])]))
        for level in range(1, depth + 1):
            inner = f"f{level - 1}"
            body = [
                helper.make_node(inner, ["a"], ["m"], domain="local"),
                helper.make_node(inner, ["m"], ["b"], domain="local"),
            ]
            model.functions.append(_function(f"f{level}", body))
        _calls(model, f"f{depth}")

    return spoil


def _chain(model: onnx.ModelProto) -> None:
    """Functions that call each other in a row, 5000 long."""
    model.functions.append(_function("f0", [helper.make_node("Relu", ["a"], ["b"])]))
    for level in range(1, 5001):
        body = [helper.make_node(f"f{level - 1}", ["a"], ["b"], domain="local")]
        model.functions.append(_function(f"f{level}", body))
    _calls(model, "f5000")


def _same_function(model: onnx.ModelProto) -> None:
    for op in ("Relu", "Tanh"):
        model.functions.append(_function("f", [helper.make_node(op, ["a"], ["b"])]))
    _calls(model, "f")


def _shadow(model: onnx.ModelProto) -> None:
    """A function that says it is ONNX's Sigmoid."""
    body = [helper.make_node("Relu", ["a"], ["b"])]
    imports = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Sigmoid", ["a"], ["b"], body, imports))


def _loop(trips: int) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        constant(model, "trips", trips)
        constant(model, "yes", True, "bool")
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["c"], ["c2"]),
                helper.make_node("Sin", ["v"], ["v2"]),
            ],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                helper.make_tensor_value_info("v", _FLOAT, ["batch", 3]),
            ],
            [
                helper.make_tensor_value_info("c2", TensorProto.BOOL, []),
                helper.make_tensor_value_info("v2", _FLOAT, ["batch", 3]),
            ],
        )
        node = helper.make_node("Loop", ["trips", "yes", "y"], ["z"], name="loop", body=body)
        nodes(node)(model)

    return spoil


def _long(model: onnx.ModelProto) -> None:
    names = ["y", *(f"n{k}" for k in range(1500))]
    nodes(*(helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)))(model)


def _unknown_everywhere(model: onnx.ModelProto) -> None:
    nodes(*(helper.make_node(f"Evil{k}", ["y"], [f"z{k}"]) for k in range(20_000)))(model)


def _no_graph(model: onnx.ModelProto) -> None:
    model.ClearField("graph")


def _no_nodes(model: onnx.ModelProto) -> None:
    del model.graph.node[:]


def _no_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def _no_inputs(model: onnx.ModelProto) -> None:
    del model.graph.input[:]


def _unknown_input(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[1] = "nobody"


def _case(
    name: str, title: str, spoil: Spoil, *codes: str, says: str = "", status: int = 3
) -> Case:
    return Case(name, title, spoiled(spoil), status, codes, says)


CASES = (
    _case("cycle", "a cycle of two nodes", _cycle, "ACT0007"),
    _case("self-cycle", "a node that reads itself", _self, "ACT0007"),
    _case("order", "nodes in the wrong order", _order, "ACT0007"),
    _case("same-value", "two nodes that compute one value", _same_value, "ACT0007"),
    _case("same-weight", "two weights of one name", _same_weight, "ACT0007"),
    _case("same-input", "two inputs of one name", _same_input, "ACT0007"),
    _case("weight-computed", "a weight that a node computes, too", _weight_computed, "ACT0007"),
    _case("same-attribute", "an attribute given twice", _same_attribute, "ACT0007"),
    _case("wrong-attribute", "an attribute of the wrong type", _wrong_attribute, "ACT0007"),
    _case("unknown-input", "a node that reads what nobody computes", _unknown_input, "ACT0007"),
    _case("no-graph", "no graph", _no_graph, "ACT0001"),
    _case("no-nodes", "no nodes", _no_nodes, "ACT0007"),
    _case("no-outputs", "no outputs", _no_outputs, "ACT0007"),
    _case("no-inputs", "no inputs", _no_inputs, "ACT0007"),
    _case("ifs", "If in If, 7 deep (255 graphs)", _ifs(7), status=0),
    _case("function-recursive", "a function that calls itself", _recursive, "ACT0061"),
    _case("function-mutual", "two functions that call each other", _mutual, "ACT0061"),
    _case(
        "function-laughs", "40 functions, each calling the one below twice", _laughs(40), "ACT0061"
    ),
    _case("function-chain", "5000 functions, each calling the one below", _chain, "ACT0061"),
    _case("function-twice", "two functions of one name", _same_function, "ACT0007"),
    _case("function-shadow", "a function in the place of an ONNX operator", _shadow, "ACT0007"),
    _case("loop-endless", "a Loop of 2^62 rounds", _loop(1 << 62), "ACT0061"),
    _case("long-chain", "1500 nodes in a row", _long, status=0),
    _case("unknown-many", "20,000 unknown operators", _unknown_everywhere, "ACT0101"),
    _case("opset-none", "no opset", _opsets(), "ACT0001"),
    _case("opset-zero", "opset 0", _opsets(("", 0)), "ACT0062"),
    _case("opset-negative", "opset -1", _opsets(("", -1)), "ACT0062"),
    _case("opset-huge", "opset 2^62", _opsets(("", 1 << 62)), "ACT0062"),
    _case("opset-twice", "two opsets of one domain", _opsets(("", 18), ("", 1)), "ACT0062"),
    _case(
        "opset-alias",
        "two opsets of one domain under its two names",
        _opsets(("", 18), ("ai.onnx", 7)),
        "ACT0062",
    ),
    _case("opset-unknown", "an opset of an unknown domain only", _opsets(("evil", 1)), "ACT0005"),
    _case("opset-old", "opset 1 of the year 2017", _opsets(("", 1)), status=0),
)
