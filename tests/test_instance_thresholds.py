"""Thresholds of the sample's own in golden: every bit is that of fractions, however spelled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from instance_networks import (
    CHANNELS,
    CONV,
    DENSE,
    exact_margins,
    images,
    network,
    norm,
    sums_and_codes,
    tied,
)
from onnx import numpy_helper

import actc
from actc.ir import spec
from actc.ir.execute import Session

Array = np.ndarray[Any, Any]

ALL = {**CONV, **DENSE}
SOME = np.arange(CHANNELS) % 2 == 0
"""Channels whose numbers have few bits."""
CASES = [
    *((name, power, False, SOME) for name in CONV for power in (1, 3)),
    *(("mean of features", power, False, kind) for power in (1, 3) for kind in (SOME, SOME | True)),
    ("flat sum", 3, False, SOME | True),
    ("mul, input axes", 3, True, SOME),
]


def compiled(model: onnx.ModelProto, x: Array, folder: Path) -> tuple[onnx.ModelProto, Any]:
    artifact = actc.compile(model, "onnx", data={"image": x}, output=folder, max_drop=1.0)
    return onnx.load(folder / "golden.onnx"), artifact.report


@pytest.mark.parametrize(("name", "power", "spelled", "dyadic"), CASES)
def test_every_bit_is_that_of_fractions(
    name: str, power: int, spelled: bool, dyadic: Array, tmp_path: Path
) -> None:
    dense, seed = name in DENSE, 10 * len(name) + power
    x, few = images(dense), dyadic.astype(bool)
    if dense and not few.all():
        few = np.zeros_like(few)  # the channels share a statistic: none has few bits
    numbers = norm(seed, few)

    def made() -> onnx.ModelProto:
        return network(ALL[name], numbers, power=power, dense=dense, spelled=spelled, seed=seed)

    (sums,) = Session(made(), ["x"]).run({"image": x}).values()
    numbers = tied(numbers, few, sums, power)
    model = made()
    golden, report = compiled(model, x, tmp_path)
    assert [node.op_type for node in golden.graph.node].count("InstanceSteps") == 1
    assert not {item["code"] for item in report["diagnostics"]} & {"ACT0113", "ACT0118"}
    acc, bits = sums_and_codes(golden, x)
    np.testing.assert_array_equal(acc, sums)
    margins = exact_margins(acc, numbers, power)
    np.testing.assert_array_equal(bits, np.where(margins >= 0, 2, 0))
    assert set(np.unique(bits)) == {0, 2}
    ties = np.unique(np.argwhere(margins == 0)[:, 1])
    assert set(np.flatnonzero(few & (numbers.gamma != 0))) <= set(ties)
    # float32 has the same sign wherever its rounding cannot reach zero
    (real,) = Session(model, ["w"]).run({"image": x}).values()
    clear = np.abs(margins.astype(np.float64)) > 1e-5 * (1 + np.abs(acc).max() ** power)
    assert clear.mean() > 0.5
    np.testing.assert_array_equal((real > 0)[clear], (margins >= 0)[clear])
    # the whole model, by the specification
    (scores,) = spec.run(golden, {"image": x}).values()
    assert np.array_equal(scores, Session(golden).run({"image": x})["scores"])


def test_a_unit_off_is_seen(tmp_path: Path) -> None:
    """One unit of the last place in an offset changes the bits of ties."""
    numbers, x = norm(151, SOME), images(False)
    model = network(CONV["mul, input axes"], numbers, power=1, seed=151)
    golden, _ = compiled(model, x, tmp_path)
    acc, bits = sums_and_codes(golden, x)
    ties = exact_margins(acc, numbers, 1) == 0
    node = next(node for node in golden.graph.node if node.op_type == "InstanceSteps")
    held = next(t for t in golden.graph.initializer if t.name == node.input[5])
    offset = numpy_helper.to_array(held).copy()
    offset[..., 0] -= 1
    held.CopyFrom(numpy_helper.from_array(offset, held.name))
    _, changed = sums_and_codes(golden, x)
    np.testing.assert_array_equal(changed != bits, ties)
    assert ties.any()


def test_thresholds_that_are_no_polynomials_are_rounded_as_before(tmp_path: Path) -> None:
    middle = """
      e = Exp (y)  m = ReduceMean (e, axes)  t = Mul (b, m)  z = Sub (y, t)
      c = GreaterOrEqual (z, zero)  w = Where (c, one, minus)"""
    golden, report = compiled(network(middle, norm(1, SOME)), images(False), tmp_path)
    assert "InstanceSteps" not in {node.op_type for node in golden.graph.node}
    assert "ACT0118" in {item["code"] for item in report["diagnostics"]}


def test_what_else_reads_the_norm_keeps_it(tmp_path: Path) -> None:
    """A second branch from the batch norm changes nothing in the sign's bits."""
    middle = CONV["global pool"].replace("w = Where", "r = Relu (y)  w0 = Where")
    middle += "  scaled = Mul (r, tenth)  w = Add (w0, scaled)"
    numbers, x = norm(5, ~SOME), images(False)
    golden, _ = compiled(network(middle, numbers, seed=5), x, tmp_path)
    acc, bits = sums_and_codes(golden, x)
    np.testing.assert_array_equal(bits, np.where(exact_margins(acc, numbers, 3) >= 0, 2, 0))


def test_constants_of_many_bits_are_exact(tmp_path: Path) -> None:
    numbers, x = norm(7, ~SOME), images(False)
    tiny = numbers.beta.copy()
    tiny[0] = np.float32(1e-30)
    wide = replace(numbers, beta=tiny)
    golden, _ = compiled(network(CONV["global pool"], wide, seed=7), x, tmp_path / "a")
    acc, bits = sums_and_codes(golden, x)
    np.testing.assert_array_equal(bits, np.where(exact_margins(acc, wide, 3) >= 0, 2, 0))
