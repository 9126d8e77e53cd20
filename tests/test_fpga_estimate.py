"""Estimates of designs against synthesis, and what is said of designs that are too large."""

from __future__ import annotations

import statistics
import sys
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
import pytest
from golden_models import Golden
from installed import needs_yosys

from actc.errors import ModelError, UsageError
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.boards import Board, find_board
from actc.targets.fpga.boards.choose import boards_of, smallest_device
from actc.targets.fpga.estimate import estimate_design
from actc.targets.fpga.estimate.limit import check_estimate, with_offers
from actc.targets.fpga.estimate.weights import WEIGHTS
from actc.targets.fpga.flow import synthesize_design
from actc.targets.fpga.flow.places import Places, net_drivers
from actc.targets.fpga.functions import FunctionOptions
from actc.targets.fpga.hdl import Bus, Design, Graph, Range
from actc.targets.fpga.hdl.hierarchy import hierarchy, write_design
from actc.targets.fpga.network import NetworkOptions, build_network, check_network
from actc.targets.fpga.network.size import network_size, with_fewer_bits
from actc.targets.fpga.pipeline import find_timing, pipeline

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from fpga_estimates import (  # noqa: E402
    FAMILIES,
    FITTED,
    HELD_OUT,
    errors,
    fit,
    measured_rows,
)


def classifier() -> ir.Model:
    """Two layers with a requantization between them."""
    g = Golden(3)
    x = g.quantize(g.input("x", 5))
    hidden = g.requantize(g.matmul(x, 5, 4), 20_000.0)
    return g.model(g.dequantize(g.matmul(hidden, 4, 3, 120), 0.01, 0))


def options(family: str) -> NetworkOptions:
    return NetworkOptions(
        adders=AdderOptions(effort=0, family=family), functions=FunctionOptions(family=family)
    )


def piped(golden: ir.Model, family: str) -> Design:
    network = build_network(golden, "net", options(family))
    return pipeline(network.design, find_timing(FAMILIES[family][1]), clock_mhz=50.0)


# --- the rules, by hand


def adders() -> Design:
    """A sum of 5 bits in layer `a`, and registers."""
    graph = Graph()
    x, y = (graph.input(name, Range(0, 15)) for name in "xy")
    with graph.scope("a"):
        total = (x + y).register()
    return Design(
        "adders",
        (Bus("x", (), (x,), 4, False), Bus("y", (), (y,), 4, False)),
        (Bus("z", (), (total,), 5, False),),
    )


def test_an_adder_takes_its_bits() -> None:
    for family, luts, carries, cells in (("ecp5", 0, 3, 6), ("gowin", 0, 5, 5)):
        found = estimate_design(adders(), family).layers["a"]
        weight = WEIGHTS[family]["sum"]
        assert found.luts == pytest.approx(weight * luts)
        assert found.carries == pytest.approx(weight * carries)
        assert found.logic_cells == pytest.approx(weight * cells)
        assert found.ffs == 5
    assert estimate_design(adders(), "ice40").layers["a"].luts == WEIGHTS["ice40"]["sum"] * 5


def test_what_nothing_reads_costs_nothing() -> None:
    graph = Graph()
    x, y = (graph.input(name, Range(0, 255)) for name in "xy")
    low = ((x << 4) + (y << 4)).register().bits(0, 6)
    buses = (Bus("x", (), (x,), 8, False), Bus("y", (), (y,), 8, False))
    found = estimate_design(Design("d", buses, (Bus("z", (), (low,), 6, False),)), "gowin").total
    assert found.logic_cells == pytest.approx(2 * WEIGHTS["gowin"]["sum"])
    assert found.ffs == 2


def test_memories_hold_their_registers() -> None:
    graph = Graph()
    x = graph.input("x", Range(0, 1023))
    entry = graph.lookup(x, [(7 * k) % 256 for k in range(1024)], memory=True).register(free=True)
    design = Design("d", (Bus("x", (), (x,), 10, False),), (Bus("z", (), (entry,), 8, False),))
    found = estimate_design(design, "ecp5").total
    assert (found.brams, found.ffs, found.logic_cells) == (1, 0, 0)


def test_families() -> None:
    assert estimate_design(adders(), "xcup") == replace(
        estimate_design(adders(), "xc7"), family="xcup"
    )
    with pytest.raises(UsageError, match="ACT0530"):
        estimate_design(adders(), "max10")


# --- against synthesis


@pytest.mark.parametrize("family", FAMILIES)
def test_the_weights_are_those_of_the_measurements(family: str) -> None:
    rows = [row for row in measured_rows() if row["family"] == family]
    fitted = [row for row in rows if row["network"] in FITTED]
    weights = dict(WEIGHTS[family])
    assert fit(fitted) == pytest.approx(weights, abs=0.011)
    totals, layers, ffs = errors([row for row in rows if row["network"] in HELD_OUT], weights)
    assert len(totals) == len(HELD_OUT)
    assert statistics.median(totals) < 0.1
    assert max(totals) < 0.2
    assert statistics.median(layers) < 0.2
    assert statistics.median(ffs) < 0.05


@needs_yosys
@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_a_small_network_is_estimated_as_it_is_synthesized(family: str, tmp_path: Path) -> None:
    design = piped(classifier(), family)
    written = hierarchy(design)
    found = synthesize_design(
        write_design(design),
        written.top,
        find_board(FAMILIES[family][0]).device,
        tmp_path,
        drivers=net_drivers(written, ""),
    )
    estimate = estimate_design(design, family)
    assert estimate.total.logic_cells == pytest.approx(found.total.logic_cells, rel=0.2)
    assert estimate.total.ffs == pytest.approx(found.total.ffs, rel=0.2)
    for part in written.parts:
        layer = found.layers[part.instance]
        guess = estimate.layers[part.scope]
        assert guess.logic_cells == pytest.approx(layer.logic_cells, rel=0.3, abs=30)
    # nothing but registers of inputs is left to no layer
    assert found.layers.get("") is None or found.layers[""].logic_cells <= 10


# --- whose cell is it


def test_cells_between_layers_belong_to_the_layer_that_drives_them() -> None:
    cells = {"core": "$scopeinfo", "core.a": "$scopeinfo", "core.b": "$scopeinfo", "x": "LUT4"}
    document = {"modules": {"top": {"cells": {k: {"type": v} for k, v in cells.items()}}}}
    drivers = {"core.sum": "core.a", "core.b.sum": "core.a"}
    places = Places.of_netlist(document, "top", drivers)
    for name, place in (
        ("core.sum_LUT4_Z_1", "core.a"),
        ("core.b.sum[3]_LUT4_Z", "core.a"),
        ("core.b.sum_2_LUT4_Z", "core.b"),
        ("core.b.other_LUT4_Z_A_LUT4_Z", "core.b"),
        ("core.x_s1_LUT4_Z", "core"),
        ("uart_LUT4_Z", ""),
    ):
        assert places.find(name) == place, name


def test_drivers_of_a_network() -> None:
    written = hierarchy(piped(classifier(), "ecp5"))
    drivers = net_drivers(written, "core")
    instances = {f"core.{part.instance}" for part in written.parts}
    assert set(drivers.values()) <= instances | {"core", ""}
    first = written.ports[written.design.inputs[0].name]
    assert drivers[f"core.{first}"] == ""
    last = written.ports[written.design.outputs[0].name]
    assert drivers[f"core.{last}"] == f"core.{written.parts[-1].instance}"


# --- too large


def small_board(luts: int) -> Board:
    board = find_board("ecp5-25k")
    return replace(board, device=replace(board.device, luts=luts, ffs=luts))


def test_what_is_clearly_too_large_is_refused_before_synthesis() -> None:
    golden, design = classifier(), piped(classifier(), "ecp5")
    cells = round(estimate_design(design, "ecp5").total.logic_cells)
    check_estimate(design, small_board(cells), golden, options("ecp5"))
    with pytest.raises(ModelError) as caught:
        check_estimate(design, small_board(cells // 2), golden, options("ecp5"))
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0555"
    assert f"about {cells:,} of {cells // 2:,} logic cells (20" in problem.notes[0]
    largest, fewer = problem.notes[-2:]
    assert largest.startswith("largest layers by logic cells: ")
    assert "--weights" in fewer
    assert "or take ice40-up5k, which has 5280 look-up tables (board icebreaker" in problem.help


def test_what_is_far_too_large_is_offered_a_device() -> None:
    golden = classifier()
    board, tight = find_board("ice40-up5k"), replace(options("ice40"), limit=10)
    (problem,) = with_offers(check_network(golden, tight), golden, board, tight)
    assert problem.code == "ACT0552"
    assert problem.help.endswith("far too large for every device of `actc targets`")
    size = network_size(golden, tight).total
    near = replace(tight, limit=size - 1)
    (problem,) = with_offers(check_network(golden, near), golden, board, near)
    assert "the smallest that may hold it is ice40-hx8k, which has 7680" in problem.help
    assert with_offers(check_network(golden, options("ice40")), golden, board, tight) == []


def test_fewer_bits_make_a_network_smaller() -> None:
    size = network_size(classifier(), options("ecp5"))
    assert list(size.fewer) == [7, 6, 5, 4, 3, 2]
    assert list(size.fewer.values()) == sorted(size.fewer.values(), reverse=True)
    assert size.fewer[2] < size.fewer[7] < size.total
    now = 1000
    wanted = round(now * size.fewer[4] / size.total)
    assert f"--weights 4 would do: about {wanted:,}" in with_fewer_bits(size, now, wanted)
    assert "--weights 2 would not do either" in with_fewer_bits(size, now, 1)
    assert with_fewer_bits(replace(size, fewer={}), now, 1) == ""


def test_the_smallest_device_that_has_enough() -> None:
    small = find_board("ice40-up5k").device
    found = smallest_device({"luts": 40_000, "pins": 10**6}, small)
    assert found is not None
    assert found.name == "ecp5-45k"
    assert boards_of(found) == ("ulx3s-45f",)
    assert smallest_device({"brams": 10**6}, small) is None
