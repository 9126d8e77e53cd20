"""Backends Quartus, Catapult and oneAPI of target hls4ml: their C++ is what the layers do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hls4ml_networks import compare, needs_hls4ml, program_of, samples, simulated
from installed import needs_gxx

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS, reuse_factor
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork
from actc.targets.hls4ml.limits import limits_of
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options, parse
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.simulation import BENCH, bench, compile_bench, run_bench
from actc.targets.hls4ml.vendor import flow_of
from actc.targets.hls4ml.worker import PROJECT, UNITS

AC = ("Quartus", "Catapult", "oneAPI")
INTERFACES = ("parallel", "stream")
CONVOLUTIONS, PRODUCTS = 1, 3
"""Seeds of a program with convolutions and of one of matrix products."""


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", INTERFACES)
@pytest.mark.parametrize("backend", AC)
def test_cpp_with_convolutions(backend: str, io: str, tmp_path: Path) -> None:
    compare(CONVOLUTIONS, Options(backend, io), tmp_path)


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("backend", AC)
def test_cpp_of_products(backend: str, tmp_path: Path) -> None:
    compare(PRODUCTS, Options(backend, reuse=2), tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", INTERFACES)
@pytest.mark.parametrize("backend", AC)
@pytest.mark.parametrize("seed", range(4, 12))
def test_more_cpp_of_random_programs(backend: str, seed: int, io: str, tmp_path: Path) -> None:
    alone = BACKENDS[backend].own and io == "parallel"
    compare(seed, Options(backend, io, reuse=1 if alone else 1 + seed % 4), tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("reuse", [1, 3, 96, 1 << 20])
@pytest.mark.parametrize("io", INTERFACES)
@pytest.mark.parametrize("backend", ["Quartus", "oneAPI"])
def test_large_products(backend: str, io: str, reuse: int, tmp_path: Path) -> None:
    """Above 2048 weights hls4ml fills their rows up to powers of two."""
    network, given = large(96, 32)
    found = simulated(network, Options(backend, io, reuse=reuse), given, tmp_path)
    np.testing.assert_array_equal(found, evaluate(network, given))


def large(taken: int, made: int) -> tuple[HlsNetwork, np.ndarray]:
    rng = np.random.default_rng(4)
    weight = rng.integers(-7, 8, (taken, made))
    constants = {"weight": weight, "bias": rng.integers(-9, 10, made)}
    most = Range(-(8 * 7 * taken + 9), 8 * 7 * taken + 9)
    types = {"accum": most, "weight": Range(-7, 7), "bias": Range(-9, 9)}
    layer = HlsLayer("last", "ActcDense", ("net_in",), (made,), most, constants, types)
    given = rng.integers(-8, 8, (5, taken))
    return HlsNetwork("net", "net_in", (taken,), Range(-8, 7), (layer,)), given


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("backend", AC)
def test_changed_constants_are_found(backend: str, tmp_path: Path) -> None:
    network, options, given = written(backend, "parallel", tmp_path)
    source = "src/firmware" if backend == "oneAPI" else "firmware"
    folder = tmp_path / PROJECT / source / "weights"
    ending = "txt" if backend == "Catapult" else "h"  # what its C simulation reads
    last = max(folder.glob(f"b[0-9]*.{ending}"), key=lambda path: int(path.stem[1:]))
    text = last.read_text("utf-8")
    head, brace, constants = text.rpartition("{")
    first, comma, rest = constants.partition(",")
    last.write_text(f"{head}{brace}{int(first) ^ 1}{comma}{rest}", "utf-8")
    found = run(network, options, given, tmp_path)
    assert not np.array_equal(found, evaluate(network, given))


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("backend", AC)
def test_streams_that_are_read_empty_end_the_program(backend: str, tmp_path: Path) -> None:
    network, options, given = written(backend, "stream", tmp_path)
    source = tmp_path / PROJECT / BENCH
    text = source.read_text("utf-8")
    cut = re.sub(r"i < taken; i \+= ([^)]+)\)", r"i + \1 < taken; i += \1)", text)
    assert cut != text
    source.write_text(cut, "utf-8")
    with pytest.raises(ToolFailed):
        run(network, options, given, tmp_path)


def written(backend: str, io: str, folder: Path) -> tuple[HlsNetwork, Options, np.ndarray]:
    """A project in a folder, with what it was made of and samples for it."""
    options, program = Options(backend, io), program_of(CONVOLUTIONS)
    network = lower(program, "net", io, own=BACKENDS[backend].own)
    files = project_files(network, options)
    files[f"{PROJECT}/{BENCH}"] = bench(network, options, files[UNITS]).encode()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return network, options, samples(program)


def run(network: HlsNetwork, options: Options, given: np.ndarray, folder: Path) -> np.ndarray:
    compile_bench(network, options, folder / PROJECT, folder / "bench")
    return run_bench(network, folder / PROJECT, folder / "bench", given, folder)


@needs_hls4ml
@pytest.mark.parametrize("backend", AC)
def test_projects_are_the_same_each_time(backend: str) -> None:
    network, options = lower(program_of(PRODUCTS), "net", "stream"), Options(backend, "stream")
    first, second = project_files(network, options), project_files(network, options)
    assert first == second
    assert not [name for name, content in first.items() if b"actc-hls4ml-" in content]
    assert not [name for name in first if name.endswith((".pdf", ".pyc"))]
    copyleft = b"General Public License"
    assert not [name for name, content in first.items() if copyleft in content]


@needs_hls4ml
def test_the_compiler_of_oneapi_finds_its_sources() -> None:
    network, options = lower(program_of(PRODUCTS), "net", "parallel", own=True), Options("oneAPI")
    flow = flow_of(network, options)
    (step,) = flow.steps
    files = project_files(network, options)
    sources = [step.script, *(word for word in step.tools[0].before if word.endswith(".cpp"))]
    assert len(sources) == 2
    assert {f"{flow.folder}/{name}" for name in sources} <= set(files)


# --- what a backend cannot build


def test_convolutions_of_arrays_that_share_multipliers() -> None:
    network = lower(program_of(CONVOLUTIONS), "net", "parallel", own=True)
    assert not limits_of(network, Options("Catapult"))
    problems = limits_of(network, Options("Catapult", reuse=2))
    assert codes(problems) == {"ACT0440"}
    assert len(problems) == sum(layer.op == "ActcArrayConv2D" for layer in network.layers)


def test_constants_that_are_rounded() -> None:
    network, _ = large(4, 2)
    (layer,) = network.layers
    bias = np.array([1, (1 << 53) + 1])
    wide = replace(network, layers=(replace(layer, attributes={**layer.attributes, "bias": bias}),))
    assert codes(limits_of(wide, Options("Catapult"))) == {"ACT0440"}
    assert not limits_of(network, Options("Catapult"))
    assert not limits_of(wide, Options("Quartus"))


def codes(problems: list[Diagnostic]) -> set[str]:
    return {problem.code for problem in problems}


# --- reuse factors and options


@pytest.mark.parametrize("taken", [1, 6, 7, 12])
@pytest.mark.parametrize("made", [1, 4, 5])
def test_reuse_factors_are_those_that_hls4ml_takes(taken: int, made: int) -> None:
    backends = pytest.importorskip("hls4ml").backends
    valid = set(backends.get_backend("Quartus").get_valid_reuse_factors(taken, made))
    quartus = BACKENDS["Quartus"]
    for asked in range(1, taken * made + 3):
        expected = max(factor for factor in valid if factor <= asked)
        assert reuse_factor(quartus, asked, taken, made) == expected
        assert reuse_factor(BACKENDS["Vitis"], asked, taken, made) == min(asked, taken * made)


@pytest.mark.parametrize("text", ["quartus", "catapult,io=stream", "quartus,io=stream,reuse=4"])
def test_options_are_read_as_written(text: str) -> None:
    assert str(parse(text)) == text
