"""Pass `rotate`: the function stays, outliers are spread over their block."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, operators, prepared, proto_of, random_data, run

from actc.errors import UsageError
from actc.ir.context import context_of
from actc.ir.graph import constant, is_op
from actc.passes.widths import is_rotation
from actc.pipeline import Pipeline, Verify

Array = np.ndarray[Any, Any]


def outliers(width: int) -> Array:
    """Magnitudes of channels, three of them sixty times the others."""
    found = np.ones(width, np.float32)
    found[[5, 11, width - 1]] = 60
    return found


def norm_network(width: int = 48, readers: str = "", outputs: str = "") -> onnx.ModelProto:
    return network(
        f"float[N,4,{width}] x => float[N,4,9] y{outputs}",
        f"h = LayerNormalization (x, g, b)\n y = MatMul (h, v){readers}",
        {"g": outliers(width), "b": normal(width), "v": normal(width, 9), "w": normal(width, 7)},
    )


TWO = norm_network(readers="\n z = MatMul (h, w)", outputs=", float[N,4,7] z")
CASES = {
    "blocks": (norm_network(48), 16),
    "one-block": (norm_network(64), 64),
    "two-readers": (TWO, 16),
    "residual": (norm_network(64, "\n z = Relu (h)", ", float[N,4,64] z"), 64),
    "rows": (
        network(
            "float[N,24] x => float[N,9] y",
            "h = Mul (x, g)\n y = MatMul (h, v)",
            {"g": outliers(24), "v": normal(24, 9)},
        ),
        8,
    ),
}


def rotated(model: onnx.ModelProto, feeds: dict[str, Array], spelling: str = "rotate") -> Any:
    pipeline = Pipeline.parse(f"normalize,structure,{spelling}")
    return pipeline.run(prepared(model, feeds), [Verify()])


def rotations(model: ir.Model) -> list[ir.Node]:
    return [node for node in model.graph if is_rotation(node)]


@pytest.mark.parametrize("name", CASES)
def test_the_function_stays(name: str) -> None:
    model, block = CASES[name]
    feeds = random_data(model, 16)
    result = rotated(model, feeds)
    (rotation,) = rotations(result)
    matrix = constant(rotation.inputs[1])
    assert matrix is not None
    assert matrix.shape == (block, block)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(block), atol=1e-5)
    wanted, got = run(model, feeds), run(proto_of(result), feeds)
    for output, array in wanted.items():
        np.testing.assert_allclose(got[output], array, atol=2e-5 * np.abs(array).max())


def test_readers_share_a_rotation() -> None:
    result = rotated(TWO, random_data(TWO, 16))
    (rotation,) = rotations(result)
    products = [n for n in result.graph if is_op(n, "MatMul") and n is not rotation]
    assert len(products) == 2
    assert products[0].inputs[0] is products[1].inputs[0]


def golden_error(model: onnx.ModelProto, passes: str, bits: str) -> tuple[float, list[str]]:
    """RMS error of golden's output over its RMS, on data not calibrated on; its operators."""
    rest = f"calibrate,approximate{{{bits}}},quantize{{{bits}}},weights,integerize"
    ready = prepared(model, random_data(model, 64))
    result = Pipeline.parse(f"{passes},recognize,{rest}").run(ready, [Verify()])
    feeds = random_data(model, 64, seed=1)
    wanted, got = run(model, feeds)["y"], run(proto_of(result), feeds)["y"]
    error = float(np.sqrt(np.mean((wanted - got) ** 2) / np.mean(wanted**2)))
    return error, operators(result)


def test_golden_is_nearer_to_float() -> None:
    model = norm_network(64)
    plain, _ = golden_error(model, "normalize,structure", "activations=mixed")
    better, found = golden_error(model, "normalize,structure,rotate", "activations=mixed")
    assert better < 0.75 * plain
    # the rotation reads 16 bits, what it is for reads 8
    assert [op for op in found if op.endswith("MatMul")] == ["WideMatMul", "IntMatMul"]


@pytest.mark.parametrize(
    ("model", "spelling"),
    [
        (norm_network(64), "rotate{gain=0.01}"),
        (norm_network(64), "rotate{wide_bits=8}"),  # the outliers' rounding comes first
        (norm_network(52), "rotate"),  # blocks of four
        (
            network("float[N,4,64] x => float[N,4,9] y", "y = MatMul (x, v)", {"v": normal(64, 9)}),
            "rotate",
        ),
        (
            network(
                "float[N,8,4,64] x => float[N,a,b,c] y, float[N,d,e,f] z",
                "h = Mul (x, g)\n y = MatMul (h, v)\n z = Conv (h, w)",
                {"g": outliers(64), "v": normal(64, 9), "w": normal(2, 8, 1, 1)},
            ),
            "rotate",
        ),
    ],
    ids=["little gain", "narrow", "short blocks", "no outliers", "a convolution reads it too"],
)
def test_nothing_changes(model: onnx.ModelProto, spelling: str) -> None:
    feeds = random_data(model, 16)
    assert not rotations(rotated(model, feeds, spelling))


def test_twice_changes_nothing_more() -> None:
    model = norm_network(64)
    result = rotated(model, random_data(model, 16), "rotate,rotate")
    assert len(rotations(result)) == 1


def test_same_bytes_twice() -> None:
    model = norm_network(64)
    feeds = random_data(model, 16)
    first, second = (proto_of(rotated(model, feeds)) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


def test_needs_data() -> None:
    model = prepared(norm_network(64))
    context_of(model).dataset = None
    with pytest.raises(UsageError, match="rotations need data"):
        Pipeline.parse("normalize,structure,rotate").run(model)
