"""Strategies of target hls4ml: weights in memories, and the reuse factors that these take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hls4ml_networks import compare, needs_hls4ml, program_of
from installed import needs_gxx

from actc.errors import UsageError
from actc.targets.hls4ml.backends import BACKENDS, reuse_factor
from actc.targets.hls4ml.document import configuration
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options, parse
from actc.targets.hls4ml.worker import PROJECT

CONVOLUTIONS, PRODUCTS = 1, 3
"""Seeds of a program with convolutions and of one of matrix products."""


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("backend", "io", "seed", "reuse"),
    [
        ("Vitis", "parallel", CONVOLUTIONS, 100),
        ("Vitis", "stream", CONVOLUTIONS, 4),
        ("Vivado", "parallel", PRODUCTS, 100),
        ("Catapult", "stream", PRODUCTS, 4),
    ],
)
def test_weights_in_memories(backend: str, io: str, seed: int, reuse: int, tmp_path: Path) -> None:
    compare(seed, Options(backend, io, "resource", reuse), tmp_path)
    text = (tmp_path / PROJECT / "firmware/parameters.h").read_text("utf-8")
    assert "strategy = nnet::resource" in text


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("backend", ["Vitis", "Vivado", "Catapult"])
@pytest.mark.parametrize("io", ["parallel", "stream"])
@pytest.mark.parametrize(("seed", "reuse"), [(1, 2), (3, 9), (4, 1 << 20), (5, 9)])
def test_more_weights_in_memories(
    seed: int, reuse: int, io: str, backend: str, tmp_path: Path
) -> None:
    compare(seed, Options(backend, io, "resource", reuse), tmp_path)


@pytest.mark.parametrize("taken", [1, 6, 7, 12])
@pytest.mark.parametrize("made", [1, 4, 5])
def test_reuse_factors_are_those_that_hls4ml_takes(taken: int, made: int) -> None:
    backends = pytest.importorskip("hls4ml").backends
    valid = set(backends.get_backend("Vitis").get_valid_reuse_factors(taken, made))
    for asked in range(1, taken * made + 3):
        found = reuse_factor(BACKENDS["Vitis"], asked, taken, made, fixed=True)
        assert found == max(factor for factor in valid if factor <= asked)


@pytest.mark.parametrize("io", ["parallel", "stream"])
def test_the_configuration(io: str) -> None:
    """Layers of actc's own stay as they are; convolutions of arrays share at most a window."""
    network = lower(program_of(CONVOLUTIONS), "net", io)
    given = configuration(network, Options("Vitis", io, "resource", 1 << 20))
    assert given["Model"]["Strategy"] == "latency"
    found = 0
    for layer in network.layers:
        stated = given["LayerName"][layer.name]
        if layer.op in ("ActcDense", "ActcConv2D"):
            weight = layer.attributes["weight"]
            assert isinstance(weight, np.ndarray)
            whole = io == "stream" or layer.op == "ActcDense"
            most = weight.size if whole else weight[..., 0].size
            assert (stated["Strategy"], stated["ReuseFactor"]) == ("resource", most)
            found += 1
        else:
            assert stated.get("Strategy", "latency") == "latency"
    assert found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("strategy=da", "integers"),
        ("strategy=distributed_arithmetic", "integers"),
        ("strategy=resource_unrolled", "latency, resource"),
        ("quartus,strategy=resource", "vitis, vivado"),
        ("backend=oneapi,strategy=resource", "vitis, vivado"),
    ],
)
def test_strategies_that_are_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0431"
    assert why in str(problem.help)


def test_options_are_read_as_written() -> None:
    text = "vivado,io=stream,strategy=resource,reuse=4"
    assert str(parse(text)) == text
    assert parse("strategy=latency") == parse("")
