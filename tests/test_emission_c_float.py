"""Float piecewise-linear functions in C: the certified values, bit for bit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import actc
from actc.approx.pwl import PiecewiseLinear
from actc.emitters.c_float import write_c_lines

# reads floats, writes doubles
MAIN = """
#include <stdio.h>

int main(void)
{
    float x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        const double y = unit(x);
        if (fwrite(&y, sizeof y, 1, stdout) != 1) {
            return 1;
        }
    }
    return 0;
}
"""
WARNINGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
# with fused multiply-adds (where the processor has them) and without
FLAGS = {
    "checked": ["-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"],
    "contracted": ["-O3", "-ffp-contract=fast", "-march=native"],
    "plain": ["-O2", "-ffp-contract=off"],
}

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def outputs(text: str, x: np.ndarray, flags: list[str], tmp_path: Path) -> np.ndarray:
    path = tmp_path / "unit.c"
    path.write_text(text + MAIN)
    binary = tmp_path / "unit"
    command = ["gcc", *WARNINGS, *flags, str(path), "-o", str(binary)]
    subprocess.run(command, check=True, timeout=120)
    done = subprocess.run(
        [str(binary)], input=x.tobytes(), capture_output=True, check=True, timeout=120
    )
    return np.frombuffer(done.stdout, np.float64)


def probes(form: PiecewiseLinear) -> np.ndarray:
    """A million floats: random bits, near the domain, and around the breakpoints."""
    rng = np.random.default_rng(3)
    anything = rng.integers(0, 2**32, 500_000, dtype=np.uint32).view(np.float32)
    usual = rng.uniform(-9, 9, 500_000).astype(np.float32)
    edges = form.breakpoints.astype(np.float32)
    around = [np.nextafter(edges, np.float32(end)) for end in (-np.inf, np.inf)]
    special = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, 3.4e38], np.float32)
    return np.concatenate([anything, usual, edges, *around, special])


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize(
    ("function", "options"),
    [("GELU", {"segments": 16}), ("tanh(x)", {"segments": 5, "form": "pwl-continuous"})],
)
def test_a_million_floats(function: str, options: dict, flags: str, tmp_path: Path) -> None:
    found = actc.fit(function, (-8, 8), **options)
    form = found.approximation
    x = probes(form)
    text = write_c_lines(form, "unit", function, (-8.0, 8.0), found.max_error).decode()
    with np.errstate(all="ignore"):
        expected = form.evaluate(x.astype(np.float64))
    np.testing.assert_array_equal(outputs(text, x, FLAGS[flags], tmp_path), expected)


def test_tables_are_steps(tmp_path: Path) -> None:
    found = actc.fit("GELU", (-8, 8), form="table")
    text = found.emit("c").decode().replace("GELU(", "unit(")
    assert "slopes" not in text
    x = np.random.default_rng(5).uniform(-10, 10, 100_000).astype(np.float32)
    np.testing.assert_array_equal(outputs(text, x, FLAGS["checked"], tmp_path), found(x))


def test_one_line(tmp_path: Path) -> None:
    form = PiecewiseLinear(np.zeros(0), np.array([0.5]), np.array([-1.25]))
    text = write_c_lines(form, "unit", "half", (-1.0, 1.0), 0.0).decode()
    x = np.array([0.1, -3, 7], np.float32)
    expected = form.evaluate(x.astype(np.float64))
    np.testing.assert_array_equal(outputs(text, x, FLAGS["checked"], tmp_path), expected)


def test_the_name_comes_from_the_function() -> None:
    text = actc.fit("x*sigmoid(1.702*x)", (-4, 4), segments=3).emit("c").decode()
    assert "double x_sigmoid_1_702_x(float x)" in text
    assert text == actc.fit("x*sigmoid(1.702*x)", (-4, 4), segments=3).emit("c").decode()


def test_refuses_other_precisions() -> None:
    form = PiecewiseLinear(np.zeros(0), np.array([0.1]), np.array([0.0]))
    with pytest.raises(ValueError, match="float32"):
        write_c_lines(form, "unit", "f", (0.0, 1.0), 0.0)
