"""Binary layers of target hls4ml: counts of bits that agree, as programs have them, also in C++."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import golden_of, random_network, reference
from command_line import CommandLine
from folded_programs import staircase
from hls4ml_networks import needs_hls4ml, samples, simulated
from installed import needs_gxx

from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.program import FoldedProgram, MatrixStage, Stage, Stream, Window
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.binary import WORD_BITS, packed
from actc.targets.hls4ml.document import configuration
from actc.targets.hls4ml.evaluate import evaluate, evaluate_all
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import run_bench
from actc.targets.hls4ml.target import Hls4mlTarget
from actc.targets.hls4ml.worker import PROJECT

Array = np.ndarray[Any, Any]
BITS = Range(0, 1)
INTERFACES = ("parallel", "stream")
AGREEING = {"ActcXnorConv2D", "ActcXnorDense"}
PADDED = 10
"""Seed of a program whose convolutions are padded in the middle, and with a bit."""


def stage_of(
    rng: np.random.Generator,
    number: int,
    given: Stream,
    outputs: int,
    *,
    window: Window | None = None,
    plain: bool = False,
) -> MatrixStage:
    """A binary stage that gives bits, or sums."""
    window = window or Window()
    padded = any((*window.before, *window.after))
    counted = int(rng.integers(1, 3)) if padded else 1
    outside = 1 if counted == 2 else int(rng.integers(2)) if padded else 0
    kernel = (outputs, *window.kernel, given.channels)
    weights = rng.choice(np.array([-1, 1]), kernel)
    totals = Range(0, counted * weights[0].size)
    made = Stream(*window.positions(given), outputs, Range(-4000, 4000) if plain else BITS)
    functions = () if plain else tuple(
        staircase(totals, 2, int(rng.integers(1 << 20))) for _ in range(outputs)
    )  # fmt: skip
    return MatrixStage(
        f"layer{number}", (), (number - 1,), given, made, window=window, weights=weights,
        outside=outside, functions=functions, counted=counted, factor=4 if plain else 1,
        plain=rng.integers(-99, 99, outputs) if plain else None,
    )  # fmt: skip


def window_of(rng: np.random.Generator, given: Stream) -> Window:
    sizes = [int(rng.integers(1, min(extent, 3) + 1)) for extent in (given.rows, given.columns)]
    wide = [size > 1 and 2 * (size - 1) < extent and rng.integers(3) == 0
            for size, extent in zip(sizes, (given.rows, given.columns), strict=True)]  # fmt: skip
    steps = (1 + int(wide[0]), 1 + int(wide[1]))
    pads = [tuple(int(rng.integers(0, size)) for size in sizes) for _ in range(2)]
    strides = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    return Window((sizes[0], sizes[1]), strides, steps, *((pad[0], pad[1]) for pad in pads))


def program_of(seed: int) -> FoldedProgram:
    """Bits through convolutions, a matrix product of bits, and one whose sums leave."""
    rng = np.random.default_rng(seed)
    rows, columns, channels = (int(rng.integers(2, most)) for most in (7, 7, 10))
    entry = Stream(rows, columns, channels - 1, BITS)
    given, stages = entry, list[Stage]()
    for _ in range(int(rng.integers(1, 3))):
        window = window_of(rng, given)
        stages.append(stage_of(rng, len(stages), given, int(rng.integers(1, 9)), window=window))
        given = stages[-1].output
    given = Stream(1, 1, given.size, BITS)
    stages.append(stage_of(rng, len(stages), given, int(rng.integers(1, 50))))
    stages.append(stage_of(rng, len(stages), stages[-1].output, 3, plain=True))
    return FoldedProgram((entry,), tuple(stages), (len(stages) - 1,))


@pytest.mark.parametrize("seed", range(80))
def test_layers_of_random_programs(seed: int) -> None:
    program = program_of(seed)
    network, given = lower(program, "net", INTERFACES[seed % 2]), samples(program)
    agreeing = [layer for layer in network.layers if layer.op in AGREEING]
    assert len(agreeing) == len(program.stages)
    values = evaluate_all(network, given)
    for layer in agreeing:
        found = values[layer.name]
        assert found.shape[1:] == layer.shape
        assert layer.result.low <= found.min()
        assert found.max() <= layer.result.high
    expected = program.evaluate([given])[0]
    np.testing.assert_array_equal(values[network.output.name].ravel(), expected.ravel())


def test_programs_have_all_kinds_of_padding() -> None:
    stages = [stage for seed in range(80) for stage in program_of(seed).stages]
    kinds = {
        (stage.counted, stage.outside, any(stage.window.before))
        for stage in stages
        if isinstance(stage, MatrixStage)
    }
    assert kinds >= {(1, 0, False), (1, 0, True), (1, 1, True), (2, 1, True)}
    own = [stage for stage in program_of(PADDED).stages if isinstance(stage, MatrixStage)]
    assert {stage.counted for stage in own} == {1, 2}
    assert any(stage.terms > WORD_BITS for stage in own)


@pytest.mark.parametrize("terms", [1, 31, 32, 33, 64, 70])
def test_weights_are_packed_into_words(terms: int) -> None:
    weights = np.random.default_rng(terms).choice(np.array([-1, 1]), (5, terms))
    words = packed(weights)
    size = min(terms, 32)
    assert words.shape == (5, -(-terms // size))
    assert words.max() < 1 << size
    for row, own in enumerate(weights):
        bits = [int(words[row, k // size]) >> (k % size) & 1 for k in range(terms)]
        np.testing.assert_array_equal(np.array(bits) * 2 - 1, own)


def test_bits_between_binary_layers_are_of_one_bit() -> None:
    """And of two where hls4ml's own layers read them, to which one bit means -1 and 1."""
    program = program_of(PADDED)
    network = lower(program, "net", "stream")
    layers = configuration(network, Options(io="stream"))["LayerName"]
    results = {
        layer.name: layers[layer.name]["Precision"]["result"]
        for layer in network.layers
        if layer.result == BITS
    }
    assert set(results.values()) == {"ap_uint<1>"}
    assert layers[network.output.name]["Precision"]["result"] != "ap_uint<1>"


# --- networks with batch normalization, negative factors and ties


@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("seed", range(6))
def test_layers_of_binary_networks(kind: str, seed: int) -> None:
    found, expected = computed(kind, seed, Path(), Options(io="stream"), cpp=False)
    np.testing.assert_array_equal(found, expected)


@needs_gxx
@needs_hls4ml
def test_compile_and_the_model(tmp_path: Path, actc_cli: CommandLine) -> None:
    """Convolutions with batch normalization, which hls4ml alone computes wrongly without a word."""
    model, feeds = random_network(np.random.default_rng(5), "conv")
    onnx.save(model, tmp_path / "model.onnx")
    ((name, given),) = feeds.items()
    np.savez(tmp_path / "data.npz", allow_pickle=False, **{name: given})
    out, data = tmp_path / "out", tmp_path / "data.npz"
    target = ("--target", "hls4ml:io=stream")
    done = actc_cli("compile", tmp_path / "model.onnx", *target, "--data", data, "-o", out)
    assert done.status == 0, done.stderr
    assert re.search(r"C simulation +equal", done.stdout)
    ops = {node.op_type for node in onnx.load(out / "network.onnx").graph.node}
    assert "ActcXnorConv2D" in ops
    (expected,) = reference(model, feeds).values()
    found = Hls4mlTarget.parse("io=stream").run(out, feeds)
    np.testing.assert_array_equal(next(iter(found.values())), expected)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("kind", ["dense", "conv"])
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_cpp_of_binary_networks(kind: str, seed: int, tmp_path: Path) -> None:
    found, expected = computed(kind, seed, tmp_path, Options(), cpp=True)
    np.testing.assert_array_equal(found, expected)


def computed(kind: str, seed: int, folder: Path, options: Options, *, cpp: bool) -> list[Array]:
    """Outputs of a network of layers, and of the model it was made from."""
    model, feeds = random_network(np.random.default_rng(seed), kind)
    folded = build_folded(ir.from_proto(golden_of(model, feeds)), "net")
    words = folded.prologue(feeds)[0]
    network = lower(folded.program, "net", options.io, own=BACKENDS[options.backend].own)
    assert AGREEING & {layer.op for layer in network.layers}
    found = simulated(network, options, words, folder) if cpp else evaluate(network, words)
    shape = folded.program.stream(folded.program.exits[0]).shape
    (made,) = folded.epilogue([found.reshape(len(words), *shape)]).values()
    (expected,) = reference(model, feeds).values()
    return [made, expected]


# --- the C++


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(("backend", "io"), [("Vitis", "stream"), ("Quartus", "parallel")])
def test_cpp_of_random_programs(backend: str, io: str, tmp_path: Path) -> None:
    compare(PADDED, Options(backend, io), tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", INTERFACES)
@pytest.mark.parametrize("backend", list(BACKENDS))
@pytest.mark.parametrize("seed", [PADDED, 5])
def test_more_cpp_of_random_programs(seed: int, backend: str, io: str, tmp_path: Path) -> None:
    compare(seed, Options(backend, io), tmp_path)


def compare(seed: int, options: Options, folder: Path) -> None:
    program = program_of(seed)
    network = lower(program, "net", options.io, own=BACKENDS[options.backend].own)
    given = samples(program, 40)
    found = simulated(network, options, given, folder)
    np.testing.assert_array_equal(found, evaluate(network, given))


@needs_gxx
@needs_hls4ml
def test_a_changed_weight_is_found(tmp_path: Path) -> None:
    options, program = Options(), program_of(0)
    network, given = lower(program, "net", "parallel"), samples(program, 40)
    found = simulated(network, options, given, tmp_path)
    np.testing.assert_array_equal(found, evaluate(network, given))
    (file, *_) = sorted((tmp_path / PROJECT / "firmware/weights").glob("weights*.txt"))
    first, *rest = file.read_text("utf-8").split(",")
    file.write_text(",".join([str(int(first) ^ 1), *rest]), "utf-8")
    again = run_bench(network, tmp_path / PROJECT, tmp_path / "bench", given, tmp_path)
    assert not np.array_equal(again, found)
