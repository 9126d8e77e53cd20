"""The kernel of thresholds of the sample: sums of powers, a threshold by bisection, comparisons.

Numbers of many bits are limbs of 20 bits in int64, as golden has them. Importing this module
imports TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx
from tvm.tirx.script import builder as T

from actc.numerics.limbs import LIMB_BITS, PLACES
from actc.targets.tvm.kernels import tir
from actc.targets.tvm.kernels.elementwise import View, loops, open_views
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.kernels.reduce import Accumulator


def instance_steps_prim_func(name: str, spec: InstanceSteps, features: frozenset[str]) -> Any:
    """The PrimFunc of InstanceSteps; buffers as the specification says."""

    def body() -> None:
        batch = tir.batch_var(spec.batch)
        x = View("x", spec.x, batch)
        kernel = InstanceWork(spec, x)
        out = View("out", spec.out, batch)
        open_views(x, out)
        kernel.allocate()
        with loops([batch]) as (sample,):
            if spec.shared:
                kernel.clear()
            with loops([spec.channels]) as (channel,):
                if not spec.shared:
                    kernel.clear()
                kernel.add(sample, channel)
                if not spec.shared:
                    kernel.decide(sample, channel, out)
            if spec.shared:
                with loops([spec.channels]) as (channel,):
                    kernel.decide(sample, channel, out)

    return tir.prim_func(name, body)


def _int64(number: int) -> Any:
    return tirx.const(number, "int64")


def _high(value: Any, places: int = 1) -> Any:
    """What is left without the lowest limbs, rounded down."""
    return tirx.shift_right(value, _int64(LIMB_BITS * places))


def _low(value: Any) -> Any:
    """The lowest limb, from 0 on."""
    return tirx.bitwise_and(value, _int64((1 << LIMB_BITS) - 1))


class InstanceWork:
    """The constants' buffers, and numbers of one sample and channel.

    Args:
        spec: what to compute.
        x: the accumulators.
    """

    def __init__(self, spec: InstanceSteps, x: View) -> None:
        self._spec, self._x = spec, x
        table = spec.channels * spec.limbs
        factors = spec.digits * (table if spec.shared else spec.limbs)
        weights = spec.channels * len(spec.powers) * PLACES * spec.digits
        self._weights = T.arg("weights", T.buffer((weights,), "int64"))
        self._factor = T.arg("factor", T.buffer((factors,), "int64"))
        self._slope = T.arg("slope", T.buffer((table,), "int64"))
        self._offset = T.arg("offset", T.buffer((table,), "int64"))
        self._turned = T.arg("turned", T.buffer((spec.channels,), "int64"))
        self._values = T.arg("values", T.buffer((3,), "uint8"))
        self._statistic: Any = None
        self._level: Any = None

    def allocate(self) -> None:
        """Local buffers; behind the function's last argument."""
        scope = tir.register_scope()
        self._statistic = T.alloc_buffer((self._spec.digits,), "int64", scope=scope)
        self._level = T.alloc_buffer((self._spec.limbs,), "int64", scope=scope)

    def clear(self) -> None:
        """Let the statistic be 0."""
        with loops([self._spec.digits]) as (place,):
            T.buffer_store(self._statistic, _int64(0), [place])

    def add(self, sample: Any, channel: Any) -> None:
        """Add what a channel gives to the statistic."""
        spec = self._spec
        for index, power in enumerate(spec.powers):
            total = Accumulator("int64", 1)
            with loops(spec.positions) as place:
                value = T.Bind(self._load(sample, [channel, *place]))
                product = value
                for _ in range(power - 1):
                    product = product * value
                total.set(total.value(1) + product)
            first = (channel * len(spec.powers) + index) * (PLACES * spec.digits)
            sums = total.value(1)
            digits = [_low(_high(sums, place)) for place in range(PLACES - 1)]
            digits.append(_high(sums, PLACES - 1))
            with loops([spec.digits]) as (place,):
                found = self._statistic[place]
                for row, digit in enumerate(digits):
                    found = found + digit * self._weights[first + row * spec.digits + place]
                T.buffer_store(self._statistic, found, [place])
        self._carry(self._statistic, spec.digits)

    def decide(self, sample: Any, channel: Any, out: View) -> None:
        """Find where a channel's signs change, and compare its accumulators with that."""
        spec = self._spec
        first = T.Bind(channel * spec.limbs)
        row = spec.limbs * (spec.channels if spec.shared else 1)
        with loops([spec.limbs]) as (place,):
            total = Accumulator("int64", 1)
            total.set(self._offset[first + place])
            with loops([spec.digits]) as (digit,):
                at = digit * row + place + (first if spec.shared else 0)
                total.set(total.value(1) + self._factor[at] * self._statistic[digit])
            T.buffer_store(self._level, total.value(1), [place])
        self._carry(self._level, spec.limbs)
        turned = Accumulator("int64", 1)
        turned.set(self._turned[channel])
        ends = [self._bisect(first, turned, least) for least in (0, 1)]
        codes = [Accumulator("uint8", 1) for _ in range(3)]
        for number, code in enumerate(codes):
            code.set(self._values[_int64(1) + turned.value(1) * _int64(number - 1)])
        below, at_zero, above = (code.value(1) for code in codes)
        lower, upper = (end.value(1) for end in ends)
        with loops(spec.positions) as place:
            value = T.Bind(self._load(sample, [channel, *place]))
            high = tirx.Select(value >= upper, above, at_zero)
            out.store(out.at(sample, [channel, *place]), tirx.Select(value < lower, below, high))

    def _load(self, sample: Any, indices: Sequence[Any]) -> Any:
        return tir.cast("int64", self._x.load(self._x.at(sample, indices), 1))

    def _carry(self, buffer: Any, count: int) -> None:
        """Leave limbs from 0 to 2^20 - 1, but for the last."""
        if count > 1:
            with loops([count - 1]) as (place,):
                beyond = T.Bind(_high(buffer[place]))
                T.buffer_store(buffer, buffer[place + 1] + beyond, [place + 1])
                T.buffer_store(buffer, _low(buffer[place]), [place])

    def _bisect(self, first: Any, turned: Accumulator, least: int) -> Accumulator:
        """The least accumulator whose sign, turned to rise, is at least `least`."""
        below, reached = Accumulator("int64", 1), Accumulator("int64", 1)
        below.set(_int64(-(2**self._spec.bits) - 1))
        reached.set(_int64(2**self._spec.bits + 1))
        tried, sign = Accumulator("int64", 1), Accumulator("int64", 1)
        with loops([self._spec.bits + 2]):
            tried.set(tirx.shift_right(below.value(1) + reached.value(1), _int64(1)))
            self._sign(first, tried, sign.set)
            passed = Accumulator("int64", 1)
            yes = sign.value(1) * turned.value(1) >= _int64(least)
            passed.set(tirx.Select(yes, _int64(1), _int64(0)))
            took = passed.value(1) > _int64(0)
            reached.set(tirx.Select(took, tried.value(1), reached.value(1)))
            below.set(tirx.Select(took, below.value(1), tried.value(1)))
        return reached

    def _sign(self, first: Any, tried: Accumulator, store: Callable[[Any], None]) -> None:
        """The sign of slope * tried + level."""
        carry, some = Accumulator("int64", 1), Accumulator("int64", 1)
        with loops([self._spec.limbs]) as (place,):
            limb = Accumulator("int64", 1)
            product = self._slope[first + place] * tried.value(1)
            limb.set(self._level[place] + product + carry.value(1))
            some.set(tirx.bitwise_or(some.value(1), _low(limb.value(1))))
            carry.set(_high(limb.value(1)))
        nothing = tirx.bitwise_or(carry.value(1), some.value(1))
        positive = tirx.Select(nothing > _int64(0), _int64(1), _int64(0))
        store(tirx.Select(carry.value(1) < _int64(0), _int64(-1), positive))
