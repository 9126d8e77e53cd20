"""Recurrent layers in numpy: fixed point from the first step to the last.

Pre-activations are integers ``p`` in steps of ``range / 2^(k + step_bits)``; a table of
2^k + 1 entries holds the function at every 2^step_bits-th of them, and the values
between are interpolated. Gates and states are fractions of 2^15, but where more bits
are said.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from actc.ir.dialect import DOMAIN
from actc.ir.spec.shared import Array, int32

_ONE = 15
"""Fraction bits of what the tables give."""
_FINE = 23
"""Fraction bits of the state of IntGru."""


def fixed_point(x: Array, bits: Array, low: Array, high: Array) -> Array:
    """clamp(rint(x * 2^bits), low, high), ties to even, NaN to 0; int32."""
    scaled = np.rint(np.ldexp(x.astype(np.float64), int(bits)))
    codes = np.clip(np.where(np.isnan(scaled), 0, scaled), int(low), int(high))
    return codes.astype(np.int32)


def int_lstm(
    acc: Array, h0: Array, c0: Array, r: Array, x_multiplier: Array, h_multiplier: Array,
    shift: Array, gate_table: Array, cell_table: Array, step_bits: Array, cell_bits: Array,
    cell_shift: Array, *, directions: list[int],
) -> tuple[Array, Array, Array]:  # fmt: skip
    """One direction of an LSTM; gates in ONNX's order i, o, f, c.

    Args:
        acc: int32 [T, N, 4H], x @ w + bias.
        h0, c0: int32 [N, H] or [1, H], fractions of 2^15 and of 2^cell_bits.
        r: int8 [H, 4H].
        x_multiplier, h_multiplier: int32 [4H], >= 0.
        shift: int32 [], 1..43.
        gate_table: uint16 [2^k + 1], fractions of 2^15.
        cell_table: int16 [2^k + 1], fractions of 2^15.
        step_bits: int32 [], steps between two entries, as a power of two.
        cell_bits: int32 [], fraction bits of c, 15..24.
        cell_shift: int32 [], from c to the steps of cell_table.
        directions: [0], or [1] from the last step to the first.

    Returns:
        y int32 [T, N, H], the last h int32 [N, H], the last c int32 [N, H] within 25 bits.
    """
    batch, hidden = acc.shape[1], r.shape[0]
    h, c = (_state(initial, batch, hidden) for initial in (h0, c0))
    y = np.empty((acc.shape[0], batch, hidden), np.int32)
    one, fraction, out = np.int64(1), int(cell_bits), int(cell_shift)
    for t in _steps(acc, directions):
        total = _scaled(acc[t], x_multiplier) + _scaled(_product(h, r), h_multiplier)
        p = _shifted(total, int(shift))
        gates = _interpolate(gate_table, p[:, : 3 * hidden], int(step_bits))
        i, o, f = np.split(gates, 3, axis=1)
        g = _interpolate(cell_table, p[:, 3 * hidden :], int(step_bits))
        c = _shifted(f * c + i * g * (one << (fraction - _ONE)), _ONE)
        c = np.clip(c, 1 - (one << 24), (one << 24) - 1)
        squashed = _interpolate(cell_table, _shifted(c, out), int(step_bits))
        h = _shifted(o * squashed, _ONE)
        y[t] = h
    return y, int32(h), int32(c)


def int_gru(
    acc: Array, h0: Array, r: Array, h_bias: Array, x_multiplier: Array, h_multiplier: Array,
    shift: Array, gate_table: Array, cell_table: Array, step_bits: Array, *,
    directions: list[int], reset_after: bool = True,
) -> tuple[Array, Array]:  # fmt: skip
    """One direction of a GRU; gates in ONNX's order z, r, h.

    The state has 23 fraction bits, for it is the layer's memory; the matrix reads the
    upper 15 of them.

    Args:
        acc: int32 [T, N, 3H], x @ w + bias.
        h0: int32 [N, H] or [1, H], fractions of 2^23.
        r: int8 [H, 3H].
        h_bias: int32 [H], added to h @ r of the third gate.
        x_multiplier, h_multiplier: int32 [3H], >= 0.
        shift: int32 [], 1..43.
        gate_table, cell_table, step_bits, directions: as in :func:`int_lstm`.
        reset_after: whether the reset gate multiplies h @ r + h_bias, not h
            (ONNX's linear_before_reset, which is what torch computes).

    Returns:
        y int32 [T, N, H] and the last h int32 [N, H], fractions of 2^23.
    """
    batch, hidden = acc.shape[1], r.shape[0]
    state = _state(h0, batch, hidden)
    y = np.empty((acc.shape[0], batch, hidden), np.int32)
    one, s, q = np.int64(1) << _ONE, int(shift), int(step_bits)
    cut = [2 * hidden]
    (x_gates, x_cell), (h_gates, h_cell) = (np.split(m, cut) for m in (x_multiplier, h_multiplier))
    r_gates, r_cell = np.split(r, cut, axis=1)
    for t in _steps(acc, directions):
        a_gates, a_cell = np.split(acc[t], cut, axis=1)
        h = _shifted(state, _FINE - _ONE)
        total = _scaled(a_gates, x_gates) + _scaled(_product(h, r_gates), h_gates)
        z, reset = np.split(_interpolate(gate_table, _shifted(total, s), q), 2, axis=1)
        if reset_after:
            inner = _shifted(_scaled(_product(h, r_cell) + h_bias, h_cell), s)
            p = _shifted(_scaled(a_cell, x_cell), s) + _shifted(reset * inner, _ONE)
        else:
            product = _product(_shifted(reset * h, _ONE), r_cell) + h_bias
            p = _shifted(_scaled(a_cell, x_cell) + _scaled(product, h_cell), s)
        g = _interpolate(cell_table, p, q) << (_FINE - _ONE)
        state = _shifted(z * state + (one - z) * g, _ONE)
        y[t] = state
    return y, int32(state)


def int_rnn(
    acc: Array, h0: Array, r: Array, x_multiplier: Array, h_multiplier: Array, shift: Array,
    cell_table: Array, step_bits: Array, *, directions: list[int],
) -> tuple[Array, Array]:  # fmt: skip
    """One direction of a plain recurrent layer: y, the last h; fractions of 2^15.

    Arguments as in :func:`int_lstm`, with one gate: acc int32 [T, N, H], r int8 [H, H].
    """
    h = _state(h0, acc.shape[1], r.shape[0])
    y = np.empty(acc.shape, np.int32)
    for t in _steps(acc, directions):
        total = _scaled(acc[t], x_multiplier) + _scaled(_product(h, r), h_multiplier)
        h = _interpolate(cell_table, _shifted(total, int(shift)), int(step_bits))
        y[t] = h
    return y, int32(h)


def _state(initial: Array, batch: int, hidden: int) -> Array:
    return np.broadcast_to(initial, (batch, hidden)).astype(np.int64)


def _steps(acc: Array, directions: list[int]) -> range:
    last = len(acc) - 1
    return range(last, -1, -1) if directions[0] else range(len(acc))


def _product(h: Array, r: Array) -> Array:
    # Float64 holds every sum exactly (below 2^53) and lets BLAS do the work.
    return np.asarray(h.astype(np.float64) @ r.astype(np.float64)).astype(np.int64)


def _scaled(sums: Array, multiplier: Array) -> Array:
    return sums.astype(np.int64) * multiplier.astype(np.int64)


def _shifted(values: Array, bits: int) -> Array:
    """values / 2^bits, rounded; ties towards plus infinity."""
    return np.asarray((values + ((1 << bits) >> 1)) >> bits)


def _interpolate(table: Array, p: Array, step_bits: int) -> Array:
    """The table between its entries; saturates at its ends. int64."""
    steps = (len(table) - 1) << step_bits
    u = np.clip(p + steps // 2, 0, steps - 1)
    entry, part = u >> step_bits, u & ((1 << step_bits) - 1)
    values = table.astype(np.int64)
    rise = values[entry + 1] - values[entry]
    return np.asarray(values[entry] + _shifted(rise * part, step_bits))


def _recurrent(name: str, function: Any, attributes: tuple[str, ...]) -> type[OpRun]:
    """`function`, which has several results, as an operator of onnx's reference evaluator."""

    def _run(self: OpRun, *inputs: Array, **given: Any) -> tuple[Array, ...]:
        results = function(*inputs, **{key: given[key] for key in attributes})
        return results if isinstance(results, tuple) else (results,)

    return type(name, (OpRun,), {"op_domain": DOMAIN, "_run": _run})


SPECIFICATION = [
    _recurrent("FixedPoint", fixed_point, ()),
    _recurrent("IntGru", int_gru, ("directions",)),
    _recurrent("IntGruResetBefore", partial(int_gru, reset_after=False), ("directions",)),
    _recurrent("IntLstm", int_lstm, ("directions",)),
    _recurrent("IntRnn", int_rnn, ("directions",)),
]
"""Implementations for onnx's reference evaluator."""
