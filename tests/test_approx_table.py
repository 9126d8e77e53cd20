"""Scalar functions and exact tables."""

from __future__ import annotations

import numpy as np
import pytest

from actc.approx.function import ScalarFunction
from actc.approx.table import Table, fit_table
from actc.errors import ModelError
from actc.numerics import QuantizationParameters

INPUT = QuantizationParameters.from_range(-4.0, 4.0)
TANH = ScalarFunction("Tanh", np.tanh)


def test_table_is_the_rounded_function() -> None:
    output = QuantizationParameters.from_range(-1.0, 1.0)
    fit = fit_table(TANH, INPUT, output)
    np.testing.assert_array_equal(fit.form.values, output.quantize(np.tanh(INPUT.values())))
    codes = np.array([[0, 255], [INPUT.zero_point, 7]], np.uint8)
    np.testing.assert_array_equal(fit.form.evaluate(codes), fit.form.values[codes])
    reals = output.values()[fit.form.values]
    error = np.abs(reals - np.tanh(INPUT.values()))
    assert fit.max_error == error.max()
    assert fit.lower_bound <= fit.max_error
    assert fit.max_error <= output.scale / 2 * (1 + 1e-6)
    assert fit.rms_error == pytest.approx(np.sqrt(np.mean(error**2)))


def test_no_table_beats_the_lower_bound() -> None:
    output = QuantizationParameters.from_range(-0.5, 0.7)  # tanh saturates
    fit = fit_table(TANH, INPUT, output)
    every = np.abs(output.values()[:, None] - np.tanh(INPUT.values())).min(axis=0)
    assert fit.lower_bound == every.max()
    assert fit.max_error == pytest.approx(fit.lower_bound)
    assert fit.max_error > 0.2


def test_ties_round_to_even() -> None:
    unit = QuantizationParameters(1.0, 0)
    half = ScalarFunction("Half", lambda x: x / 2)
    values = fit_table(half, unit, unit).form.values
    np.testing.assert_array_equal(values[:9], [0, 0, 1, 2, 2, 2, 3, 4, 4])


def test_unused_codes_repeat_the_nearest_used_one() -> None:
    narrow = QuantizationParameters(0.5, 3, low=3, high=100)
    fit = fit_table(ScalarFunction("Sqrt", np.sqrt), narrow, None)
    assert fit.form.values.dtype == np.float32
    np.testing.assert_array_equal(fit.form.values[:4], 0)
    np.testing.assert_array_equal(fit.form.values[100:], np.float32(np.sqrt(48.5)))
    assert 0 < fit.max_error == fit.lower_bound < 1e-6


def test_infinity_saturates_in_an_integer_table() -> None:
    reciprocal = ScalarFunction("Reciprocal", lambda x: 1 / x)
    fit = fit_table(reciprocal, QuantizationParameters(0.1, 0), INPUT)
    assert fit.form.values[0] == 255
    assert fit.max_error == np.inf
    with pytest.raises(ModelError, match="ACT0304") as caught:
        fit_table(reciprocal, QuantizationParameters(0.1, 0), None)
    assert "x = 0" in str(caught.value)


def test_nan_is_an_error_with_the_place() -> None:
    with pytest.raises(ModelError, match="ACT0303") as caught:
        fit_table(ScalarFunction("Log", np.log), INPUT, INPUT)
    assert "function Log is not a number at x = -3.98431396" in str(caught.value)


def test_domain_continues_with_the_value_at_its_end() -> None:
    log = ScalarFunction("Log", np.log, domain=(1.0, np.e))
    np.testing.assert_array_equal(log([-3.0, 1.0, 2.0, 9.0]), [0.0, 0.0, np.log(2.0), 1.0])
    with pytest.raises(ValueError, match="empty"):
        ScalarFunction("Log", np.log, domain=(2.0, 1.0))


def test_constant_functions_broadcast() -> None:
    assert ScalarFunction("Two", lambda x: np.float64(2.0))(np.zeros((2, 3))).shape == (2, 3)


def test_table_rejects_other_shapes() -> None:
    with pytest.raises(ValueError, match="256"):
        Table(np.zeros(255, np.uint8))
