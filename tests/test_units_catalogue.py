"""The kept results of the catalogue's hardware units, and a sample of them made again."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from installed import needs_iverilog, needs_yosys

from actc.approx.catalogue import CATALOGUE, find
from actc.approx.fixed_point import FixedPoint
from actc.targets.fpga.simulation import simulate_unit

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str) -> ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


units = tool("units")
KEPT = units.load()
SAMPLE = [
    ("GELU", 8),
    ("Tanh", 8),
    ("Reciprocal", 8),
    ("Log", 8),
    ("Sign", 8),
    ("GELU", 12),
    ("Sigmoid", 12),
    ("Snake", 12),
    ("SiLU", 16),
    pytest.param("Tanh", 16, marks=pytest.mark.slow),
]


def kept_choice(key: Any) -> tuple[Any, Any]:
    """The gates of a unit, and its form fitted again."""
    variants = [v for v in units.wanted(key.bits) if str(v) == KEPT[key]["variant"]]
    gates = units.gates_of(key)
    ((variant, fit),) = units.fitted(gates, variants)
    return gates, units.choice(key, variant, fit)


@needs_iverilog
@pytest.mark.parametrize(("function", "bits"), SAMPLE)
def test_fit_verilog_simulation(function: str, bits: int) -> None:
    key = units.Key(function, bits)
    row = KEPT[key]
    gates, unit = kept_choice(key)
    codes = gates.input.codes()
    assert len(codes) == 2**bits
    outputs = simulate_unit(unit.source.verilog, unit.source.top, codes, gates.input, gates.output)
    units.check_outputs(outputs, unit, gates)
    # the kept error, from the simulated outputs and the function itself
    values = units.scalar_function(find(function))(gates.input.values())
    target = np.clip(values / gates.output.ulp, gates.output.low, gates.output.high)
    assert np.abs(outputs - target).max() == pytest.approx(row["max_error_ulp"], abs=1e-9)
    assert row["max_error"] == row["max_error_ulp"] * gates.output.ulp
    expected = units.facts(key, gates, unit)
    # other Verilog of the same form is a matter of test_synthesis_again
    del expected["digest"]
    assert {name: row[name] for name in expected} == expected


@needs_iverilog
def test_a_wrong_output_is_noticed() -> None:
    key = units.Key("GELU", 8)
    gates, unit = kept_choice(key)
    outputs = unit.fit.form.evaluate(gates.input.codes())
    units.check_outputs(outputs, unit, gates)
    outputs[17] += 1
    with pytest.raises(AssertionError, match="differs from the form"):
        units.check_outputs(outputs, unit, gates)


@pytest.mark.slow
@needs_yosys
@needs_iverilog
@pytest.mark.parametrize(("function", "bits"), [("SiLU", 8), ("Sign", 8), ("Abs", 8)])
def test_synthesis_again(function: str, bits: int) -> None:
    key = units.Key(function, bits)
    if KEPT[key]["tool"] != units.tool():
        pytest.skip(f"kept with {KEPT[key]['tool']}, installed is {units.tool()}")
    # the kept form: which one is chosen may change with the cost model
    gates, unit = kept_choice(key)
    (row,) = units.measure([units.Plan(key, gates, (unit,))])
    assert row == KEPT[key], "run python tools/units.py, then tools/units_page.py"


@pytest.mark.parametrize("bits", [8, 12])
def test_every_function(bits: int) -> None:
    assert {key.function for key in KEPT if key.bits == bits} == {e.name for e in CATALOGUE}


def test_many_functions_at_16_bits() -> None:
    names = {key.function for key in KEPT if key.bits == 16}
    assert names == {find(name).name for name in units.AT_16_BITS}
    assert len(names) >= 20


def test_kept_results_are_whole() -> None:
    order = {entry.name: number for number, entry in enumerate(CATALOGUE)}
    assert list(KEPT) == sorted(KEPT, key=lambda key: (order[key.function], key.bits))
    for key, row in KEPT.items():
        assert row["equivalence"] == f"simulated at all {2**key.bits} inputs"
        source, target = (FixedPoint.parse(row[side]) for side in ("input", "output"))
        assert (source, target) == units.formats(find(key.function), key.bits)
        # below 1, which float64 may round to 1 where the function nearly is a code
        assert 0 <= row["max_error_ulp"] <= 1
        for family in units.FAMILIES:
            assert row["cost"][family]["dsps"] == row["cost"][family]["brams"] == 0
            assert row["cost"][family]["logic_cells"] >= 0


@pytest.mark.parametrize(
    ("function", "bits", "source", "target"),
    [
        ("GELU", 8, "s8.4", "s8.4"),
        ("ReLU", 8, "s8.4", "u8.5"),
        ("Tanh", 12, "s12.8", "s12.11"),
        ("Sigmoid", 8, "s8.4", "u8.8"),
        ("Log", 8, "u8.5", "s8.5"),
        ("Exp", 8, "s8.4", "u8.2"),
        ("Cube", 16, "s16.12", "s16.9"),
    ],
)
def test_formats(function: str, bits: int, source: str, target: str) -> None:
    assert [str(each) for each in units.formats(find(function), bits)] == [source, target]


@pytest.mark.parametrize("bits", [8, 12])
def test_outputs_have_the_fewest_integer_bits(bits: int) -> None:
    for entry in CATALOGUE:
        source, target = units.formats(entry, bits)
        values = units.scalar_function(entry)(source.values())
        largest = min(np.abs(values[np.isfinite(values)]).max(), 64.0)
        power = bits - target.fraction - target.signed
        assert largest <= 2.0**power
        assert power == 0 or largest > 2.0 ** (power - 1)
        assert target.signed == bool((values < 0).any())


def test_results_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "units.jsonl"
    units.save(KEPT, path)
    assert path.read_bytes() == units.RESULTS.read_bytes()
    assert units.load(path) == KEPT
    assert units.load(tmp_path / "none") == {}


def test_what_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    key = units.Key("Sign", 8)
    _, unit = kept_choice(key)
    row = {**KEPT[key], "digest": unit.digest, "tool": "yosys of tomorrow"}
    assert not units.current(key, row)
    monkeypatch.setattr(units, "tool", lambda: "yosys of tomorrow")
    assert units.current(key, row)
    assert not units.current(key, None)
    assert not units.current(key, {**row, "digest": "0"})
    assert not units.current(key, {**row, "variant": "of yesterday"})


def test_the_page_is_up_to_date() -> None:
    page = tool("units_page")
    written = (ROOT / "docs" / "units.md").read_text("utf-8")
    assert written == page.page(), "run python tools/units_page.py"
