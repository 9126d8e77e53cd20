"""Networks of splines: B-spline bases by the recursion of Cox and de Boor, and others."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from integer_models import compiled, golden_of, ops
from models import network, normal, operators, proto_of, run, transformed

import actc
from actc.ir import spec
from actc.passes.normalize import Normalize
from actc.passes.structure import Structure

Array = np.ndarray[Any, Any]

INPUTS, ORDER, CELLS = 3, 3, 5
BASES = CELLS + ORDER
UNIFORM = (np.arange(-ORDER, CELLS + ORDER + 1) * (2 / CELLS) - 1).astype(np.float32)
GRIDS = {
    "one for all inputs": np.tile(UNIFORM, (INPUTS, 1)),
    "one per input": UNIFORM + np.linspace(0, 0.3, INPUTS, dtype=np.float32)[:, None],
    "uneven": np.sort(UNIFORM + normal(INPUTS, len(UNIFORM), scale=0.03), axis=1),
}
AXIS = {
    "last": np.array([-1]), "zero": np.array([0]), "one": np.array([1]),
    "minus1": np.array([-1]), "end": np.array([2**63 - 1]), "two": np.array([2]),
}  # fmt: skip


def cox_de_boor(grid: Array) -> tuple[str, dict[str, Array]]:
    """Statements that give `bases` [N, I, G] of `x` [N, I], and their constants."""
    lines = ["u = Unsqueeze (x, last)", "ge = GreaterOrEqual (u, lo)", "lt = Less (u, hi)"]
    lines += ["both = And (ge, lt)", "b0 = Cast <to = 1> (both)"]
    arrays = {"lo": grid[:, :-1], "hi": grid[:, 1:], **AXIS}
    for k in range(1, ORDER + 1):
        arrays |= {
            f"l{k}": grid[:, : -(k + 1)],
            f"dl{k}": grid[:, k:-1] - grid[:, : -(k + 1)],
            f"r{k}": grid[:, k + 1 :],
            f"dr{k}": grid[:, k + 1 :] - grid[:, 1:-k],
        }
        name = "bases" if k == ORDER else f"b{k}"
        lines += [
            f"s{k} = Sub (u, l{k})", f"p{k} = Div (s{k}, dl{k})",
            f"left{k} = Slice (b{k - 1}, zero, minus1, two)", f"m{k} = Mul (p{k}, left{k})",
            f"t{k} = Sub (r{k}, u)", f"q{k} = Div (t{k}, dr{k})",
            f"right{k} = Slice (b{k - 1}, one, end, two)", f"n{k} = Mul (q{k}, right{k})",
            f"{name} = Add (m{k}, n{k})",
        ]  # fmt: skip
    return "\n ".join(lines), arrays


def layer(grid: Array) -> onnx.ModelProto:
    """y = w * silu(x) + v * bases(x), as the usual modules have it."""
    body, arrays = cox_de_boor(grid)
    body += """
 flat = Reshape (bases, shape)
 spline = MatMul (flat, v)
 g = Sigmoid (x)
 silu = Mul (x, g)
 base = MatMul (silu, w)
 y = Add (base, spline)"""
    weights = {
        **arrays,
        "shape": np.array([-1, INPUTS * BASES]),
        "v": normal(INPUTS * BASES, 4, scale=0.4),
        "w": normal(INPUTS, 4, seed=1, scale=0.5),
    }
    return network(f"float[N,{INPUTS}] x => float[N,4] y", body, weights)


@pytest.mark.parametrize("name", GRIDS)
def test_layer(name: str) -> None:
    data = {"x": normal(300, INPUTS)}
    golden = compiled(layer(GRIDS[name]), data, activations="mixed", noise=0.02)
    found = ops(golden)
    assert found.count("ChannelTable") == 1
    assert found.count("IntMatMul") + found.count("WideMatMul") == 2
    table = next(node for node in golden.graph.node if node.op_type == "ChannelTable")
    offsets = {t.name: t.dims for t in golden.graph.initializer}[table.input[2]]
    functions = BASES if name == "one for all inputs" else INPUTS * BASES
    assert max(offsets) == functions  # functions that all inputs have are tabulated once


@pytest.mark.parametrize("name", GRIDS)
def test_bases_stay_what_they_are(name: str) -> None:
    body, arrays = cox_de_boor(GRIDS[name])
    signature = f"float[N,{INPUTS}] x => float[N,{INPUTS},{BASES}] bases"
    model, data = network(signature, body, arrays), {"x": normal(200, INPUTS)}
    result = transformed(model, Normalize(), Structure(), data=data)
    assert not {"Slice", "Expand"} & set(operators(result))
    wanted, found = run(model, data)["bases"], run(proto_of(result), data)["bases"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=-1)[np.abs(data["x"]) < 0.6], 1, atol=1e-5)


WIDE: dict[str, tuple[str, dict[str, Array]]] = {
    "radial": (
        "u = Unsqueeze (x, last)\n d = Sub (u, c)\n q = Mul (d, d)\n n = Neg (q)\n y = Exp (n)",
        {"c": np.linspace(-2, 2, 8, dtype=np.float32)},
    ),
    "sines": (
        "u = Unsqueeze (x, last)\n p = Mul (u, c)\n y = Sin (p)",
        {"c": np.arange(1, 9, dtype=np.float32)},
    ),
    "a detour": (
        "u = Unsqueeze (x, last)\n g = Gather <axis = 2> (u, i)\n v = Unsqueeze (g, last)\n"
        "p = Mul (v, c)\n s = Mul (u, c)\n t = Tanh (p)\n y = Mul (t, s)",
        {"c": np.arange(1, 9, dtype=np.float32), "i": np.array(0)},
    ),
}


@pytest.mark.parametrize("name", WIDE)
def test_other_bases(name: str) -> None:
    body, weights = WIDE[name]
    signature = f"float[N,{INPUTS}] x => float[N,{INPUTS},8] y"
    model = network(signature, body, {"last": np.array([-1]), **weights})
    data = {"x": normal(300, INPUTS)}
    golden = compiled(model, data, activations="mixed", noise=0.02)
    assert [op for op in ops(golden) if op != "Requantize"][-1] == "ChannelTable"


OTHERS = {
    "of two numbers": "u = Unsqueeze (x, last)\n a = Sub (u, c)\n b = Mul (a, z)\n y = Exp (b)",
    "of a vector": "u = Unsqueeze (x, first)\n a = Sub (u, d)\n y = Exp (a)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_basis(name: str) -> None:
    weights = {"last": np.array([-1]), "first": np.array([1])}
    weights |= {"c": normal(4), "d": normal(4, 1)}
    used = {k: a for k, a in weights.items() if k in OTHERS[name].replace("Exp", "")}
    shape = "3,4" if "last" in OTHERS[name] else "4,3"
    model = network(
        f"float[N,3] x, float[N,3,4] z => float[N,{shape}] y", OTHERS[name], used
    )  # fmt: skip
    data = {"x": normal(8, 3), "z": normal(8, 3, 4)}
    before = operators(transformed(model, Normalize(), data=data))
    assert operators(transformed(model, Normalize(), Structure(), data=data)) == before


@pytest.mark.slow
@pytest.mark.parametrize("style", ["efficient", "recursive"])
def test_torch_modules(style: str) -> None:
    """The two ways in which modules of torch compute their splines."""
    torch = pytest.importorskip("torch")

    def bases(x: Any, grid: Any) -> Any:
        u = x.unsqueeze(-1)
        b = ((u >= grid[:, :-1]) & (u < grid[:, 1:])).to(x.dtype)
        for k in range(1, ORDER + 1):
            left = (u - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)])
            right = (grid[:, k + 1 :] - u) / (grid[:, k + 1 :] - grid[:, 1:-k])
            b = left * b[:, :, :-1] + right * b[:, :, 1:]
        return b

    def recursive(x: Any, grid: Any, k: int = ORDER) -> Any:
        u, g = x.unsqueeze(2), grid.unsqueeze(0)
        if k == 0:
            return torch.nan_to_num((u >= g[:, :, :-1]) * (u < g[:, :, 1:]))
        b = recursive(u[:, :, 0], g[0], k - 1)
        left = (u - g[:, :, : -(k + 1)]) / (g[:, :, k:-1] - g[:, :, : -(k + 1)])
        right = (g[:, :, k + 1 :] - u) / (g[:, :, k + 1 :] - g[:, :, 1:-k])
        return torch.nan_to_num(left * b[:, :, :-1] + right * b[:, :, 1:])

    class Layer(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, width: int, outputs: int) -> None:
            super().__init__()
            grid = torch.from_numpy(np.tile(UNIFORM, (width, 1)))
            self.register_buffer("grid", grid)
            self.base = torch.nn.Linear(width, outputs, bias=False)
            self.spline = torch.nn.Parameter(torch.randn(outputs, width, BASES) * 0.3)

        def forward(self, x: Any) -> Any:
            base = self.base(torch.nn.functional.silu(x))
            if style == "recursive":
                return base + torch.einsum("nig,oig->no", recursive(x, self.grid), self.spline)
            flat = bases(x, self.grid).reshape(x.shape[0], -1)
            return base + torch.nn.functional.linear(flat, self.spline.flatten(1))

    torch.manual_seed(0)
    model = actc.export(torch.nn.Sequential(Layer(4, 6), Layer(6, 3)), torch.randn(3, 4))
    data = {"x": normal(200, 4)}
    golden = golden_of(model, data, activations="mixed")
    assert ops(golden).count("ChannelTable") == 2
    (name,) = (value.name for value in model.graph.output)
    got, wanted = run(golden, data)[name], run(model, data)[name]
    np.testing.assert_array_equal(got, spec.run(golden, data)[name])
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.03 * np.sqrt(np.mean(wanted**2))
