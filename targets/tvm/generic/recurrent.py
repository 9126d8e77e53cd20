"""RNN, GRU and LSTM, step by step, one sample and direction after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.elementwise import sigmoid, softplus
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Index,
    Kernel,
    KernelFunction,
    const,
    dtype_of,
    int64,
    keep,
    nest,
    select,
    when,
)

_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_ALPHA = {"Affine": 1.0, "LeakyRelu": 0.01, "ThresholdedRelu": 1.0, "ScaledTanh": 1.0,
          "HardSigmoid": 0.2, "Elu": 1.0}  # fmt: skip
_BETA = {"Affine": 0.0, "ScaledTanh": 1.0, "HardSigmoid": 0.5}
_OUTPUTS = {"RNN": ("Y", "h"), "GRU": ("Y", "h"), "LSTM": ("Y", "h", "c")}

Function = Callable[[Expr], Expr]


def _function(name: str, alpha: float, beta: float) -> Function:
    """An activation by ONNX's name."""

    def c(value: float, x: Expr) -> Expr:
        return const(value, dtype_of(x))

    table: dict[str, Function] = {
        "Relu": lambda x: select(x < c(0, x), c(0, x), x),
        "Tanh": lambda x: n.libm("tanh", x),
        "Sigmoid": sigmoid,
        "Affine": lambda x: c(alpha, x) * x + c(beta, x),
        "LeakyRelu": lambda x: select(x < c(0, x), c(alpha, x) * x, x),
        "ThresholdedRelu": lambda x: select(x > c(alpha, x), x, c(0, x)),
        "ScaledTanh": lambda x: c(alpha, x) * n.libm("tanh", keep(c(beta, x) * x)),
        "HardSigmoid": lambda x: n.bounded(keep(c(alpha, x) * x + c(beta, x)), c(0, x), c(1, x)),
        "Elu": lambda x: select(x < c(0, x), c(alpha, x) * n.libm("expm1", x), x),
        "Softsign": lambda x: x / (c(1, x) + n.magnitude(x)),
        "Softplus": softplus,
    }
    function = table[name]
    return lambda x: keep(function(keep(x)))


class _Layer:
    """One direction of a recurrent node.

    Args:
        k: the call; attribute `activations` may name one set per direction.
        direction: 0 or 1.
    """

    def __init__(self, k: Kernel, direction: int) -> None:
        self.k, self.direction, self.op = k, direction, k.spec.op
        inputs = (*k.inputs, *[None] * 8)[:8]
        self.x, self.w, self.r, self.b, self.lengths, self.h0, self.c0, self.p = inputs
        self.units = int(self.r.shape[2])
        self.dtype = k.out.compute
        self.batch_first = bool(k.attribute("layout", 0))
        self.functions = self._functions()
        clip = k.attribute("clip", 0.0)
        self.clip = None if not clip else float(clip)
        self.h, self.c, self.next = (
            T.alloc_buffer((max(self.units, 1),), self.dtype) for _ in range(3)
        )
        self.reset = T.alloc_buffer((max(self.units, 1),), self.dtype)

    def _functions(self) -> list[Function]:
        default = _DEFAULTS[self.op]
        directions = 2 if self.k.attribute("direction", "forward") == "bidirectional" else 1
        names = self.k.attribute("activations", ()) or default * directions
        alphas = list(self.k.attribute("activation_alpha", ()))
        betas = list(self.k.attribute("activation_beta", ()))
        found = []
        for name in names:
            alpha = alphas.pop(0) if name in _ALPHA and alphas else _ALPHA.get(name, 0.0)
            beta = betas.pop(0) if name in _BETA and betas else _BETA.get(name, 0.0)
            found.append(_function(name, alpha, beta))
        start = self.direction * len(default)
        return found[start : start + len(default)]

    @property
    def reverse(self) -> bool:
        """Whether it reads from the end."""
        return self.direction == 1 or self.k.attribute("direction", "forward") == "reverse"

    def at(self, step: Expr, sample: Expr) -> list[Expr]:
        """The index of a step of a sample in a sequence."""
        return [sample, step] if self.batch_first else [step, sample]

    def state_at(self, sample: Expr, unit: Expr) -> list[Expr]:
        """The index of a unit in a first or last state."""
        d = int64(self.direction)
        return [sample, d, unit] if self.batch_first else [d, sample, unit]

    def start(self, state: Any, given: Array | None, sample: Expr) -> None:
        """Set a state to the given one or to zero."""
        with nest([self.units]) as (unit,):
            value = const(0, self.dtype) if given is None else given[self.state_at(sample, unit)]
            T.buffer_store(state, value, [unit])

    def bounded(self, value: Expr) -> Expr:
        """A sum within the clip."""
        if self.clip is None:
            return value
        high, low = const(self.clip, self.dtype), const(-self.clip, self.dtype)
        return keep(n.bounded(keep(value), low, high))

    def bias(self, row: Expr) -> Expr:
        """An entry of the biases: those of the input, then those of the state."""
        if self.b is None:
            return const(0, self.dtype)
        return self.b[[int64(self.direction), row]]

    def from_input(self, gate: int, unit: Expr, source: list[Expr]) -> Expr:
        """What the input adds to a gate, with its bias."""
        row = keep(unit + int64(gate * self.units))
        total = Cell(self.bias(row))
        with nest([self.x.shape[2]]) as (i,):
            weight = self.w[[int64(self.direction), row, i]]
            total.set(total.value + keep(self.x[[*source, i]] * weight))
        return total.value

    def from_state(self, gate: int, unit: Expr, state: Any) -> Expr:
        """What a state adds to a gate, with its bias."""
        gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[self.op]
        row = keep(unit + int64(gate * self.units))
        total = Cell(self.bias(row + int64(gates * self.units)))
        with nest([self.units]) as (i,):
            weight = self.r[[int64(self.direction), row, i]]
            total.set(total.value + keep(state[i] * weight))
        return total.value

    def gate(self, number: int, unit: Expr, source: list[Expr]) -> Expr:
        """Input and state of a gate, without its function."""
        one = keep(self.from_input(number, unit, source))
        return keep(one + self.from_state(number, unit, self.h))

    def step(self, source: list[Expr]) -> None:
        """One step: `next` becomes the new state, `c` the new cell."""
        {"RNN": self._rnn, "GRU": self._gru, "LSTM": self._lstm}[self.op](source)

    def _rnn(self, source: list[Expr]) -> None:
        with nest([self.units]) as (unit,):
            value = self.functions[0](self.bounded(self.gate(0, unit, source)))
            T.buffer_store(self.next, value, [unit])

    def _gru(self, source: list[Expr]) -> None:
        f, g = self.functions
        after = bool(self.k.attribute("linear_before_reset", 0))
        with nest([self.units]) as (unit,):
            r = f(self.bounded(self.gate(1, unit, source)))
            T.buffer_store(self.reset, r if after else r * self.h[unit], [unit])
        with nest([self.units]) as (unit,):
            z = f(self.bounded(self.gate(0, unit, source)))
            fresh = keep(self.from_input(2, unit, source))
            if after:
                recurrent = self.reset[unit] * keep(self.from_state(2, unit, self.h))
            else:
                recurrent = self.from_state(2, unit, self.reset)
            h = g(self.bounded(keep(fresh + recurrent)))
            one = const(1, self.dtype)
            T.buffer_store(self.next, keep((one - z) * h) + keep(z * self.h[unit]), [unit])

    def _peephole(self, number: int, unit: Expr, cell: Expr) -> Expr:
        if self.p is None:
            return const(0, self.dtype)
        return keep(self.p[[int64(self.direction), unit + int64(number * self.units)]] * cell)

    def _lstm(self, source: list[Expr]) -> None:
        f, g, h = self.functions
        coupled = bool(self.k.attribute("input_forget", 0))
        with nest([self.units]) as (unit,):
            old = keep(self.c[unit])
            entry = keep(self.gate(0, unit, source) + self._peephole(0, unit, old))
            i = f(self.bounded(entry))
            leave = keep(self.gate(2, unit, source) + self._peephole(2, unit, old))
            forget = keep(const(1, self.dtype) - i) if coupled else f(self.bounded(leave))
            fresh = g(self.bounded(self.gate(3, unit, source)))
            cell = keep(keep(forget * old) + keep(i * fresh))
            exit_ = keep(self.gate(1, unit, source) + self._peephole(1, unit, cell))
            o = f(self.bounded(exit_))
            T.buffer_store(self.c, cell, [unit])
            T.buffer_store(self.next, o * h(cell), [unit])


def _run(k: Kernel) -> None:
    """All directions; stores the output that the call is for."""
    directions = int(k.inputs[1].shape[0])
    wanted = _OUTPUTS[k.spec.op][k.spec.index]
    for direction in range(directions):
        layer = _Layer(k, direction)
        steps = layer.x.shape[1 if layer.batch_first else 0]
        samples = layer.x.shape[0 if layer.batch_first else 1]
        with nest([samples]) as (sample,):
            layer.start(layer.h, layer.h0, sample)
            layer.start(layer.c, layer.c0, sample)
            length = int64(steps) if layer.lengths is None else int64(layer.lengths[[sample]])
            length = keep(length)
            with nest([steps]) as (step,):
                _one_step(k, layer, step, sample, length, wanted)
            if wanted != "Y":
                state = layer.h if wanted == "h" else layer.c
                with nest([layer.units]) as (unit,):
                    k.out.store(layer.state_at(sample, unit), state[unit])


def _one_step(
    k: Kernel, layer: _Layer, step: Expr, sample: Expr, length: Expr, wanted: str
) -> None:
    place = keep(length - int64(1) - step) if layer.reverse else step
    with when(step < length):
        layer.step(layer.at(place, sample))
        with nest([layer.units]) as (unit,):
            T.buffer_store(layer.h, layer.next[unit], [unit])
            if wanted == "Y":
                k.out.store(_target(layer, place, sample, unit), layer.next[unit])
    if wanted == "Y":
        with when(step >= length), nest([layer.units]) as (unit,):
            k.out.store(_target(layer, step, sample, unit), const(0, layer.dtype))


def _target(layer: _Layer, step: Expr, sample: Expr, unit: Expr) -> Index:
    d = int64(layer.direction)
    return [sample, step, d, unit] if layer.batch_first else [step, d, sample, unit]


KERNELS: dict[str, KernelFunction] = {"GRU": _run, "LSTM": _run, "RNN": _run}
