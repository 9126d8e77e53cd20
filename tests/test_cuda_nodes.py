"""Node tests of the onnx package on the target cuda: generic kernels, executed on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from installed import needs_nvcc
from test_onnx_nodes import PASS

import actc

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
from onnx_node_case import cases, run_case

QUICK = ("scatternd_add", "tan_example", "unsqueeze_unsorted_axes")

pytestmark = needs_nvcc


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `actc.compile` build for the target cuda, whatever it is told."""
    compile = actc.compile

    def instead(model: object, _: str, **given: object) -> actc.Artifact:
        return compile(model, "cuda:sm_80", **given)  # type: ignore[arg-type]

    monkeypatch.setattr(actc, "compile", instead)


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("name", QUICK)
def test_a_case_passes(name: str) -> None:
    outcome = run_case(cases()[f"test_{name}"])
    assert outcome.result == "passes", outcome.reason


@pytest.mark.slow
@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("name", [name for name in PASS if name not in QUICK])
def test_more_cases_pass(name: str) -> None:
    outcome = run_case(cases()[f"test_{name}"])
    assert outcome.result == "passes", outcome.reason
