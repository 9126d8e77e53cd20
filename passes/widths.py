"""How many bits the integers have that stand for a float value."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, is_op
from actc.numerics.quantization import MAX_BITS, MIN_BITS

MIXED, AUTO = "mixed", "auto"
MULTIPLIER_BITS, TABLE_BITS, WIDE_BITS = 8, 12, 16
"""Of policy "mixed": what multipliers take, what tables are indexed by, everything else."""

LEAST_DECIBELS, LEAST_INPUT_DECIBELS = 30.0, 40.0
"""Signal-to-noise ratio that multipliers' 8 bits must leave, inside and at the network's
inputs, whose noise no layer has seen in training; below, they take 16 bits."""

_LINEAR = frozenset(
    {
        "Conv", "ConvTranspose", "MatMul", "Gemm", "LSTM", "GRU", "RNN",
        "AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum",
    }
)  # fmt: skip
_TABLES = frozenset({"Activation", "LogSoftmax", "MaskedSoftmax", "Softmax"})


@dataclass(frozen=True, slots=True)
class Width:
    """Bits of a value.

    Attributes:
        bits: 2..16.
        narrow: whether linear operators take it in a second format, of 8 bits.
    """

    bits: int
    narrow: bool = False


def check_policy(policy: str) -> None:
    """Whether `policy` is "mixed" or a number of bits.

    Raises:
        UsageError: it is neither.
    """
    if policy == MIXED or (
        policy.isascii() and policy.isdecimal() and MIN_BITS <= int(policy) <= MAX_BITS
    ):
        return
    raise UsageError(
        Diagnostic(
            "ACT0224",
            f"--activations cannot be '{policy}'",
            help=f"give a number of bits, {MIN_BITS} to {MAX_BITS}, '{MIXED}': {_MEANING}, "
            f"'{AUTO}', or 'binary'",
        )
    )


_MEANING = (
    f"{MULTIPLIER_BITS} bits into multipliers, {TABLE_BITS} into tables, {WIDE_BITS} elsewhere"
)


def choose_width(
    members: Iterable[ir.Value],
    policy: str,
    chosen: Mapping[str, int] | None = None,
    *,
    clamps: Container[ir.Node] = (),
    noisy: bool = False,
) -> Width:
    """The bits of values that share a format.

    Args:
        members: all values of the format.
        policy: a number of bits for every value, or "mixed": 8 bits for what only linear
            operators read, 12 for what also activations read, 16 for everything else and
            in front of depthwise convolutions.
        chosen: value name -> bits, above the policy.
        clamps: activations that only saturate: they pass codes on.
        noisy: 8 bits lose more than multipliers may be given: they take the wide format
            (at "mixed", and where bits are given).
    """
    values = list(members)
    own = [(chosen or {}).get(str(value.name)) for value in values]
    given = [bits for bits in own if bits is not None]
    users = [user for value in values for user in value.consumers() if user not in clamps]
    roles = {_role(user) for user in users} - {"movement"}
    linear = "linear" in roles
    if given:
        bits = max(given)
        return Width(bits, narrow=linear and bits > MULTIPLIER_BITS and not noisy)
    if policy != MIXED:
        return Width(int(policy))
    rest = roles - {"linear"}
    if any(value.is_graph_output() for value in values):
        rest.add("output")
    if linear and noisy:
        return Width(WIDE_BITS)
    if not rest:
        return Width(MULTIPLIER_BITS)
    return Width(TABLE_BITS if rest == {"table"} else WIDE_BITS, narrow=linear)


def reads_narrow(value: ir.Value) -> bool:
    """Whether a linear operator reads `value`."""
    return any(_role(user) == "linear" for user in value.consumers())


def is_rotation(node: ir.Node) -> bool:
    """Whether a product is with a square matrix of entries of one magnitude.

    Its sums take no multipliers, so that a narrow format would save nothing.
    """
    matrix = constant(node.inputs[1]) if is_op(node, "MatMul") else None
    if matrix is None or matrix.ndim != 2 or len(matrix) < 2 or matrix.shape[1] != len(matrix):
        return False
    return bool(matrix[0, 0] != 0 and np.all(np.abs(matrix) == np.abs(matrix[0, 0])))


def _is_depthwise(node: ir.Node) -> bool:
    """Whether a convolution takes each channel by itself.

    Its sums are too short for the errors of 8 bits to cancel, and its multipliers are few.
    """
    weights = constant(node.inputs[1]) if is_op(node, "Conv") else None
    group = node.attributes.get("group")
    per_channel = weights is not None and weights.shape[1] == 1
    return per_channel and group is not None and group.as_int() > 1


def _role(node: ir.Node) -> str:
    if is_rotation(node):
        return "other"
    if node.op_type in _LINEAR and node.domain == "":
        return "other" if _is_depthwise(node) else "linear"
    if node.op_type in _TABLES and node.domain in ("", DOMAIN):
        return "table"
    return "movement" if node.domain == "" and node.op_type in MOVEMENT else "other"


MOVEMENT = frozenset(
    {
        "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat",
        "MaxPool", "GlobalMaxPool", "ReduceMax", "ReduceMin", "Identity", "Expand", "Tile", "Pad",
    }
)  # fmt: skip
"""Operators whose output codes are input codes: one format on both sides."""
