"""The target cuda with --precision float16."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from installed import needs_nvcc
from models import network, normal
from sealed import sealed

import actc
from actc.errors import ModelError, UsageError
from actc.targets.tvm.cuda import CudaTarget
from actc.targets.tvm.cuda.half import HALF, SPREAD, UNIT, Stored, halved, roundings, too_wide
from actc.targets.tvm.cuda.lower import kernel_plan

Array = np.ndarray[Any, Any]

BODY = """a = Conv <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]> (x, w1, b1)
b = Mish (a)
c = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (b, w2, b2)
d = Relu (c)
m = MaxPool <kernel_shape = [2,2], strides = [2,2]> (d)
e = Conv <kernel_shape = [3,3], pads = [1,1,1,1], group = 24> (m, w3, b3)
f = Add (e, m)
g = GlobalAveragePool (f)
h = Flatten (g)
y = MatMul (h, w4)"""
WEIGHTS = {
    "w1": normal(15, 3, 3, 3) / 3, "b1": normal(15),
    "w2": normal(24, 15, 3, 3, seed=1) / 6, "b2": normal(24, seed=2),
    "w3": normal(24, 1, 3, 3, seed=3), "b3": normal(24, seed=4), "w4": normal(24, 10, seed=5),
}  # fmt: skip
ATTENTION = """q = MatMul (x, wq)
k = MatMul (x, wk)
t = Transpose <perm = [0,2,1]> (k)
s = MatMul (q, t)
p = Softmax (s)
o = MatMul (p, x)
r = Add (o, x)
n = LayerNormalization <axis = -1> (r, g)
z = Concat <axis = 2> (n, r)
y = Mul (z, z)"""


def convolutions(**changed: Array) -> onnx.ModelProto:
    # an odd number of channels: the padding lane behind them shares a word with the last
    return network("float[N,3,16,16] x => float[N,10] y", BODY, {**WEIGHTS, **changed})


def attention() -> onnx.ModelProto:
    # one tensor has the name that kernels have for the batch
    weights = {"wq": normal(12, 12) / 4, "wk": normal(12, 12, seed=1) / 4}
    return network(
        "float[N,9,12] x => float[N,9,24] y", ATTENTION, {**weights, "g": normal(12, seed=2)}
    )


def compiled(model: onnx.ModelProto, data: Array, out: Path, target: str) -> dict[str, Any]:
    found = actc.compile(
        model, target, data={"x": data}, output=out, precision="float16", max_drop=1
    )
    return dict(found.report)


def off(report: dict[str, Any]) -> float:
    """Largest difference of the artefact from the float32 model, in units of its RMS."""
    rows = [row for row in report["outputs"] if row["stage"] == "artifact"]
    return float(max(row["max"] / row["reference_rms"] for row in rows))


@needs_nvcc
def test_convolutions(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = compiled(convolutions(), normal(8, 3, 16, 16), out, "cuda:sm_80")
    stated = json.loads((out / "float16.json").read_text())
    assert stated["tolerance"] == UNIT * SPREAD * math.sqrt(stated["roundings"])
    assert stated["tolerance"] < UNIT * stated["roundings"]
    # float16 is in it, and no more than was derived; activations alone are float32's
    assert 1e-4 < off(report) < stated["tolerance"]
    assert any("roundings of 2^-11" in note for note in report["hardware"]["notes"])
    text = (out / "kernels.cu").read_text().split("#endif")[-1]
    assert "actc_mma_f16(" in text
    assert "half[n, 8, 8, 24]" in (out / "kernels.txt").read_text()
    checked = actc.check(out, {"x": normal(5, 3, 16, 16, seed=9)})
    assert checked["diagnostics"] == []
    # kernels that read six bits less are beyond the tolerance
    source = (out / "kernels.cu").read_text()
    rough = source.replace(
        'extern "C" __global__',
        "#define actc_widen(x) actc_widen((x) & 0xFFC0)\n" + 'extern "C" __global__',
        1,
    )
    (out / "kernels.cu").write_text(rough)
    (found,) = actc.check(sealed(out), {"x": normal(5, 3, 16, 16, seed=9)})["diagnostics"]
    assert found["code"] == "ACT0602"


@needs_nvcc
def test_products_of_activations(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = compiled(attention(), normal(8, 9, 12), out, "cuda:sm_75")
    stated = json.loads((out / "float16.json").read_text())
    assert 1e-4 < off(report) < 10 * stated["tolerance"]


def test_values_too_large_for_half_stay_float32() -> None:
    model = ir.from_proto(convolutions())
    plan = kernel_plan(model, "float32")

    class Seen:
        def __init__(self, low: float, high: float) -> None:
            self.low, self.high = low, high

    wide = too_wide(plan, {"d": Seen(0, 20000.0), "m": Seen(-3, 3), "e": Seen(-np.inf, 0)})
    assert wide == {"d", "e"}
    found = halved(plan, wide)
    assert {name for name, b in found.buffers.items() if b.dtype == HALF} >= {"m", "f", "g"}
    assert found.buffers["d"].dtype == found.buffers["e"].dtype == "float32"
    by_output: dict[str, object] = {call.output: call.kernel for call in found.calls}
    pool = by_output["m"]
    assert isinstance(pool, Stored)
    assert (pool.x, pool.out) == ("float32", HALF)
    assert roundings(found) < roundings(halved(plan, frozenset()))


def test_weights_beyond_half_are_named() -> None:
    large = WEIGHTS["w2"].copy()
    large[3, 2, 1, 0] = -70000.0
    model = ir.from_proto(convolutions(w2=large, w4=WEIGHTS["w4"] * 1e6))
    with pytest.raises(ModelError) as caught:
        CudaTarget().plan(model, "float16")
    found = caught.value.diagnostics
    assert [d.code for d in found] == ["ACT0485", "ACT0485"]
    assert "-70000" in found[0].message
    assert found[0].place.node


def test_targets_without_half_refuse_it(tmp_path: Path) -> None:
    for target in ("cpu", "onnx"):
        with pytest.raises(UsageError, match="ACT0486") as caught:
            actc.compile(convolutions(), target, precision="float16", dry_run=True)
        assert "--target cuda" in str(caught.value)


@needs_nvcc
def test_numbers_that_end_beyond_half_are_cut_off(tmp_path: Path) -> None:
    """Finite numbers stay finite, infinities and NaN what they are."""
    body = "a = Neg (x)\ny = ReduceMax <keepdims = 0> (a, axes)"
    model = network("float[N,4,1] x => float[N,4] y", body, {"axes": np.array([2])})
    target = CudaTarget.parse("sm_80")
    target.build(target.plan(ir.from_proto(model), "float16"), tmp_path)
    x = np.array([[1e5, -3e38, np.inf, -np.inf], [np.nan, 0.5, 1e-9, 65504]], np.float32)
    (got,) = target.run(tmp_path, {"x": x[..., None]}).values()
    wanted = [[-65504, 65504, -np.inf, np.inf], [np.nan, -0.5, 0, -65504]]
    np.testing.assert_array_equal(got, np.asarray(wanted, np.float32))
