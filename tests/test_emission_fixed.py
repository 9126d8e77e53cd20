"""Fixed-point forms as C, HLS C++, Python and ONNX: equal to the form at every input."""

from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixed_emissions import (
    FITTERS,
    GCC,
    c_outputs,
    constant_forms,
    each_form,
    each_unit,
    emitted,
    form_of,
    hls_outputs,
    holds,
    loaded,
    onnx_outputs,
    probes,
    run_program,
)
from fixed_point_units import random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st
from installed import needs_gcc

from actc.approx.catalogue import find
from actc.approx.dyadic import SegmentTree
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.fixed_table import FixedTable
from actc.approx.gates import FixedForm, Gates, make_gates
from actc.approx.signed_digits import IntegerPiecewiseLinear
from actc.emission_fixed import FIXED_KINDS, emit_fixed
from actc.emitters.lowering import lower
from actc.emitters.program import range_of
from actc.emitters.text import comment, identifier
from actc.errors import UsageError


@needs_gcc
@each_unit
@each_form
def test_c(fitter: str, name: str, bits: int, tmp_path: Path) -> None:
    form = form_of(fitter, name, bits)
    found = c_outputs(form, tmp_path, form.input.low, form.input.high)
    np.testing.assert_array_equal(found, form.evaluate(form.input.codes()))


@needs_gcc
@pytest.mark.parametrize("fitter", ["lines", "fixed_table", "segment_tree"])
@pytest.mark.parametrize("signed", [True, False])
def test_c_saturates_other_inputs(fitter: str, signed: bool, tmp_path: Path) -> None:
    source = FixedPoint(signed, 6, 2)
    gates = make_gates(find("Tanh").function(), source, FixedPoint(True, 8, 6), "faithful")
    form = FITTERS[fitter](gates)
    low, high = (-128, 127) if signed else (0, 255)
    found = c_outputs(form, tmp_path, low, high)
    codes = np.clip(np.arange(low, high + 1), source.low, source.high)
    np.testing.assert_array_equal(found, form.evaluate(codes))


# g++ takes a minute for a table of 4096 ap_int
@pytest.mark.slow
@pytest.mark.parametrize(("name", "bits"), [("GELU", 8), ("Sigmoid", 6), ("Tanh", 9)])
@each_form
def test_hls(fitter: str, name: str, bits: int, tmp_path: Path) -> None:
    form = form_of(fitter, name, bits)
    expected = form.evaluate(form.input.codes())
    np.testing.assert_array_equal(hls_outputs(form, tmp_path), expected)


@pytest.mark.parametrize("fitter", ["lines", "bipartite_table"])
def test_hls_of_some(fitter: str, tmp_path: Path) -> None:
    form = form_of(fitter, "GELU", 8)
    expected = form.evaluate(form.input.codes())
    np.testing.assert_array_equal(hls_outputs(form, tmp_path), expected)


@each_form
def test_hls_widths_are_exact(fitter: str) -> None:
    form = form_of(fitter, "Tanh", 12)
    declared = {
        name: (sign == "", int(width))
        for sign, width, name in re.findall(
            r"const ap_(u?)int<(\d+)> (\w+) =", emitted("hls", form)
        )
    }
    steps = [step for step in lower(form).steps if step.operator != "rank"]
    assert declared.keys() == {step.name for step in steps}
    for step in steps:
        low, high = step.range.low, step.range.high
        signed, width = declared[step.name]
        assert signed == (low < 0)
        assert holds(signed, width, low, high)
        assert width == 1 or not holds(signed, width - 1, low, high)


@each_unit
@each_form
def test_numpy(fitter: str, name: str, bits: int) -> None:
    form = form_of(fitter, name, bits)
    module = loaded(emitted("numpy", form))
    codes = form.input.codes()
    np.testing.assert_array_equal(module["evaluate"](codes), form.evaluate(codes))
    square = codes.astype(np.int16 if form.input.signed else np.uint16).reshape(2, -1)
    np.testing.assert_array_equal(module["evaluate"](square), form.evaluate(square))
    assert module["INPUT"] == {
        "signed": form.input.signed,
        "bits": form.input.bits,
        "fraction": form.input.fraction,
    }
    with pytest.raises(ValueError, match="codes of"):
        module["evaluate"](np.array([form.input.high + 1]))
    with pytest.raises(ValueError, match="integers"):
        module["evaluate"](np.array([0.5]))


@each_unit
@each_form
def test_onnx(fitter: str, name: str, bits: int) -> None:
    form = form_of(fitter, name, bits)
    x = probes(form.input)
    expected = form.output.to_real(form.evaluate(form.input.quantize(x)))
    np.testing.assert_array_equal(onnx_outputs(form, x), expected)


@pytest.mark.parametrize("source", ["s8.-3", "u8.12", "s8.40", "u4.4", "s1.0"])
@pytest.mark.parametrize("target", ["s8.5", "s12.-2", "u16.30"])
def test_onnx_of_other_formats(source: str, target: str) -> None:
    formats = FixedPoint.parse(source), FixedPoint.parse(target)
    rng = np.random.default_rng(7)
    low, high = formats[1].low, formats[1].high
    form = FixedTable(*formats, rng.integers(low, high, formats[0].count, endpoint=True))
    x = probes(formats[0])
    expected = formats[1].to_real(form.evaluate(formats[0].quantize(x)))
    np.testing.assert_array_equal(onnx_outputs(form, x), expected)


def test_onnx_keeps_nan() -> None:
    y = onnx_outputs(form_of("lines", "GELU", 8), np.array([np.nan, 1.0]))
    assert math.isnan(y[0])
    assert not math.isnan(y[1])


@needs_gcc
@pytest.mark.parametrize("form", constant_forms(), ids=range(5))
def test_forms_of_one_piece(form: FixedForm, tmp_path: Path) -> None:
    codes = form.input.codes()
    expected = form.evaluate(codes)
    found = c_outputs(form, tmp_path, form.input.low, form.input.high)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded(emitted("numpy", form))["evaluate"](codes), expected)
    y = onnx_outputs(form, form.input.values())
    np.testing.assert_array_equal(y, form.output.to_real(expected))


@given(random_gates(), st.sampled_from(["fixed_table", "thresholds", "lines", "segment_tree"]))
@settings(max_examples=100, deadline=None)
def test_steps_of_random_forms(gates: Gates, fitter: str) -> None:
    form = FITTERS[fitter](gates)
    program = lower(form)
    codes = form.input.codes()
    found = [run_program(program, x) for x in codes.tolist()]
    assert found == form.evaluate(codes).tolist()


def test_deep_trees_are_searched() -> None:
    depths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12])
    slopes, constants = np.arange(13), np.arange(13) * 5
    form = SegmentTree(
        FixedPoint(True, 12, 8), FixedPoint(True, 16, 8), depths, slopes, constants, 3
    )
    program = lower(form)
    assert {"starts"} <= set(program.tables)
    assert all(table.size <= 13 for table in program.tables.values())
    x = np.array([-2048, -1, 0, 1023, 2046, 2047])
    assert [run_program(program, int(each)) for each in x] == form.evaluate(x).tolist()


def test_narrow_tables() -> None:
    values = np.array([0, 1, 254, 255] * 4)
    form = FixedTable(FixedPoint(False, 4, 0), FixedPoint(False, 12, 0), values)
    assert "static const uint8_t table[16]" in emitted("c", form)
    assert "static const ap_uint<8> table[16]" in emitted("hls", form)
    assert "np.uint8" in emitted("numpy", form)


@pytest.mark.parametrize(
    ("low", "high", "width"),
    [(0, 0, 1), (0, 1, 1), (0, 255, 8), (-1, 0, 1), (-1, 1, 2), (-128, 127, 8), (-129, 0, 9)],
)
def test_width_of_a_range(low: int, high: int, width: int) -> None:
    assert range_of(np.array([high, low])).width == width


@pytest.mark.parametrize("kind", FIXED_KINDS)
@each_form
def test_equal_forms_give_equal_bytes(kind: str, fitter: str) -> None:
    gates = unit("GELU", 8, "faithful")
    first, second = (
        emit_fixed(kind, FITTERS[fitter](gates), "u", function="g", max_error=0.1) for _ in "12"
    )
    assert first == second


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gelu", "gelu"),
        ("ELU(0.5)", "ELU_0_5"),
        ("tanh", "tanh_unit"),
        ("expf", "expf_unit"),
        ("int", "int_unit"),
        ("lambda", "lambda_unit"),
        ("int8_t", "int8_t_unit"),
        ("", "f"),
        ("2x", "f_2x"),
        ("__init__", "init"),
        ("a */ b\n#include <x>", "a_b_include_x"),
        ("größe", "gr_e"),
    ],
)
def test_identifiers(name: str, expected: str) -> None:
    assert identifier(name) == expected


@given(st.text(max_size=80))
def test_identifiers_of_any_text(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", identifier(name))
    assert "__" not in identifier(name)


@given(st.text(st.sampled_from("*/?\\\n\"'a\u00e9\u2028 "), max_size=30))
def test_comments_of_any_text(text: str) -> None:
    found = comment(text)
    assert found.isascii()
    assert found.isprintable()
    assert not any(mark in found for mark in ("*/", "/*", "//", "??", "\\"))


HOSTILE = "*/ int main(void){} /* \\\n // ??/ \"\"\" '''  é\u2028 #pragma"


@needs_gcc
@pytest.mark.parametrize("kind", ["c", "hls", "numpy"])
def test_hostile_texts_stay_in_comments(kind: str, tmp_path: Path) -> None:
    form = form_of("lines", "GELU", 8)
    text = emit_fixed(kind, form, HOSTILE, function=HOSTILE, max_error=0.5).decode()
    plain = emit_fixed(kind, form, HOSTILE, function="f", max_error=0.5).decode()
    if kind == "numpy":
        codes = form.input.codes()
        np.testing.assert_array_equal(loaded(text)["evaluate"](codes), form.evaluate(codes))
        return
    without = [re.sub(r"(?s)/\*.*?\*/", "", each) for each in (text, plain)]
    assert without[0] == without[1]
    if kind == "c":
        path = tmp_path / "hostile.c"
        path.write_text(text)
        command = [*GCC, "-trigraphs", "-c", str(path), "-o", str(tmp_path / "hostile.o")]
        subprocess.run(command, check=True, timeout=60)


def test_unknown_kinds_and_forms() -> None:
    form = form_of("lines", "GELU", 8)
    with pytest.raises(ValueError, match="kind"):
        emit_fixed("vhdl", form, "u", function="f", max_error=0.1)

    class Other:
        input = output = FixedPoint(True, 4, 0)
        storage_bits = 0

        def evaluate(self, codes: Codes) -> Codes:
            return codes

        def to_json(self) -> dict[str, Any]:
            return {"form": "other"}

    with pytest.raises(UsageError) as caught:
        emit_fixed("c", Other(), "u", function="f", max_error=0.1)
    assert caught.value.diagnostics[0].code == "ACT0370"


@pytest.mark.parametrize("bits", [4, 20])
def test_forms_that_cannot_be_checked(bits: int) -> None:
    none = np.zeros(0, np.int64)
    source, target = FixedPoint(True, bits, 0), FixedPoint(True, 3, 0)
    form = IntegerPiecewiseLinear(source, target, none, np.array([1]), np.array([0]), 0)
    with pytest.raises(UsageError) as caught:
        emit_fixed("c", form, "u", function="f", max_error=0.1)
    assert caught.value.diagnostics[0].code == "ACT0371"
