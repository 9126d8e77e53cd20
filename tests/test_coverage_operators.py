"""The operators of ONNX that networks use, in the spellings of several opsets, in integers.

Each case is a small network around one operator, compiled to golden and compared with the
float model and with golden's own specification.
"""

from __future__ import annotations

import pytest
from integer_models import compiled, golden_of
from models import network, random_data
from operator_case import IMAGE, Case, ints
from operator_cases_arithmetic import ARITHMETIC, NORMALIZATION, PRODUCTS, reductions
from operator_cases_spatial import CONVOLUTIONS, MOVEMENT, POOLING, RESIZES

from actc.errors import ModelError

CASES = {
    f"{family}/{name}": case
    for family, cases in {
        "conv": CONVOLUTIONS,
        "product": PRODUCTS,
        "pool": POOLING,
        "resize": RESIZES,
        "movement": MOVEMENT,
        "reduction": reductions(),
        "arithmetic": ARITHMETIC,
        "normalization": NORMALIZATION,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str) -> None:
    case = CASES[name]
    model = network(case.signature, case.body, case.weights, opset=case.opset)
    compiled(model, noise=case.noise)


WITHOUT_INTEGERS = {
    # name: case, its operator, part of the reason
    "LpPool of other powers": (
        Case(IMAGE, "y = LpPool <kernel_shape=[2,2], p=3> (x)"), "LpPool", "no integer form"
    ),
    "log-sum-exp over two axes": (
        Case(IMAGE, "y = ReduceLogSumExp (x, a)", {"a": ints(1, 2)}), "ReduceLogSumExp", ""
    ),
    "product along an axis": (
        Case(IMAGE, "y = ReduceProd (x, a)", {"a": ints(2)}), "ReduceProd", ""
    ),
    "rows of another tensor": (
        Case(
            "float[N,6,8] x, int64[N,2,8] i => float[N,2,8] y",
            "y = GatherElements <axis=1> (x, i)",
        ),
        "GatherElements",
        "",
    ),
    "padding of the batch": (
        Case(IMAGE, "y = Pad (x, p)", {"p": ints(1, 0, 0, 0, 0, 0, 0, 0)}), "Pad", "the batch"
    ),
    "padding by what the network computes": (
        Case(
            "float[N,6] x, float[1] v => float[N,8] y", "s = Squeeze (v)\n y = Pad (x, p, s)",
            {"p": ints(0, 1, 0, 1)},
        ),
        "Pad",
        "another number",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_INTEGERS)
def test_what_is_refused(name: str) -> None:
    case, operator, reason = WITHOUT_INTEGERS[name]
    model = network(case.signature, case.body, case.weights, opset=case.opset)
    data = random_data(model, 1 if "batch" in name or "computes" in name else 8)
    with pytest.raises(ModelError) as caught:
        golden_of(model, data)
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0103"
    assert problem.message.startswith(f"operator {operator} ")
    assert reason in problem.message
