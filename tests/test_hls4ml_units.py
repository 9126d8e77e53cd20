"""Target hls4ml: activation units of the C++ on all inputs, and defects that this finds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import CommandLine
from hls4ml_networks import needs_hls4ml, program_of, samples, simulated
from installed import needs_gxx
from sealed import sealed

from actc.errors import ToolFailed
from actc.targets.fpga.functions import StepFunction
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.evaluate import UNITS, evaluate_layer
from actc.targets.hls4ml.extension import EXTENSIONS
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.simulation import compile_bench
from actc.targets.hls4ml.units.check import check_units, function_problems
from actc.targets.hls4ml.units.inputs import MOST, inputs_of, tensors
from actc.targets.hls4ml.units.source import unit_layers, unit_parts
from actc.targets.hls4ml.worker import PROJECT

Array = np.ndarray[Any, Any]
TABLES = 3
"""A random program with thresholds of each channel and a table."""


def network_of(options: Options) -> HlsNetwork:
    own = BACKENDS[options.backend].own
    return lower(program_of(TABLES), "net", options.io, own=own)


def compiled(options: Options, folder: Path) -> HlsNetwork:
    network = network_of(options)
    simulated(network, options, samples(program_of(TABLES)), folder)
    return network


# --- inputs


def layer(op: str, shape: tuple[int, ...], **attributes: Any) -> HlsLayer:
    return HlsLayer("unit", op, ("x",), shape, Range(0, 1), attributes)


def test_small_ranges_are_checked_on_all_inputs() -> None:
    table = layer("ActcTable", (2, 2, 3), rows=1)
    (found,) = inputs_of(table, Range(-5, 65530))
    np.testing.assert_array_equal(found, np.arange(-5, 65531))
    assert len(inputs_of(replace(table, attributes={"rows": 3}), Range(0, 9))) == 3


def test_of_large_ranges_the_ends_and_all_breakpoints_are_among_the_inputs() -> None:
    range = Range(-(1 << 20), 1 << 20)
    limits = np.array([[-777_777, 1, range.high + 1], [5, 6, 999_999]])
    search = layer("ActcSearch", (2,), rows=2, limits=limits)
    step = StepFunction(range, np.array([range.low, 123_457]), np.array([0, 1]))
    found = inputs_of(search, range, (step, step))
    for own, values in zip(limits, found, strict=True):
        assert values.size >= MOST
        assert (values.min(), values.max()) == (range.low, range.high)
        wanted = np.concatenate([own, [123_457]])
        near = np.concatenate([wanted - 1, wanted, wanted + 1])
        assert np.isin(near[near <= range.high], values).all()


def test_every_step_of_a_requantization_is_among_the_inputs() -> None:
    attributes = {
        "multiplier": np.array([37, -3]), "offset": np.array([1 << 15, 99]), "rows": 2,
        "shift": 16, "zero": 3, "low": -100, "high": 100,
    }  # fmt: skip
    unit, range = layer("ActcRequantize", (2,), **attributes), Range(-(1 << 19), 1 << 19)
    every = np.arange(range.low, range.high + 1)
    codes = evaluate_layer(unit, np.stack([every, every], axis=1))
    for row, values in enumerate(inputs_of(unit, range)):
        steps = every[1:][np.diff(codes[:, row]) != 0]
        assert steps.size > 1
        assert np.isin(steps, values).all()
        assert np.isin(steps - 1, values).all()


@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_every_channel_gets_all_its_inputs(most: int) -> None:
    own = [np.arange(7), np.arange(100, 130), np.arange(-4, 0)]
    found = np.concatenate(list(tensors((2, 2, 3), own, most))).reshape(-1, 3)
    for channel, values in enumerate(own):
        np.testing.assert_array_equal(np.unique(found[:, channel]), values)
    shared = np.concatenate(list(tensors((2, 2, 3), own[:1], most)))
    np.testing.assert_array_equal(np.unique(shared), own[0])


def test_every_layer_of_one_element_is_a_unit() -> None:
    """A new layer of ours is a unit, or says here that its results depend on more."""
    windows = {"ActcMaxPool", "ActcWindows", "ActcArrayConv2D", "ActcDepthwiseConv2D"}
    sums = {"ActcXnorDense", "ActcXnorConv2D"}
    rows = {"ActcArgmax", "ActcSoftmax", "ActcLayerNorm"}
    more = windows | sums | rows | {"ActcRepeat"}
    assert {extension.op for extension in EXTENSIONS if extension.inputs == 1} - UNITS <= more


# --- defects


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("backend", "io"),
    [
        ("Vitis", "parallel"),
        ("Catapult", "stream"),
        ("Quartus", "parallel"),
        ("oneAPI", "stream"),
    ],
)
def test_a_wrong_table_entry_is_found(backend: str, io: str, tmp_path: Path) -> None:
    options = Options(backend, io)
    network = compiled(options, tmp_path)
    rung = check_units(network, tmp_path / PROJECT, tmp_path / "bench")
    assert rung.result == "equal", rung.detail
    table = next(each for each in unit_layers(network) if each.op == "ActcTable")
    found = [planted(tmp_path, table, entry) for entry in (0, 700)]
    compile_bench(network, options, tmp_path / PROJECT, tmp_path / "bench")
    rung = check_units(network, tmp_path / PROJECT, tmp_path / "bench")
    size = table.attributes["size"]
    assert isinstance(size, int)
    first = table.attributes["first"]
    assert rung.result == "differs"
    named = re.match(
        r"unit (\w+), channel (\d+), input (-?\d+): expected (-?\d+), found (-?\d+) \((\d+) of",
        rung.detail,
    )
    assert named is not None, rung.detail
    assert named[1] == table.name
    entry = (int(named[2]) if table.attributes["rows"] != 1 else 0) * size
    entry += int(named[3]) - int(str(first))
    assert entry in (0, 700)
    assert (int(named[4]), int(named[5])) == found[(0, 700).index(entry)]


def planted(folder: Path, table: HlsLayer, entry: int) -> tuple[int, int]:
    """Change an entry of a table where synthesis reads it; the entry, before and after."""
    levels = table.attributes["levels"]
    assert isinstance(levels, np.ndarray)
    numbers: list[str] = []
    for path in sorted((folder / PROJECT).rglob("levels*.h")):
        head, numbers = _constant(path)
        if len(numbers) == levels.size:
            break
    assert len(numbers) == levels.size
    before = int(numbers[entry])
    after = before - 1 if before > levels.min() else before + 1
    numbers[entry] = f" {after}"
    tail = path.read_text("utf-8").removeprefix(head).split("}", 1)[1]
    path.write_text(f"{head}{','.join(numbers)}}}{tail}")
    return before, after


def _constant(path: Path) -> tuple[str, list[str]]:
    """A file of weights: up to its numbers, and these."""
    found = re.match(r"(.*= \{+)([^}]*)", path.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1], found[2].split(",")


@needs_hls4ml
def test_units_that_do_not_compute_the_function_of_the_stage_are_found(tmp_path: Path) -> None:
    network = network_of(Options())
    problem = "units up to layer1_table, channel 0, input"
    layers = list(network.layers)
    at = next(k for k, each in enumerate(layers) if each.op == "ActcTable")
    levels = np.array(layers[at].attributes["levels"])
    levels[0, 40] += 1
    layers[at] = replace(layers[at], attributes={**layers[at].attributes, "levels": levels})
    broken = replace(network, layers=tuple(layers))
    assert function_problems(network) == []
    (found,) = function_problems(broken)
    assert found.startswith(problem)


def test_a_project_without_a_unit_is_refused() -> None:
    network = network_of(Options())
    with pytest.raises(ToolFailed) as caught:
        unit_parts(network, BACKENDS["Vitis"], "parallel", "[]")
    (found,) = caught.value.diagnostics
    assert found.code == "ACT0441"
    assert all(unit.name in found.message for unit in unit_layers(network))


@needs_gxx
@needs_hls4ml
def test_compile_says_it_and_check_finds_it(
    model: Path, data: Path, tmp_path: Path, actc_cli: CommandLine
) -> None:
    out = tmp_path / "out"
    done = actc_cli("compile", model, "--target", "hls4ml", "--data", data, "-o", out)
    assert done.status == 0, done.stderr
    assert re.search(r"activation units +equal +\d+ units?, \d+ inputs, all equal", done.stdout)
    assert actc_cli("check", out, "--data", data).status == 0
    (path,) = (out / PROJECT / "firmware" / "weights").glob("levels*.h")
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"= \{-?\d+", lambda found: f"= {{{int(found[0][3:]) ^ 1}", text))
    sealed(out)
    done = actc_cli("check", out, "--data", data)
    assert done.status == 1
    assert "ACT0603" in done.stdout + done.stderr
    assert "activation units: unit" in done.stdout + done.stderr
