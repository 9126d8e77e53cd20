"""Target hls4ml: layers compute what programs do, and hls4ml's C++ what layers do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from binary_networks import golden_of, random_network
from hls4ml_networks import compare, needs_hls4ml, program_of, samples
from installed import needs_gxx

from actc.targets.fpga.folded.network import build_folded
from actc.targets.hls4ml.evaluate import evaluate, evaluate_all
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options

Array = np.ndarray[Any, Any]


@pytest.mark.parametrize("seed", range(150))
def test_layers_of_random_programs(seed: int) -> None:
    program = program_of(seed)
    network = lower(program, "net", "stream" if seed % 2 else "parallel")
    given = samples(program)
    values = evaluate_all(network, given)
    for layer in network.layers:
        found = values[layer.name]
        assert found.shape[1:] == layer.shape
        assert layer.result.low <= found.min()
        assert found.max() <= layer.result.high
    expected = program.evaluate([given])[0]
    np.testing.assert_array_equal(values[network.output.name].ravel(), expected.ravel())


@pytest.mark.parametrize("kind", ["dense", "conv", "depthwise"])
@pytest.mark.parametrize("seed", range(4))
def test_layers_of_binary_networks(kind: str, seed: int) -> None:
    model, feeds = random_network(np.random.default_rng(seed), kind)
    folded = build_folded(ir.from_proto(golden_of(model, feeds)), "net")
    words = folded.prologue(feeds)[0]
    found = evaluate(lower(folded.program, "net", "stream"), words)
    np.testing.assert_array_equal(found.ravel(), folded.program.evaluate([words])[0].ravel())


# --- the C++


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize("seed", [1, 3])
def test_cpp_of_random_programs(seed: int, io: str, tmp_path: Path) -> None:
    compare(seed, Options(io=io), tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize("seed", range(4, 18))
def test_more_cpp_of_random_programs(seed: int, io: str, tmp_path: Path) -> None:
    backend = "Vivado" if seed % 2 else "Vitis"
    compare(seed, Options(backend, io, reuse=1 + seed % 4), tmp_path)
