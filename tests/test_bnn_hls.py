"""Target bnn-hls: the C++ of random networks, folded at random, gives what golden gives."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from binary_networks import golden_of, random_network, reference
from bnn_hls_designs import RANGES, check, designed, matrix, network, written
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_gxx

from actc.errors import ModelError, ToolFailed
from actc.targets.bnn_hls.assembly import design_of
from actc.targets.bnn_hls.choice import minimize
from actc.targets.bnn_hls.dataflow import dataflow
from actc.targets.bnn_hls.encode import encode
from actc.targets.bnn_hls.options import Options
from actc.targets.bnn_hls.simulation import (
    compile_testbench,
    compile_threaded,
    pack,
    run_testbench,
    run_threaded,
    sources,
    threaded,
    unpack,
    write_sources,
)
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.program import FoldedProgram, Stream, SumStage, Window
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range

Array = np.ndarray[Any, Any]


def random_program(seed: int) -> FoldedProgram:
    rng = np.random.default_rng(seed)
    dense = seed % 3 == 0
    if dense:
        return network(rng, first=Stream(1, 1, int(rng.integers(1, 13)), Range(-8, 7)), dense=True)
    rows, columns, channels = (int(rng.integers(1, most)) for most in (7, 7, 5))
    return network(rng, first=Stream(rows, columns, channels, Range(0, 15)))


@needs_gxx
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_folded_at_random(seed: int, tmp_path: Path) -> None:
    program = random_program(seed)
    check(program, designed(program, np.random.default_rng(seed)), tmp_path)


@pytest.mark.slow
@needs_gxx
@pytest.mark.parametrize("seed", range(8, 60))
def test_more_random_programs(seed: int, tmp_path: Path) -> None:
    program = random_program(seed)
    check(program, designed(program, np.random.default_rng(seed)), tmp_path)


@needs_gxx
@pytest.mark.parametrize("kind", ["dense", "conv", "depthwise"])
def test_random_binary_networks_equal_the_float_signs(kind: str, tmp_path: Path) -> None:
    model, feeds = random_network(np.random.default_rng(3), kind)
    golden = ir.from_proto(golden_of(model, feeds))
    folded = build_folded(golden, "bnn_net")
    design = design_of(folded, "bnn_net", Options())
    words = folded.prologue(feeds)[0]
    outputs = folded.epilogue([run_testbench(design, written(design, tmp_path), words, tmp_path)])
    right = folded.run(feeds)
    assert all(np.array_equal(outputs[name], right[name]) for name in right)
    np.testing.assert_allclose(outputs["y"], reference(model, feeds)["y"], atol=1e-4, rtol=1e-4)


# --- whole windows, words of all channels


def convolution(padding: int, values: tuple[int, int], outside: int) -> FoldedProgram:
    rng = np.random.default_rng(7)
    input = Stream(6, 5, 4, RANGES["few"])
    read = Window((3, 3), before=(padding, padding), after=(padding, padding))
    first = matrix(rng, "first", -1, input, kind="signs", weights="signs", shape=Window())
    middle = matrix(
        rng, "middle", 0, first.output, kind="bits", weights="signs", values=values, shape=read
    )
    middle = replace(middle, outside=outside)
    last = matrix(rng, "last", 1, middle.output, kind="bits", plain=True, shape=Window())
    return FoldedProgram((input,), (first, middle, last), (2,))


@needs_gxx
@pytest.mark.parametrize("outside", [-1, 0, 1])
def test_unrolled_with_each_padding(outside: int, tmp_path: Path) -> None:
    program = convolution(1, (-1, 1), outside)
    layer = encode(program, "net").layers[1]
    assert getattr(layer, "product", "") == ("xnor" if outside else "centred xnor")
    fast = designed(program, clocks=60)
    assert fast.choice.foldings[1].windows == "lines"
    assert fast.choice.interval <= 60
    check(program, fast, tmp_path)


def test_two_values_are_one_bit() -> None:
    """As the layer in front of them gives them: 12 bits in, thresholds on counts."""
    program = convolution(0, (-1, 1), 1)
    first, middle, _ = encode(program, "net").layers
    assert first.output.code.bits == middle.input.code.bits == 1
    assert middle.totals == Range(0, 9 * first.output.channels)


# --- defects are found


@needs_gxx
@pytest.mark.parametrize("what", ["weight", "threshold"])
def test_a_wrong_constant_is_found(what: str, tmp_path: Path) -> None:
    program = convolution(1, (-1, 1), 1)
    design = designed(program)
    files = sources(design)
    name = f"{design.network.name}_parameters.h"
    # the last layer gives its totals, where no change is lost; thresholds of all channels move
    pattern = r"layer_2_last_weights\[.*?\{\{(0x[0-9a-f]+)"
    if what == "threshold":
        pattern = r"layer_1_middle_function = \{\s*(\{\{.*?\}\})"
    found = re.search(pattern, files[name], re.DOTALL)
    assert found is not None
    start, end = found.span(1)
    moved = re.sub(r"\d+", lambda number: str(int(number[0]) + 2), found[1])
    changed = moved if what == "threshold" else hex(int(found[1], 16) ^ 1)
    files[name] = files[name][:start] + changed + files[name][end:]
    write_sources(tmp_path / "hls", files)
    compile_testbench(tmp_path / "hls", design.network.name, tmp_path / "bench", ("-O0",))
    rng = np.random.default_rng(1)
    given = rng.integers(0, 3, (200, *program.entries[0].shape))
    wrong = run_testbench(design, tmp_path / "bench", given, tmp_path)
    assert not np.array_equal(wrong, program.evaluate([given])[0])


# --- queues


def residual() -> FoldedProgram:
    rng = np.random.default_rng(11)
    input = Stream(8, 8, 2, RANGES["few"])
    read = Window((3, 3), before=(1, 1), after=(1, 1))
    inner = replace(
        matrix(rng, "inner", -1, input, kind="few", depthwise=True, weights="signs", shape=read),
        outside=0,
    )
    total = StepFunction.of(Range(0, 4), np.arange(5))
    added = SumStage(
        "sum", (), (-1, 0), input, replace(input, range=Range(0, 4)), (1, 1), (total,) * 2
    )
    return FoldedProgram((input,), (inner, added), (1,))


@needs_gxx
def test_queues_are_long_enough(tmp_path: Path) -> None:
    program = residual()
    design = designed(program)
    write_sources(tmp_path / "hls", sources(design))
    text = threaded(design)
    samples = np.random.default_rng(2).integers(0, 3, (4, *program.entries[0].shape))
    (tmp_path / "threads.cpp").write_text(text)
    compile_threaded(tmp_path / "hls", tmp_path / "threads.cpp", tmp_path / "threads")
    found = run_threaded(design, tmp_path / "threads", samples, tmp_path)
    np.testing.assert_array_equal(found, program.evaluate([samples])[0])
    deep = max(queue.depth for queue in dataflow(design.network, design.choice).queues)
    assert f"set_depth({deep});" in text
    (tmp_path / "threads.cpp").write_text(text.replace(f"set_depth({deep});", "set_depth(2);"))
    compile_threaded(tmp_path / "hls", tmp_path / "threads.cpp", tmp_path / "threads")
    with pytest.raises(ToolFailed):
        run_threaded(design, tmp_path / "threads", samples, tmp_path, seconds=2)


# --- foldings


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_the_choice_is_exact(seed: int) -> None:
    """Elimination finds what trying all combinations finds."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, int(rng.integers(1, 6))).tolist()
    factors: list[tuple[tuple[int, ...], Array]] = []
    for _ in range(int(rng.integers(1, 9))):
        scope = tuple(rng.permutation(len(sizes))[: int(rng.integers(1, 3))].tolist())
        table = rng.integers(0, 50, [sizes[v] for v in scope]).astype(float)
        table[rng.random(table.shape) < 0.1] = np.inf
        factors.append((scope, table))

    def cost(values: tuple[int, ...]) -> float:
        return float(sum(table[tuple(values[v] for v in scope)] for scope, table in factors))

    best = min(map(cost, itertools.product(*map(range, sizes))))
    found = minimize(sizes, factors)
    assert (found is None) == np.isinf(best)
    if found is not None:
        assert cost(tuple(found)) == best


def test_throughput_buys_logic() -> None:
    program = convolution(1, (-1, 1), 1)
    slow, fast = designed(program), designed(program, clocks=60)
    assert fast.choice.interval <= 60 < slow.choice.interval
    assert fast.choice.luts > slow.choice.luts


def test_what_is_too_fast_is_refused() -> None:
    model, feeds = random_network(np.random.default_rng(3), "conv")
    folded = build_folded(ir.from_proto(golden_of(model, feeds)), "net")
    with pytest.raises(ModelError) as caught:
        design_of(folded, "net", Options(throughput=1e9))
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0422"
    assert "clocks per sample" in problem.notes[0]


# --- words of the border


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 5, 8, 12, 16, 31]), st.booleans())
def test_words_hold_what_was_packed(seed: int, bits: int, signed: bool) -> None:
    program = residual()
    port = encode(program, "net").entry
    low = -(1 << (bits - 1)) if signed else 0
    code = replace(port.code, range=Range(low, low + (1 << bits) - 1))
    port = replace(port, code=code)
    rng = np.random.default_rng(seed)
    shape = (3, port.rows, port.columns, port.channels)
    values = rng.integers(code.range.low, code.range.high, shape, endpoint=True)
    np.testing.assert_array_equal(unpack(port, pack(port, values), 3), values)
