"""Sums of signs of two tensors in binary networks: exact, zero among them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from binary_networks import BRANCHED, FORMS, lowered, random_network, reference
from folded_programs import chain, samples
from installed import needs_iverilog
from models import network, proto_of, run
from quantized_models import codes_raised

from actc.targets.fpga.folded.folding import foldings
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    Stream,
    SumStage,
    Window,
)
from actc.targets.fpga.folded.simulation import simulate_folded
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.fpga.pipeline import find_timing

OPTIONS = HardwareOptions("ecp5", find_timing("ecp5-6"), 80.0)
NOT_EXACT = {"ACT0113", "ACT0117", "ACT0118"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", BRANCHED)
def test_random_networks_with_branches_are_exact(kind: str, form: str) -> None:
    model, feeds = random_network(np.random.default_rng(1), kind, form)
    result = lowered(model, feeds)
    golden = proto_of(result)
    got = run(golden, feeds)
    np.testing.assert_array_equal(got["y"], reference(model, feeds)["y"])
    assert not NOT_EXACT & {*codes_raised(result)}
    folded = build_folded(ir.from_proto(golden), "net")
    assert folded.agrees(folded.run(feeds), got).all()


WEIGHTS = {
    name: np.random.default_rng(seed).choice([-1.0, 1.0], (16, 16)).astype(np.float32)
    for seed, name in enumerate("abc")
}
FEEDS = {"x": np.random.default_rng(5).integers(-3, 4, (200, 16)).astype(np.float32)}


@pytest.mark.parametrize(
    ("branch", "exact"),
    [
        ("t = Add (s1, s0)", True),
        ("t = Sub (s0, s1)", True),
        ("d = Mul (s1, four)\nt = Add (d, s0)", True),
        ("t = Add (h, s0)", False),  # sums stay codes of 8 bits
        ("d = Mul (s1, s0)\nt = Add (d, s0)", False),
    ],
)
def test_what_is_not_exact_is_said(branch: str, exact: bool) -> None:
    body = f"""
        s0 = Sign (x)
        h = MatMul (s0, a)
        s1 = Sign (h)
        {branch}
        s2 = Sign (t)
        y = MatMul (s2, c)"""
    weights = {**WEIGHTS, "four": np.float32(4)}
    model = network("float[N,16] x => float[N,16] y", body, weights)
    result = lowered(model, FEEDS)
    found = {*codes_raised(result)} & NOT_EXACT
    assert found == (set() if exact else {"ACT0118"})
    if exact:
        sums = reference(model, FEEDS, "t")["t"]
        got = run(proto_of(result), FEEDS)["y"]
        np.testing.assert_array_equal(got, reference(model, FEEDS)["y"])
        assert (sums == 0).any() or "four" in branch


@needs_iverilog
@pytest.mark.parametrize("changing", [False, True])
def test_elements_that_are_constant_are_added(changing: bool) -> None:
    """Behind a gamma of zero all signs are the same, and such are their sums."""
    input, always = Stream(2, 2, 3, Range(0, 3)), Range(1, 1)
    constant = StepFunction(input.range, np.array([0]), np.array([1]))
    held = Stream(2, 2, 3, always)
    given = MapStage("given", (), (-1,), input, held, (constant,) * 3)
    ranges = (always, input.range if changing else always)
    sums = Range(sum(r.low for r in ranges), sum(r.high for r in ranges))
    result = Stream(2, 2, 3, sums)
    function = StepFunction.of(sums, np.arange(sums.low, sums.high + 1))
    total = SumStage("sum", (), (0, -1 if changing else 0), held, result, (1, 1), (function,) * 3)
    program = FoldedProgram((input,), (given, total), (1,))
    codes = samples(program, 4)
    for first, second in zip(foldings(given), foldings(total), strict=True):
        design = folded_design(program, [first, second], "core", OPTIONS, 1)
        found = simulate_folded(design, codes, simulator="icarus", pauses=True)
        assert np.array_equal(found.outputs, program.evaluate([codes])[0])


@needs_iverilog
def test_channels_that_are_zero_beside_negative_ones() -> None:
    """Totals of -1 and 0 are one bit, and so is a total that is always 0."""
    input = Stream(1, 2, 2, Range(0, 1))
    weights = np.array([[-1, 0], [0, 0]])
    output = Stream(1, 2, 2, Range(-1, 0))
    stage = MatrixStage(
        "last", (), (-1,), input, output, Window(), weights.reshape(2, 1, 1, 2),
        plain=np.zeros(2, np.int64),
    )  # fmt: skip
    program = chain(stage)
    codes = samples(program, 4)
    for folding in foldings(stage):
        if folding.pe == 2 and folding.buffer == folding.weights == "logic":
            design = folded_design(program, [folding], "core", OPTIONS, 1)
            found = simulate_folded(design, codes, simulator="icarus")
            assert np.array_equal(found.outputs, program.evaluate([codes])[0]), folding
