"""Random networks through hls4ml: written, compiled with g++, run and compared."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bnn_hls_designs import network as random_stages

from actc.targets.fpga.folded.program import FoldedProgram, Stream
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.layers import HlsNetwork
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.simulation import BENCH, bench, compile_bench, run_bench
from actc.targets.hls4ml.units.check import check_units
from actc.targets.hls4ml.worker import PROJECT, UNITS

Array = np.ndarray[Any, Any]
needs_hls4ml = pytest.mark.skipif(
    importlib.util.find_spec("hls4ml") is None, reason="hls4ml is not installed"
)


def program_of(seed: int) -> FoldedProgram:
    rng = np.random.default_rng(seed)
    if seed % 3 == 0:
        first = Stream(1, 1, int(rng.integers(1, 13)), Range(-8, 7))
        return random_stages(rng, first=first, dense=True)
    rows, columns, channels = (int(rng.integers(1, most)) for most in (7, 7, 5))
    return random_stages(rng, first=Stream(rows, columns, channels, Range(0, 15)))


def samples(program: FoldedProgram, count: int = 12) -> Array:
    """Of all codes, and the extremes."""
    stream = program.entries[0]
    rng = np.random.default_rng(9)
    given = rng.integers(stream.range.low, stream.range.high + 1, (count, *stream.shape))
    given[0], given[1] = stream.range.low, stream.range.high
    return given


def simulated(network: HlsNetwork, options: Options, given: Array, folder: Path) -> Array:
    files = project_files(network, options)
    files[f"{PROJECT}/{BENCH}"] = bench(network, options, files[UNITS]).encode()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    compile_bench(network, options, folder / PROJECT, folder / "bench")
    return run_bench(network, folder / PROJECT, folder / "bench", given, folder)


def compare(seed: int, options: Options, folder: Path) -> None:
    program = program_of(seed)
    own = BACKENDS[options.backend].own
    network, given = lower(program, "net", options.io, own=own), samples(program)
    found = simulated(network, options, given, folder)
    np.testing.assert_array_equal(found, evaluate(network, given))
    rung = check_units(network, folder / PROJECT, folder / "bench")
    assert rung.result == "equal", rung.detail
