"""The cost model: its estimates, its data, and how near it comes to fresh synthesis."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cost_data import DATA, KEPT, MARKS, read_cache, recounted
from cost_plan import HELD_OUT as HELD_OUT_FUNCTIONS
from cost_plan import plan
from cost_report import report
from fixed_point_units import unit
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_yosys

from actc.approx.bipartite import fit_bipartite
from actc.approx.compressed_table import fit_compressed_table
from actc.approx.dyadic import fit_segment_tree
from actc.approx.fixed_point import FixedPoint
from actc.approx.fixed_table import FixedTable, fit_fixed_table
from actc.approx.gates import FixedForm, Gates, NoForm
from actc.approx.signed_digits import fit_integer_lines
from actc.approx.thresholds import fit_thresholds
from actc.cost import FAMILIES, Cost, estimate
from actc.cost.features import DEPTH_FEATURES, FEATURES, GROUPS
from actc.cost.model import COEFFICIENTS, TARGETS, coefficients, unit_features
from actc.errors import UsageError
from actc.targets.fpga.families import find_family
from actc.targets.fpga.synthesis import synthesize
from actc.targets.fpga.units import UnitOptions, unit_verilog

HELD_OUT = HELD_OUT_FUNCTIONS[0]


def forms(gates: Gates) -> dict[str, FixedForm]:
    found: dict[str, FixedForm] = {
        "table": fit_fixed_table(gates).form,
        "compressed": fit_compressed_table(gates).form,
        "thresholds": fit_thresholds(gates).form,
        "lines": fit_integer_lines(gates).form,
        "digits": fit_integer_lines(gates, digits=2).form,
        "tree": fit_segment_tree(gates).form,
    }
    bipartite = fit_bipartite(gates)
    assert not isinstance(bipartite, NoForm)
    return found | {"bipartite": bipartite.form}


def plain(
    function: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]], bits: int
) -> FixedTable:
    x = np.arange(1 << bits)
    return FixedTable(FixedPoint(False, bits, 0), FixedPoint(False, 16, 0), function(x))


# --- estimates ----------------------------------------------------------------------


def test_functions_of_few_inputs_are_wide_tables() -> None:
    rng = np.random.default_rng(5)
    values = rng.integers(0, 1 << 16, 256)
    # 16 bits of eight inputs: 16 LUT4 each, or levels of shared ones
    for family, wide in (("gowin", 16 * 16), ("xc7", 0), ("ecp5", 0), ("ice40", 0)):
        found = unit_features(plain(lambda x: values, 8), find_family(family)).area
        assert found["wide_tables"] == wide
        assert (found["muxes_5"] > 0) == (wide == 0)
    # equal and inverted bits are one, single inputs none
    copies = unit_features(plain(lambda x: (values & 1) * 7 ^ 2, 8), find_family("gowin")).area
    assert (copies["wide_tables"], copies["small_tables"]) == (16, 0)
    few = unit_features(plain(lambda x: x & 3 | (x & x >> 1 & 1) << 2, 8), find_family("gowin"))
    assert (few.area["wide_tables"], few.area["small_tables"]) == (0, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_form_has_a_cost(family: str) -> None:
    for form in forms(unit("GELU", 8, "faithful")).values():
        cost = estimate(form, family)
        assert cost == estimate(form, family)
        assert cost.luts > 0 or cost.carries > 0
        assert 0 < cost.logic_cells == cost.total
        assert 1 <= cost.depth <= 20
        assert Cost(**cost.to_json()) == cost


@pytest.mark.parametrize("family", FAMILIES)
def test_more_entries_cost_more(family: str) -> None:
    totals = [
        estimate(fit_fixed_table(unit("Tanh", bits, "faithful")).form, family).total
        for bits in (6, 8, 10, 12)
    ]
    assert all(small < large for small, large in itertools.pairwise(totals))
    assert 8 * totals[0] < totals[-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_tighter_bounds_cost_more(family: str) -> None:
    exact, faithful = (
        estimate(fit_segment_tree(unit("GELU", 10, objective)).form, family)
        for objective in ("correctly_rounded", "faithful")
    )
    assert exact.total > faithful.total


@pytest.mark.parametrize("family", FAMILIES)
def test_wires_cost_nothing(family: str) -> None:
    assert estimate(plain(lambda x: x << 3, 8), family).total == 0


def test_hard_multipliers_are_counted_by_their_tiles() -> None:
    form = fit_segment_tree(unit("Sigmoid", 12, "correctly_rounded")).form
    options = UnitOptions(multiplier="multiply")
    for name, family in FAMILIES.items():
        soft, hard = estimate(form, name, options), estimate(form, name, options, dsp=True)
        assert (soft.dsps, hard.dsps) == (0, 1)
        assert hard.logic_cells < soft.logic_cells
        assert hard.total == hard.logic_cells + family.dsp_rate


def test_memories_are_counted_by_their_shapes() -> None:
    options = UnitOptions(lookup="memory")
    rng = np.random.default_rng(0)
    table = plain(lambda x: rng.integers(0, 1 << 16, len(x)), 12)
    # 4096 x 16 bits: 16 memories of 4 kbit, 4 of 16 kbit
    expected = {"ice40": 16, "ecp5": 4, "gowin": 4, "xc7": 4}
    for name, family in FAMILIES.items():
        cost = estimate(table, name, options)
        assert cost.brams == expected[name]
        assert cost.total == cost.logic_cells + cost.brams * family.bram_rate
        assert cost.logic_cells < estimate(table, name).logic_cells / 100


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        estimate(plain(lambda x: x, 4), "virtex")
    assert caught.value.diagnostics[0].code == "ACT0530"


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_inverted_outputs_cost_the_same(seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << 16, 64)
    first, second = (
        unit_features(plain(lambda x, v=v: v, 6), find_family("ice40"))  # type: ignore[misc]
        for v in (values, values ^ 0xFFFF)
    )
    assert first == second


def test_estimates_are_quick() -> None:
    form = forms(unit("GELU", 12, "faithful"))["table"]
    estimate(form, "ice40")
    start = time.process_time()
    estimate(form, "ice40")
    # 15 ms on an idle machine
    assert time.process_time() - start < 0.3


# --- data ---------------------------------------------------------------------------


def test_coefficients_are_complete_and_not_negative() -> None:
    found = coefficients()
    assert set(found) == set(FAMILIES)
    for groups in found.values():
        assert set(groups) == set(GROUPS)
        for targets in groups.values():
            assert set(targets) == set(TARGETS)
            for target, weights in targets.items():
                known = DEPTH_FEATURES if target == "depth" else FEATURES
                assert set(weights) <= set(known)
                assert all(weight > 0 for weight in weights.values())
        for group in ("narrow", "wide"):
            assert groups[group]["carries"]["adder_bits"] > 0


def measurements() -> list[dict[str, Any]]:
    return list(read_cache([KEPT]).values())


def test_the_page_reports_the_measurements(root: Path) -> None:
    document = json.loads((DATA / COEFFICIENTS).read_text("utf-8"))
    page = (root / "docs" / "cost.md").read_text("utf-8")
    shown = page.split(MARKS[0])[1].split(MARKS[1])[0]
    assert shown == "\n" + report(measurements(), document)


def test_measurements_agree_with_themselves() -> None:
    rows = measurements()
    assert len({(row["digest"], row["family"]) for row in rows}) == len(rows)
    assert len({row["tool"] for row in rows}) == 1
    for row in rows:
        family = FAMILIES[row["family"]]
        assert row["total"] == row["logic_cells"] + row["dsps"] * family.dsp_rate
        assert row["logic_cells"] >= row["luts"]


@pytest.mark.parametrize("function", ["Tanh", HELD_OUT])
def test_measurements_keep_the_counts_of_today(function: str) -> None:
    units = list(plan([function]))
    assert {unit.held_out for unit in units} == {function == HELD_OUT}
    kept = read_cache([KEPT])
    again = recounted(units, kept)
    assert {name for _, name in again} == set(FAMILIES)
    for key, row in again.items():
        assert json.loads(json.dumps(row)) == kept[key], "run python tools/cost_data.py --recount"


def test_no_unit_is_both_fitted_and_held_out() -> None:
    trained, held_out = set(), set()
    for (digest, _), row in read_cache([KEPT]).items():
        (held_out if row["function"] in HELD_OUT_FUNCTIONS else trained).add(digest)
    assert trained
    assert held_out
    assert not trained & held_out


@needs_yosys
@pytest.mark.parametrize("name", ["table", "digits", "bipartite"])
def test_fresh_synthesis_is_near_the_estimate(name: str) -> None:
    near(HELD_OUT, 7, name, "ice40")


FRESH = [(family, name) for family in FAMILIES for name in ("table", "thresholds", "lines", "tree")]


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(("family", "name"), FRESH)
def test_fresh_synthesis_of_all_families(family: str, name: str) -> None:
    near(HELD_OUT, 9, name, family)


def near(function: str, bits: int, name: str, family: str) -> None:
    """A unit of widths and functions that the fit never saw costs as estimated."""
    form = forms(unit(function, bits, "faithful"))[name]
    measured = synthesize(unit_verilog(form, "unit"), "unit", family)
    estimated = estimate(form, family)
    assert measured.total / 2 < estimated.total < 2 * measured.total
    assert abs(measured.depth - estimated.depth) <= 3


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize("family", FAMILIES)
def test_memories_are_what_yosys_takes(family: str) -> None:
    rng = np.random.default_rng(0)
    form = plain(lambda x: rng.integers(0, 1 << 16, len(x)), 12)
    options = UnitOptions(lookup="memory")
    measured = synthesize(unit_verilog(form, "unit", options), "unit", family)
    assert measured.brams == estimate(form, family, options).brams
