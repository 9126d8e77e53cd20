"""Constant matrix products as hardware, three ways, in networks that are otherwise equal.

Activations, pipelining, synthesis and routing are actc's for all contestants. Products with
weights differ; and contestants with `stock mapping` are mapped to cells by yosys' own
command as it comes, as users of the others would do, where all others have actc's mapping
of sums to carry cells too (docs/adders.md).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.flow import synthesize
from actc.targets.fpga.hdl import Range, Wire
from actc.targets.fpga.network import products

Product = Callable[..., list[Wire]]

DA4ML = "da4ml==0.6.0"
DA4ML_HELP = f"pip install --no-deps --target FOLDER {DA4ML} quantizers, then --da4ml FOLDER"


def plain(
    matrix: npt.ArrayLike, inputs: Sequence[Wire], constants: Sequence[int], *_: Any
) -> list[Wire]:
    """Multiplications by constants, written as `*`, and balanced trees of sums."""
    return [
        _tree([wire * int(w) for wire, w in zip(inputs, row, strict=True) if w], int(constant))
        for row, constant in zip(np.asarray(matrix), constants, strict=True)
    ]


def _tree(terms: list[Wire], constant: int) -> Wire:
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [a + b for a, b in pairs] + terms[len(terms) // 2 * 2 :]
    return terms[0] + constant


def da4ml(
    matrix: npt.ArrayLike, inputs: Sequence[Wire], constants: Sequence[int], *_: Any
) -> list[Wire]:
    """The adder graph that da4ml's solver finds with its default options.

    Sun, Que, Loncar, Luk and Spiropulu, "da4ml: Distributed Arithmetic for Real-time Neural
    Networks on FPGAs", 2025.
    """
    from da4ml.cmvm import QInterval, solve

    intervals = [QInterval(float(x.range.low), float(x.range.high), 1.0) for x in inputs]
    kernel = np.ascontiguousarray(np.asarray(matrix).T, np.float32)
    one = np.eye(len(inputs))
    values = [_Scaled(wire, 0, form) for wire, form in zip(inputs, one, strict=True)]
    for stage in solve(kernel, qintervals=intervals).solutions:
        values = _stage(stage, values, inputs)
    return [
        value.integer() + int(constant) for value, constant in zip(values, constants, strict=True)
    ]


@dataclass(frozen=True)
class _Scaled:
    """A wire times a power of two, and that as a linear form of the inputs.

    Attributes:
        form: float64 [inputs].
    """

    wire: Wire
    exponent: int
    form: npt.NDArray[np.float64]

    def shifted(self, places: int) -> _Scaled:
        return _Scaled(self.wire, self.exponent + places, self.form * 2.0**places)

    def plus(self, other: _Scaled, sign: int) -> _Scaled:
        """The sum; bits of the first operand below the second pass without an adder."""
        if sign > 0 and other.exponent < self.exponent:
            return other.plus(self, 1)
        form = self.form + sign * other.form
        places = other.exponent - self.exponent
        if places <= 0:
            first = self.wire << -places
            total = first + other.wire if sign > 0 else first - other.wire
            return _Scaled(total, other.exponent, form)
        high = self.wire >> places
        total = high + other.wire if sign > 0 else high - other.wire
        word = (total.bits(0, total.width), total.width), (self.wire.bits(0, places), places)
        joined = total.graph.concatenate(*word)
        joined = joined.bits(0, total.width + places, signed=total.signed)
        return _Scaled(joined, self.exponent, form)

    def narrowed(self, inputs: Sequence[Wire]) -> _Scaled:
        """With its exact range, as actc's own sums have it."""
        ends = np.array([[x.range.low, x.range.high] for x in inputs]) * self.form[:, None]
        low, high = (float(end.sum()) / 2.0**self.exponent for end in (ends.min(1), ends.max(1)))
        wire = self.wire.narrow(Range(round(low), round(high)), "a sum of independent inputs")
        return _Scaled(wire, self.exponent, self.form)

    def integer(self) -> Wire:
        if self.exponent < 0:
            raise ValueError("an output of da4ml's graph is no integer")
        return self.wire << self.exponent


def _stage(stage: Any, values: list[_Scaled], inputs: Sequence[Wire]) -> list[_Scaled]:
    """One of da4ml's adder graphs: opcodes -1 (input), 0 (add) and 1 (subtract)."""
    given = [x.shifted(int(shift)) for x, shift in zip(values, stage.inp_shifts, strict=True)]
    known: list[_Scaled] = []
    for step in stage.ops:
        if step.opcode == -1:
            known.append(given[step.id0])
            continue
        if step.opcode not in (0, 1):
            raise ValueError(f"da4ml's operation {step.opcode} is no sum")
        second = known[step.id1].shifted(int(step.data))
        total = known[step.id0].plus(second, -1 if step.opcode else 1)
        known.append(total.narrowed(inputs))
    zero = _Scaled(inputs[0].graph.constant(0), 0, np.zeros(len(inputs)))
    found = []
    for index, shift, negative in zip(
        stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True
    ):
        value = known[index].shifted(int(shift)) if index >= 0 else zero
        found.append(_Scaled(-value.wire, value.exponent, -value.form) if negative else value)
    return found


@dataclass(frozen=True)
class Contestant:
    """Who makes the products, and who maps their sums to cells.

    Attributes:
        product: in place of actc's; None: actc's own.
        stock: whether yosys maps sums as it does by itself.
    """

    product: Product | None
    stock: bool = False


CONTESTANTS = {
    "actc": Contestant(None),
    "da4ml": Contestant(da4ml),
    "plain": Contestant(plain),
    "da4ml, stock mapping": Contestant(da4ml, stock=True),
    "plain, stock mapping": Contestant(plain, stock=True),
}


@contextmanager
def built_by(contestant: Contestant) -> Iterator[None]:
    """Networks that are built and synthesized inside are a contestant's."""
    with ExitStack() as changes:
        if contestant.product is not None:
            changes.enter_context(mock.patch.object(products, "linear", contestant.product))
        if contestant.stock:
            changes.enter_context(mock.patch.object(synthesize, "with_sums", _as_it_comes))
            changes.enter_context(mock.patch.object(synthesize, "improve", _nothing))
        yield


def _as_it_comes(command: str, family: str) -> list[str]:
    return [command]


def _nothing(document: dict[str, Any], family: str) -> None:
    return None


def find_da4ml(folder: Path | None) -> bool:
    """Whether da4ml can be imported, from `folder` where it was installed apart."""
    if folder is not None:
        sys.path.append(str(folder))
    try:
        import da4ml.cmvm  # noqa: F401
    except ImportError:
        return False
    return True
