"""The table of rules, and the walk over the nodes of the hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.graph import constant, is_op
from actc.targets.fpga.folded.lower import functions, joins, linear, moves, pairs, rows, windows
from actc.targets.fpga.folded.lower.tracked import CODE, Lowering
from actc.targets.fpga.folded.recurrent import batches, layers
from actc.targets.fpga.network.boundary import Cut
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import key_of

Rule = Callable[[Lowering, ir.Node], None]

RULES: dict[str, Rule] = {
    **dict.fromkeys(moves.MOVES, batches.move),
    **dict.fromkeys(batches.PARTS, batches.part),
    **dict.fromkeys(functions.RULES, functions.function),
    "::MaxPool": windows.max_pool,
    "::ReduceMax": windows.reduce_max,
    "actc::IntAdd": pairs.int_add,
    "actc::IntConv": linear.int_conv,
    "actc::IntGru": layers.recurrent,
    "actc::IntLstm": layers.recurrent,
    "actc::IntMatMul": linear.int_matmul,
    "actc::IntMul": pairs.int_mul,
    "actc::IntReduceMean": windows.int_reduce_mean,
    "actc::IntReduceSum": windows.int_reduce_sum,
    "actc::WideConv": linear.int_conv,
    "actc::WideMatMul": linear.int_matmul,
    "actc::WideMaxPool": windows.max_pool,
    "actc::WideMul": pairs.int_mul,
    "actc::WideReduceMax": windows.reduce_max,
}
"""Operators that have stages."""

MORE: dict[str, Rule] = {
    **RULES,
    "::ArgMax": rows.arg_max,
    "::Concat": joins.concat,
    "actc::IntLayerNorm": rows.int_layer_norm,
    "actc::IntProbabilities": rows.int_probabilities,
}
"""With those whose stages have no hardware in Verilog, nor in bnn-hls."""

_PARTS = "streams carry whole tensors; parts of them are not joined or taken"
_COMPARES = "there is no stage that compares"
_REASONS = {
    "::Concat": _PARTS,
    "::Pad": "padding is part of a convolution or pooling only",
    "::Split": _PARTS,
    "::ArgMax": _COMPARES,
    "::ArgMin": _COMPARES,
    "::Where": _COMPARES,
    "::DequantizeLinear": "it turns integers into floats inside the network",
    "::QuantizeLinear": "it quantizes what the network computes in float",
    "actc::IntGruResetBefore": "its reset gate multiplies the state in front of the matrix",
    "actc::IntRnn": "there is no stage for a plain recurrent layer; an LSTM or a GRU has one",
    "actc::IntBatchMatMul": "both operands of the product are computed",
    "actc::WideBatchMatMul": "both operands of the product are computed",
    "actc::IntEmbed": "there is no stage that looks up rows",
    "actc::IntLayerNorm": "there is no stage that divides by what it computes from the sample",
    "actc::IntLogSoftmax": "a log-softmax can only end the network: it is the host's",
    "actc::IntProbabilities": "its division is the host's, without --end probabilities",
    "actc::IntSoftmax": "a softmax can only end the network: it is the host's",
}
_NO_STAGE = "a folded network has no stage for it"
_HELP = "unroll the model if it is small, compile it with --target cpu or onnx, or change the layer"
_ELSEWHERE = "compile the model with --target hls4ml, cpu or onnx, or change the layer"


def lower(lowering: Lowering, parts: Cut, rules: Mapping[str, Rule] = RULES) -> list[Diagnostic]:
    """Run the rules of all nodes whose inputs are there; why some could not be folded.

    Args:
        rules: :data:`RULES`, or :data:`MORE`.
    """
    found = list(_refused(parts, rules))
    for node in parts.nodes:
        if node in lowering.done:  # with one in front of it: only its samples' axis is open
            batches.carry(lowering, node)
            continue
        known = key_of(node) in rules
        if not known or any(value not in lowering.values for value in _variable(node)):
            continue
        try:
            batches.check(lowering, node)
            rules[key_of(node)](lowering, node)
            batches.carry(lowering, node)
        except Unsupported as error:
            found.append(at(node, error))
    return found


def _refused(parts: Cut, rules: Mapping[str, Rule]) -> Iterator[Diagnostic]:
    refused: set[ir.Node | None] = set()
    for node in parts.nodes:
        if key_of(node) in rules:
            continue
        refused.add(node)
        back = is_op(node, "QuantizeLinear", "DequantizeLinear")
        source = node.inputs[0] if node.inputs else None
        if back and source is not None and source.producer() in refused:
            continue  # what is behind a refused operator goes with it
        help = _ELSEWHERE if key_of(node) in MORE else _HELP
        yield at(node, Unsupported(_REASONS.get(key_of(node), _NO_STAGE), help))


def at(node: ir.Node, error: Unsupported) -> Diagnostic:
    """Why a node cannot be folded."""
    text = f"operator {node.op_type} cannot be folded: {error.reason}"
    place = Place(node=str(node.name), op=node.op_type)
    return Diagnostic(coded(error), text, place=place, help=error.help)


def coded(error: Unsupported) -> str:
    """The code of an error; rules of unrolled networks have another one."""
    return CODE if error.code == "ACT0550" else error.code


def _variable(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and constant(value) is None]
