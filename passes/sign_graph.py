"""Read float graphs of binary networks: signs and steps as quantizers, few-valued weights.

Exporters write a binarized activation as Sign, as Where of a comparison, as a comparison cast and
scaled, or as a sign of a sign (Larq). All have a few values; a pair of QuantizeLinear and
DequantizeLinear behind them changes nothing, and makes what follows exact integers, as in a model
that somebody quantized. What sign(0) is remains what the model's operators make of it.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context, context_of
from actc.ir.elementwise import is_elementwise
from actc.ir.graph import add_constant, constant, dims, is_op, name_nodes, remove_dead
from actc.passes.fold import fold_constants
from actc.passes.inference import infer_shapes
from actc.passes.quantized.instances import spell_comparisons
from actc.passes.quantized.spelled_pair import pair_of, spelled_pair
from actc.passes.sign_estimators import drop_estimators
from actc.passes.sign_values import Few, few_values, grid_of, uniform
from actc.passes.sign_weights import LAYERS, exact_weights

_BEGIN = frozenset({"Ceil", "Floor", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
_BEGIN_ALSO = frozenset({"Round", "Sign", "QuantizeLinear"})
_MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Pad", "Reshape", "Slice", "Split", "Squeeze",
     "Transpose", "Unsqueeze"}
)  # fmt: skip
_BINARY = 3
"""Codes of a quantizer whose model may hold weights as plain numbers."""


def read_signs(model: ir.Model) -> bool:
    """Put quantizers behind what has few values, and note weights that are integers.

    Rules:

    1. x + (s - x), which a straight-through estimator leaves, is s.
    2. Constants are folded, unless the model has quantizers of its own; a comparison with a
       threshold of the sample's own becomes one with 0.
    3. A value that can only be one of a few multiples of one number gets a pair of QuantizeLinear
       and DequantizeLinear, where something else than its own elementwise graph reads it, or
       meets another tensor.
    4. In a model with such a value, or with a quantizer of two or three codes, weights that are
       integers times one scale per output channel go to ``facts["given"]``.

    Returns:
        Whether the model is binary, as rule 4 has it.
    """
    present = {node.op_type for node in model.graph} | {
        node.op_type for function in model.functions.values() for node in function
    }
    if not present & (_BEGIN | _BEGIN_ALSO):
        return False
    _prepare(model)
    spell_comparisons(model.graph)
    context = context_of(model)
    found = [*_steps(model, context)]
    if not found and not any(map(_is_binary, model.graph)):
        return False
    _hold_weights(model.graph, context)
    remove_dead(model.graph)
    infer_shapes(model)
    _report(context, found)
    return True


def _prepare(model: ir.Model) -> None:
    """Rules 1 and 2."""
    if model.functions:
        common.InlinePass()(model)
    common.RemoveInitializersFromInputsPass()(model)
    name_nodes(model.graph)
    common.NameFixPass()(model)
    drop_estimators(model.graph)
    if not any(is_op(node, "QuantizeLinear", "DequantizeLinear") for node in model.graph):
        fold_constants(model)
    infer_shapes(model)


def _steps(model: ir.Model, context: Context) -> list[str]:
    """Rule 3; the names of the values."""
    graph = model.graph
    few = few_values(graph)
    sources = _sources(graph, few)
    wanted = [value for value in few if _leaves(value, few, sources)]
    for value in few:
        _shrink_constants(graph, value, few)
    found = []
    for value in wanted:
        grid = grid_of(few[value])
        if grid is None:
            context.sink.add(_off_grid(context, value, few[value]))
            continue
        name = str(value.name)
        _insert(graph, value, *grid)
        found.append(name)
    return found


def _sources(graph: ir.Graph, few: dict[ir.Value, Few]) -> dict[ir.Value, ir.Value | None]:
    """What an elementwise value is computed from, if that is one value."""
    sources: dict[ir.Value, ir.Value | None] = {}
    for node in graph:
        inputs = [v for v in node.inputs if v is not None and constant(v) is None]
        inputs = [v for v in inputs if len(few.get(v, ())) != 1]
        begins = {sources.get(v, v) or v for v in inputs}
        joined = begins.pop() if is_elementwise(node) and len(begins) == 1 else None
        for output in node.outputs:
            sources[output] = joined
    return sources


def _leaves(
    value: ir.Value, few: dict[ir.Value, Few], sources: dict[ir.Value, ir.Value | None]
) -> bool:
    """Whether something reads the value that is no further function of the same numbers."""
    if value.dtype is None or not value.dtype.is_floating_point() or len(few[value]) < 2:
        return False
    if value.is_graph_output():
        return True
    return any(_reads(use.node, value, few, sources) for use in value.uses())


def _reads(
    node: ir.Node,
    value: ir.Value,
    few: dict[ir.Value, Few],
    sources: dict[ir.Value, ir.Value | None],
) -> bool:
    if is_op(node, "QuantizeLinear", "Shape", "ConstantOfShape"):
        return False
    if not is_elementwise(node):
        return _arrives(node)
    if any(output in few for output in node.outputs):
        return sources.get(node.outputs[0]) is None  # it joins values of several tensors
    variable = {v for v in node.inputs if v is not None and constant(v) is None}
    if variable == {value}:
        return True  # with numbers per channel
    return sources.get(node.outputs[0]) is None


def _arrives(node: ir.Node) -> bool:
    """Whether what a node moves is read by an operator that is more than a function of elements.

    Indicators of intervals, as in splines, are moved to meet other numbers: these are functions
    still, and no codes.
    """
    if node.op_type not in _MOVES:
        return True
    for output in node.outputs:
        if output.is_graph_output():
            return True
        for use in output.uses():
            reader = use.node
            if not is_elementwise(reader):
                if _arrives(reader):
                    return True
            elif {v for v in reader.inputs if v is not None and constant(v) is None} == {output}:
                return True  # with numbers per channel
    return False


def _insert(graph: ir.Graph, value: ir.Value, scale: float, low: int, high: int) -> None:
    """A pair behind `value`, whose name and readers it takes over."""
    node = value.producer()
    assert node is not None
    name = str(value.name)
    pair = spelled_pair(graph, value, scale, low, high, f"{name}_given")
    result = pair[-1].outputs[0]
    ir.convenience.replace_all_uses_with(value, result, replace_graph_outputs=True)
    pair[0].replace_input_with(0, value)
    graph.insert_after(node, pair)
    value.name, result.name = f"{name}_float", name


def _shrink_constants(graph: ir.Graph, value: ir.Value, few: dict[ir.Value, Few]) -> None:
    """Tensors of equal numbers become one number, where their shape adds nothing."""
    node = value.producer()
    if node is None or not is_elementwise(node):
        return
    for position, operand in enumerate(node.inputs):
        number = _one_number(operand, few)
        if operand is None or number is None or not _shaped(node, value, position):
            continue
        kind = operand.dtype.numpy() if operand.dtype is not None else np.float32
        held = add_constant(graph, f"{node.name}_number", np.array(number, kind))
        node.replace_input_with(position, held)


def _one_number(operand: ir.Value | None, few: dict[ir.Value, Few]) -> float | None:
    """What all elements of a tensor are, that is no single number already."""
    if operand is None:
        return None
    array = constant(operand)
    if array is not None:
        return None if array.size < 2 else uniform(operand)
    known = few.get(operand, frozenset())
    return next(iter(known)) if len(known) == 1 else None


def _shaped(node: ir.Node, value: ir.Value, position: int) -> bool:
    """Whether another operand alone gives the result its shape."""
    shape = dims(value)
    others = [dims(v) for i, v in enumerate(node.inputs) if i != position and v is not None]
    return shape is not None and any(other == shape for other in others)


def _is_binary(node: ir.Node) -> bool:
    """Whether `node` is a quantizer of two or three codes."""
    found = pair_of(node)
    return found is not None and found[1].high - found[1].low < _BINARY


def _hold_weights(graph: ir.Graph, context: Context) -> None:
    """Rule 4."""
    given = context.facts.setdefault("given", {})
    for node in graph:
        if is_op(node, *LAYERS) and str(node.name) not in given:
            weights = exact_weights(node)
            if weights is not None:
                given[str(node.name)] = weights


def _report(context: Context, found: list[str]) -> None:
    if not found:
        return
    held = context.facts["given"]
    binary = sum(str(w.form) == "ternary" for w in held.values())
    context.sink.add(
        Diagnostic(
            "ACT0116",
            f"a binary network: {len(found)} values are signs or steps and have the codes that "
            f"they imply; {binary} layers have binary or ternary weights, {len(held) - binary} "
            "others weights that are integers",
            severity="note",
            place=Place(context.file),
            notes=tuple(f"'{name}'" for name in found[:10]),
            help="golden keeps them exactly, and what sign(0) is in the model",
        )
    )


def _off_grid(context: Context, value: ir.Value, few: Few) -> Diagnostic:
    numbers = ", ".join(f"{number:g}" for number in sorted(few)[:4])
    return Diagnostic(
        "ACT0117",
        f"'{value.name}' has few values ({numbers}), but they are no multiples of one number",
        severity="warning",
        place=Place(context.file, str(value.name)),
        help="it gets codes from the data, which can be off by a rounding; let the values be "
        "integers times one scale",
    )
