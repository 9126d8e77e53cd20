"""Forms with integers to be emitted, and what runs their emitted texts."""

from __future__ import annotations

import importlib.util
import math
import re
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from fixed_point_units import unit

from actc.approx.bipartite import BipartiteTable, fit_bipartite
from actc.approx.compressed_table import fit_compressed_table
from actc.approx.dyadic import SegmentTree, fit_segment_tree
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.fixed_polynomial import IntegerPolynomial
from actc.approx.fixed_table import fit_fixed_table
from actc.approx.gates import FixedForm, Gates, NoForm
from actc.approx.signed_digits import IntegerPiecewiseLinear, fit_integer_lines
from actc.approx.thresholds import Thresholds, fit_thresholds
from actc.emission_fixed import emit_fixed
from actc.emitters.program import Program

GCC = ["gcc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
SANITIZED = ["-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]


def ap_types() -> Path | None:
    """The open ap_int headers that hls4ml ships with its project templates."""
    found = importlib.util.find_spec("hls4ml")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "templates" / "vivado" / "ap_types"


def polynomial(gates: Gates, degree: int, depth: int) -> IntegerPolynomial:
    """A polynomial from least squares in equal leaves; the error is of no interest here."""
    count, leaves = len(gates), 1 << depth
    size, shift = count // leaves, 12
    truncations = tuple(range(1, degree))
    t = np.arange(size)
    powers = [t**0, t, *(t ** (k + 2) >> cut for k, cut in enumerate(truncations))]
    basis = np.stack(powers, axis=1).astype(np.float64)
    parts = gates.target.reshape(leaves, size)
    found = np.linalg.lstsq(basis, parts.T * 2.0**shift, rcond=None)[0].T
    depths = np.full(leaves, depth)
    wide = FixedPoint(True, 24, gates.output.fraction)
    return IntegerPolynomial(
        gates.input, wide, depths, np.rint(found).astype(np.int64), truncations, shift
    )


def bipartite(gates: Gates) -> BipartiteTable:
    fit = fit_bipartite(gates)
    assert not isinstance(fit, NoForm)
    return fit.form


FITTERS: dict[str, Callable[[Gates], FixedForm]] = {
    "fixed_table": lambda gates: fit_fixed_table(gates).form,
    "compressed_table": lambda gates: fit_compressed_table(gates).form,
    "bipartite_table": bipartite,
    "thresholds": lambda gates: fit_thresholds(gates).form,
    "lines": lambda gates: fit_integer_lines(gates).form,
    "digits": lambda gates: fit_integer_lines(gates, digits=2).form,
    "segment_tree": lambda gates: fit_segment_tree(gates).form,
    "degree 2": lambda gates: polynomial(gates, 2, 2),
    "degree 3": lambda gates: polynomial(gates, 3, 1),
}
UNITS = [("GELU", 8), ("Sigmoid", 6), ("Tanh", 12)]


@lru_cache(maxsize=64)
def form_of(fitter: str, name: str, bits: int) -> FixedForm:
    return FITTERS[fitter](unit(name, bits, "faithful"))


each_form = pytest.mark.parametrize("fitter", FITTERS)
each_unit = pytest.mark.parametrize(("name", "bits"), UNITS)


def emitted(kind: str, form: FixedForm, name: str = "unit") -> str:
    return emit_fixed(kind, form, name, function="f(x)", max_error=0.5).decode()


def ran(command: list[str], source: str, path: Path) -> str:
    """What the program prints that is compiled from `source`."""
    path.write_text(source)
    binary = path.with_suffix("")
    subprocess.run([*command, str(path), "-o", str(binary)], check=True, timeout=300)
    done = subprocess.run([str(binary)], check=True, capture_output=True, timeout=60)
    return done.stdout.decode()


MAIN = """
#include <stdio.h>

int main(void)
{
    for (long x = %dL; x <= %dL; x++) {
        printf("%%ld\\n", (long)unit((%s)x));
    }
    return 0;
}
"""


def c_outputs(form: FixedForm, tmp_path: Path, low: int, high: int) -> Codes:
    text = emitted("c", form)
    argument = re.search(r"unit\((\w+) x\);", text)
    assert argument is not None
    source = text + MAIN % (low, high, argument[1])
    return np.array(ran(GCC + SANITIZED, source, tmp_path / "unit.c").split(), np.int64)


def hls_outputs(form: FixedForm, tmp_path: Path) -> Codes:
    headers = ap_types()
    if headers is None:
        pytest.skip("hls4ml, whose templates hold the ap_int headers, is not installed")
    assert (headers / "ap_int.h").is_file()
    source = emitted("hls", form) + MAIN % (form.input.low, form.input.high, "long")
    # the headers are not ours: only our own file is held to the warnings
    command = ["g++", "-std=c++11", "-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    text = ran([*command, "-isystem", str(headers)], source, tmp_path / "unit.cpp")
    return np.array(text.split(), np.int64)


def holds(signed: bool, width: int, low: int, high: int) -> bool:
    lowest = -(2 ** (width - 1)) if signed else 0
    return lowest <= low and high < lowest + 2**width


def loaded(text: str) -> dict[str, Any]:
    module: dict[str, Any] = {}
    exec(compile(text, "unit.py", "exec"), module)
    return module


def onnx_outputs(form: FixedForm, x: np.ndarray) -> np.ndarray:
    content = emit_fixed("onnx", form, "unit", function="f(x)", max_error=0.5)
    model = onnx.load_from_string(content)
    assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.astype(np.float32)})
    assert y.dtype == np.float32
    return np.asarray(y)


def probes(format: FixedPoint) -> np.ndarray:
    """Every value, the points between, ties, their neighbours, and what is far outside."""
    values = np.append(format.values(), format.to_real(np.array([format.low - 1, format.high + 1])))
    ties = values + format.ulp / 2
    near = [np.nextafter(ties.astype(np.float32), np.float32(end)) for end in (-np.inf, np.inf)]
    far = [1e6, -1e6, 3e38, -3e38, math.inf, -math.inf, 1e-40, -1e-40, 0.0, -0.0]
    return np.concatenate([values, ties, *near, values + 0.3 * format.ulp, far]).astype(np.float32)


def constant_forms() -> list[FixedForm]:
    source, target = FixedPoint(True, 5, 2), FixedPoint(True, 8, 4)
    none, zero = np.zeros(0, np.int64), np.zeros(1, np.int64)
    lines = (none, np.array([3]), np.array([40]), 2)
    return [
        Thresholds(source, target, none, np.array([-7])),
        IntegerPiecewiseLinear(source, target, none, zero, np.array([-100]), 4),
        IntegerPiecewiseLinear(source, target, *lines),
        IntegerPiecewiseLinear(source, target, none, np.array([1]), zero, 0),
        SegmentTree(source, target, zero, np.array([-3]), np.array([1]), 1),
    ]


def run_program(program: Program, x: int) -> int:
    """What the steps give, in unbounded integers."""
    values: dict[str | int, int] = {"x": x}
    for step in program.steps:
        left = values.get(step.left, step.left)
        right = values.get(step.right, step.right)
        if step.operator in ("lookup", "rank"):
            table = program.tables[str(step.right)].tolist()
            found = table[left] if step.operator == "lookup" else sum(t <= left for t in table)
        else:
            found = {
                "add": lambda a, b: a + b,
                "subtract": lambda a, b: a - b,
                "multiply": lambda a, b: a * b,
                "left": lambda a, b: a * 2**b,
                "right": lambda a, b: a // 2**b,
                "and": lambda a, b: a & b,
            }[step.operator](left, right)
        assert step.range.low <= found <= step.range.high
        values[step.name] = found
    return int(values.get(program.result, program.result))
