"""The table of rules, and the walk over the nodes of the hardware."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.graph import constant
from actc.targets.fpga.network import rules_arithmetic as arithmetic
from actc.targets.fpga.network import rules_choices as choices
from actc.targets.fpga.network import rules_codes as codes
from actc.targets.fpga.network import rules_extremes as extremes
from actc.targets.fpga.network import rules_linear as linear
from actc.targets.fpga.network import rules_moves as moves
from actc.targets.fpga.network.boundary import Cut
from actc.targets.fpga.network.builder import Builder, Unsupported
from actc.targets.fpga.network.elements import Layer

Rule = Callable[[Builder, ir.Node], None]

HEADS: dict[str, Rule] = {
    "::And": choices.compare,
    "::ArgMax": extremes.arg_extreme,
    "::ArgMin": extremes.arg_extreme,
    "::Equal": choices.compare,
    "::Greater": choices.compare,
    "::GreaterOrEqual": choices.compare,
    "::Less": choices.compare,
    "::LessOrEqual": choices.compare,
    "::MaxPool": extremes.max_pool,
    "::Or": choices.compare,
    "::ReduceMax": extremes.reduce_max,
    "::Where": choices.where,
    "::Xor": choices.compare,
    "actc.network::SoftmaxTerms": extremes.softmax,
    "actc::IntAdd": arithmetic.int_add,
    "actc::IntBatchMatMul": arithmetic.int_batch_matmul,
    "actc::IntConv": linear.int_conv,
    "actc::IntMatMul": linear.int_matmul,
    "actc::IntMul": arithmetic.int_mul,
    "actc::IntReduceMean": linear.int_reduce_mean,
    "actc::IntReduceSum": linear.int_reduce_sum,
    "actc::WideBatchMatMul": arithmetic.int_batch_matmul,
    "actc::WideConv": linear.int_conv,
    "actc::WideMatMul": linear.int_matmul,
    "actc::WideMaxPool": extremes.max_pool,
    "actc::WideMul": arithmetic.int_mul,
    "actc::WideReduceMax": extremes.reduce_max,
}
"""Operators that begin a layer: they join several elements."""

FOLLOWERS: dict[str, Rule] = {
    "::Cast": choices.cast,
    "::Concat": moves.concat,
    "::Flatten": moves.flatten,
    "::Gather": moves.gather,
    "::Identity": moves.identity,
    "::Not": choices.negation,
    "::Pad": moves.pad,
    "::Reshape": moves.reshape,
    "::Slice": moves.slice_,
    "::Split": moves.split,
    "::Squeeze": moves.squeeze,
    "::Transpose": moves.transpose,
    "::Unsqueeze": moves.unsqueeze,
    "actc::ChannelTable": codes.channel_table,
    "actc::IntEmbed": codes.int_embed,
    "actc::Requantize": codes.requantize,
    "actc::Steps": codes.steps,
    "actc::Table": codes.table,
}
"""Functions of one element, and what only moves elements: part of the layer that they read."""

RULES = HEADS | FOLLOWERS


def key_of(node: ir.Node) -> str:
    """The name of a node's operator in the table of rules."""
    return f"{node.domain}::{node.op_type}"


def lower(builder: Builder, parts: Cut) -> list[Diagnostic]:
    """Run the rules of all nodes whose inputs are there; why some could not be built."""
    found = []
    builder.leaving = frozenset(parts.exits)
    for node in parts.nodes:
        if node in builder.done:
            builder.tensors[node.outputs[0]].layer.nodes.append(str(node.name))
            continue
        known = key_of(node) in RULES
        if not known or any(value not in builder.tensors for value in _variable(node)):
            continue
        builder.layer = layer_of(builder, node)
        try:
            with builder.graph.scope(builder.layer.name):
                RULES[key_of(node)](builder, node)
        except Unsupported as error:
            place = Place(node=str(node.name), op=node.op_type)
            text = f"operator {node.op_type} cannot be unrolled: {error.reason}"
            found.append(Diagnostic(error.code, text, place=place, help=error.help))
    return found


def _variable(node: ir.Node) -> list[ir.Value]:
    return [value for value in node.inputs if value is not None and constant(value) is None]


def layer_of(builder: Builder, node: ir.Node) -> Layer:
    """The layer of a node: a new one for a head, else that of what it reads."""
    if key_of(node) in FOLLOWERS:
        for value in node.inputs:
            if value is not None and value in builder.tensors:
                layer = builder.tensors[value].layer
                if layer.name:  # inputs are in none
                    layer.nodes.append(str(node.name))
                    return layer
    return builder.begin(scope_of(node), node.op_type, str(node.name))


def scope_of(node: ir.Node) -> str:
    """The name of a layer: that of the model's node, which golden's node begins with."""
    name = str(node.name or node.outputs[0].name)
    head, _, last = name.rpartition("/")
    return head if head and last == node.op_type else name
