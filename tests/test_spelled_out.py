"""Einsum, and operators that are sums and means of others, written as those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_models import compiled, ops
from models import network, normal, operators, proto_of, run, transformed

from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]

SIZES = {"n": 3, "a": 2, "b": 4, "c": 5, "d": 6}


def einsum_model(equation: str, constants: dict[int, Array]) -> tuple[Any, dict[str, Array]]:
    """The model y = Einsum(...) and data; operands that are not in `constants` are inputs."""
    inputs, output = equation.split("->")
    terms = inputs.split(",")
    shapes = [[SIZES[c] for c in term] for term in terms]
    feeds = {
        f"x{k}": normal(*shape, seed=k) for k, shape in enumerate(shapes) if k not in constants
    }

    def signature(k: int) -> str:
        sizes = ",".join("N" if c == "n" else str(SIZES[c]) for c in terms[k])
        return f"float[{sizes}] x{k}"

    result = ",".join("N" if c == "n" else str(SIZES[c]) for c in output)
    names = ", ".join(f"x{k}" for k in range(len(terms)))
    given_inputs = ", ".join(signature(k) for k in range(len(terms)) if k not in constants)
    model = network(
        f"{given_inputs} => float[{result}] y",
        f'y = Einsum <equation="{equation}"> ({names})',
        {f"x{k}": array for k, array in constants.items()},
    )
    return model, feeds


def check(equation: str, constants: dict[int, Array]) -> list[str]:
    """The operators that are left; the outputs must stay."""
    model, feeds = einsum_model(equation, constants)
    result = transformed(model, Normalize(), data=feeds)
    expected, found = run(model, feeds)["y"], run(proto_of(result), feeds)["y"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    return operators(result)


@pytest.mark.parametrize(
    "equation",
    ["nabc,nabd->nacd", "nab,nbc->nac", "nab,ncb->nac", "nab,nab->na", "nabc,ncd->nabd", "nab->nb"],
)
def test_two_tensors(equation: str) -> None:
    assert "Einsum" not in check(equation, {})


@pytest.mark.parametrize("equation", ["nab,bc->nac", "nab,cb->nac", "nabc,bcd->nad", "nab,abc->nc"])
def test_by_a_constant(equation: str) -> None:
    shape = [SIZES[c] for c in equation.split("->")[0].split(",")[1]]
    left = check(equation, {1: normal(*shape)})
    assert left.count("MatMul") == 1
    assert "Einsum" not in left


def test_a_constant_on_the_left() -> None:
    assert check("cb,nba->nca", {0: normal(5, 4)}).count("MatMul") == 1


@st.composite
def equations(draw: st.DrawFn) -> str:
    """Two terms that share the batch and a summed label; some output of the others."""
    terms = []
    for _ in range(2):
        rest = draw(st.lists(st.sampled_from("abcd"), max_size=3, unique=True))
        terms.append("n" + "".join(rest))
    both = [c for c in terms[0] if c in terms[1] and c != "n"]
    summed = draw(st.lists(st.sampled_from(both), unique=True)) if both else []
    kept = sorted({*"".join(terms)} - {"n", *summed})
    return f"{terms[0]},{terms[1]}->n{''.join(draw(st.permutations(kept)))}"


@given(equations())
@settings(max_examples=60, deadline=None)
def test_random_equations(equation: str) -> None:
    check(equation, {})


@pytest.mark.parametrize("equation", ["naa->na", "nab,nb->a", "nab,nbc->nc"])
def test_what_is_no_product_of_matrices_stays(equation: str) -> None:
    if "naa" in equation:
        model = network(
            "float[N,4,4] x => float[N,4] y", f'y = Einsum <equation="{equation}"> (x)', {}
        )
        x = normal(3, 4, 4)
        assert operators(transformed(model, Normalize(), data={"x": x})) == ["Einsum"]
    else:
        check(equation, {})


IMAGE = "float[N,3,4,4] x => float[N,a,b,c] y"


@pytest.mark.parametrize(
    ("body", "gone"),
    [
        ("t = Tanh (x)\n y = Sum (x, t, x)", "Sum"),
        ("t = Tanh (x)\n y = Mean (x, t)", "Mean"),
        ("y = LpNormalization <axis=1> (x)", "LpNormalization"),
        ("y = LpNormalization <axis=-1, p=1> (x)", "LpNormalization"),
        ("y = MeanVarianceNormalization <axes=[2,3]> (x)", "MeanVarianceNormalization"),
    ],
)
def test_sums_and_means(body: str, gone: str) -> None:
    model, x = network(IMAGE, body, {}), normal(5, 3, 4, 4)
    result = transformed(model, Normalize(), data={"x": x})
    assert gone not in operators(result)
    np.testing.assert_allclose(
        run(proto_of(result), {"x": x})["y"], run(model, {"x": x})["y"], rtol=1e-4, atol=1e-5
    )


def test_in_integers() -> None:
    body = 't = Conv (x, v)\n s = Sum (x, t, x)\n y = Einsum <equation="nchw,co->nohw"> (s, w)'
    golden = compiled(network(IMAGE, body, {"v": normal(3, 3, 1, 1), "w": normal(3, 5)}))
    assert ops(golden).count("IntAdd") == 2
    assert ops(golden).count("IntMatMul") == 1
