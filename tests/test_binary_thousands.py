"""Thousands of random binary networks: float signs, golden, HLS C++ and RTL are the same.

Batch norms have gammas of both signs and zero, and sums tie (tests/binary_networks.py). Of each
network, golden runs in onnxruntime, the C++ of `bnn-hls` compiled with g++, the Verilog of the
FPGA targets in Icarus Verilog, all on the same samples; foldings are random.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
import pytest
from binary_levels import ALL_KINDS, SAMPLES, Case, Levels, build, cases, check, compare, told
from binary_networks import FORMS, random_network, reference
from installed import needs_gxx, needs_iverilog
from onnx import numpy_helper

pytestmark = [needs_gxx, needs_iverilog]

BATCH, BATCHES = 50, 40
"""Networks that are compiled and simulated together, and how many times."""
FEW = 101
"""One of so many is among the quick tests: twenty, of all kinds and forms."""


def test_some_networks_are_the_same_on_all_levels() -> None:
    built = check(cases(range(BATCH * BATCHES))[::FEW])
    assert {levels.case.kind for levels in built} == {*ALL_KINDS}
    assert {levels.case.form for levels in built} == {*FORMS}
    names = {level for levels in built for level in levels.found}
    assert names == {"onnxruntime", "golden", "C++", "RTL", "unrolled RTL"}


def test_networks_that_once_were_not() -> None:
    """Layers and branches that are constant, beside others that are not."""
    once = [
        Case(29, "residual conv", "where_le"),  # a sum of constants in Verilog
        Case(1510, "dense", "step"),  # an output that is 0, beside one that is -1 or 0
        Case(1727, "depthwise", "larq_down"),  # the same in a folded layer
    ]
    check(once)


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_thousands_of_networks_are_the_same_on_all_levels(batch: int) -> None:
    check(cases(range(batch * BATCH, (batch + 1) * BATCH)))


def test_batches_hold_all_kinds_and_forms_with_ties_and_all_signs_of_gamma() -> None:
    every = cases(range(BATCH * BATCHES))
    assert len({(case.kind, case.form) for case in every}) == len(ALL_KINDS) * len(FORMS)
    found = dict.fromkeys(("negative", "zero", "ties", "norms"), 0)
    for case in every[::19]:
        rng = np.random.default_rng(case.seed)
        model, feeds = random_network(rng, case.kind, case.form, SAMPLES)
        constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
        values = reference(model, feeds, *(node.output[0] for node in norms))
        for node in norms:
            gamma = constants[node.input[1]]
            found["norms"] += 1
            found["negative"] += bool((gamma < 0).any())
            found["zero"] += bool((gamma == 0).any())
            moving = np.moveaxis(values[node.output[0]], 1, -1)[..., gamma != 0]
            found["ties"] += bool((moving == 0).any())
    assert all(count > found["norms"] / 4 for count in found.values()), found


# -- defects are found, and where -------------------------------------------------------------


CASES = [Case(n, "dense", "bipolar") for n in range(3)]


@pytest.fixture(scope="module")
def right() -> list[Levels]:
    """Networks that are the same on all levels."""
    built = [build(case, f"net{n}") for n, case in enumerate(CASES)]
    assert compare(built) == {}
    return built


def changed(texts: Mapping[str, str], name: str, pattern: str, change: str) -> dict[str, str]:
    """The first group of a pattern replaced in a file."""
    found = re.search(pattern, texts[name])
    assert found is not None
    start, end = found.span(1)
    return {**texts, name: texts[name][:start] + change + texts[name][end:]}


def differing(right: list[Levels], wrong: Levels) -> dict[str, str]:
    """Levels in which a network differs; the others, in the same batch, do not."""
    built = [wrong if levels.case == wrong.case else levels for levels in right]
    found = compare([replace(levels, found=dict(levels.found)) for levels in built])
    assert {*found} == {wrong.case}
    assert wrong.case.repeated in told(found)
    return found[wrong.case]


def test_a_tie_the_wrong_way_in_golden_is_found() -> None:
    """Hidden sums that are thresholds count as lower ones; what is made of golden follows it."""

    def moved(golden: onnx.ModelProto) -> onnx.ModelProto:
        (held,) = (t for t in golden.graph.initializer if t.name == "sign2.breakpoints")
        breakpoints = numpy_helper.to_array(held)
        held.CopyFrom(
            numpy_helper.from_array((breakpoints + 1).astype(breakpoints.dtype), held.name)
        )
        return golden

    wrong = build(CASES[1], "net", moved)
    assert {*compare([wrong])[wrong.case]} >= {"golden inside", "golden", "C++", "RTL"}
    assert "onnxruntime" not in wrong.differing()


def test_a_wrong_threshold_in_cpp_is_found(right: list[Levels]) -> None:
    """An input of zero has the other sign, in one channel."""
    levels = right[1]
    name, pattern = "net1_parameters.h", r"layer_0_sign1_function = \{\s*\{\{(\d+)"
    old = re.search(pattern, levels.cpp.texts[name])
    assert old is not None
    texts = changed(levels.cpp.texts, name, pattern, str(int(old[1]) + 1))
    assert {*differing(right, replace(levels, cpp=replace(levels.cpp, texts=texts)))} == {"C++"}


def test_a_wrong_weight_in_verilog_is_found(right: list[Levels]) -> None:
    """One bit of the last layer's memory."""
    levels = next(
        own
        for own in right
        if f"{own.rtl.name}_{len(own.network.layers) - 1}_y_weights.v" in own.rtl.files
    )
    name = f"{levels.rtl.name}_{len(levels.network.layers) - 1}_y_weights.v"
    pattern = r"words\[0\] = \d+'h([0-9a-f]+)"
    old = re.search(pattern, levels.rtl.files[name])
    assert old is not None
    files = changed(levels.rtl.files, name, pattern, f"{int(old[1], 16) ^ 1:x}")
    assert {*differing(right, replace(levels, rtl=replace(levels.rtl, files=files)))} == {"RTL"}


def test_what_does_not_compile_or_never_ends_is_found(right: list[Levels]) -> None:
    """The other networks of the batch are compared all the same."""
    levels = right[2]
    texts = {**levels.cpp.texts, "net2.cpp": "#error planted\n" + levels.cpp.texts["net2.cpp"]}
    files = changed(levels.rtl.files, "net2.v", r"assign out_valid = (\w+);", "1'b0")
    wrong = replace(
        levels, cpp=replace(levels.cpp, texts=texts), rtl=replace(levels.rtl, files=files)
    )
    found = differing(right, wrong)
    assert {*found} == {"C++", "RTL"}
    assert "planted" in found["C++"]
    assert "ACT0523" in found["RTL"]
