"""The fuzzer itself: its models are valid and diverse, and it finds and shrinks a defect."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.compared import Golden
from fuzz.contained import Contained
from fuzz.hunt import Statistics, explore, hunt, load, save
from fuzz.judged import Finding, Verdict, judge
from fuzz.oracles import Case, Mismatch, Oracle
from fuzz.recipes import Recipe, case_of
from fuzz.reduced import Found, reduced
from fuzz.rules import RULES
from hypothesis import Phase
from onnxruntime import InferenceSession

from actc.ir import spec

Array = np.ndarray[Any, Any]


class _Here:
    """Judges in this process."""

    def judge(self, case: Case, oracle: Oracle) -> Verdict:
        return judge(case, oracle)


def _cases(number: int, count: int) -> list[Case]:
    cases: list[Case] = []

    def visit(recipe: Recipe) -> None:
        cases.append(case_of(recipe))

    explore(number, visit, count, (Phase.generate,))
    return cases


def test_models_are_valid_diverse_and_the_same_again() -> None:
    cases = _cases(5, 300)
    assert [case.digest for case in cases] == [case.digest for case in _cases(5, 300)]
    rules = Counter(name for case in cases for name in case.operators)
    assert len(set(RULES) - set(rules)) <= len(RULES) // 10, set(RULES) - set(rules)
    opsets = {case.proto.opset_import[0].version for case in cases}
    assert opsets == set(range(13, 24))
    options = {(name, value) for case in cases for name, value in case.options.items()}
    assert {("weights", "ternary"), ("weights", "2"), ("activations", "2")} <= options
    ranks = {array.ndim for case in cases for array in case.data.values()}
    assert ranks == {2, 3, 4}
    assert max(len(case.proto.graph.output) for case in cases) >= 3
    assert max(len(case.data) for case in cases) == 2


def test_models_run_in_onnxruntime_with_the_shapes_of_the_rules() -> None:
    for case in _cases(6, 60):
        session = InferenceSession(case.model, providers=["CPUExecutionProvider"])
        first = session.get_inputs()[0].shape[0]
        batch = first if isinstance(first, int) else 8
        feeds = {name: array[:batch] for name, array in case.data.items()}
        declared = [output.shape[1:] for output in session.get_outputs()]
        assert [list(a.shape[1:]) for a in session.run(None, feeds)] == declared


def test_a_few_models_agree_everywhere() -> None:
    events = list(hunt(25, _Here(), (Golden(),), set(), size=25))
    (done,) = [event for event in events if isinstance(event, Statistics)]
    assert [e.finding.key for e in events if isinstance(e, Found)] == []
    assert done.models >= 20
    assert done.verdicts["golden", "ok"] > done.models / 2


def test_a_wrong_rounding_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (operator,) = [found for found in spec.SPECIFICATION if found.__name__ == "QuantizeLinear"]
    right: Any = operator._run

    def wrong(self: Any, x: Array, scale: Array, *rest: Any, **given: Any) -> Any:
        return right(self, x - np.float32(0.4) * scale, scale, *rest, **given)  # hardly ever up

    with monkeypatch.context() as planted:
        planted.setattr(operator, "_run", wrong)
        events = list(hunt(1, _Here(), (Golden(),), set(), size=4, shrink_seconds=3))
        found = [e for e in events if isinstance(e, Found) and "ACT0904" in e.finding.what]
        assert found
        assert len(found[0].case.proto.graph.node) <= 4
    case, document = load(save(found[0], tmp_path))
    assert case.digest == found[0].case.digest
    assert document["oracle"] == "golden"
    assert judge(case, Golden()).finding is None  # without the defect


class _Sees:
    """Finds models with a Relu."""

    def judge(self, case: Case, oracle: Oracle) -> Verdict:
        seen = any(node.op_type == "Relu" for node in case.proto.graph.node)
        return Verdict("sees", finding=Finding("sees", "a Relu", "") if seen else None)


def test_the_model_of_a_finding_is_reduced_and_its_samples_fit() -> None:
    judge = _Sees()
    findings = ((judge.judge(case, Golden()).finding, case) for case in _cases(7, 60))
    finding, case = max(
        ((found, case) for found, case in findings if found), key=lambda pair: len(pair[1].model)
    )
    assert len(case.proto.graph.node) > 5
    least = reduced(Found(finding, case), judge, Golden(), 60).case
    assert len(least.proto.graph.node) <= 2
    session = InferenceSession(least.model, providers=["CPUExecutionProvider"])
    for arrays in (least.data, least.probe):
        first = session.get_inputs()[0].shape[0]
        batch = first if isinstance(first, int) else len(next(iter(arrays.values())))
        session.run(None, {name: array[:batch] for name, array in arrays.items()})


class _Hangs:
    """An oracle that never ends."""

    name, every, seconds = "hangs", 1, 0.5

    def accepts(self, case: Case) -> bool:
        return True

    def run(self, case: Case) -> list[Mismatch]:
        while True:
            time.sleep(1)


class _Dies(_Hangs):
    """An oracle whose process crashes."""

    seconds = 60

    def run(self, case: Case) -> list[Mismatch]:
        os.abort()


class _Grows(_Hangs):
    """An oracle that takes more memory than a case may."""

    seconds = 60

    def run(self, case: Case) -> list[Mismatch]:
        assert np.ones(5 << 27).all()
        return []


def test_what_hangs_dies_or_grows_is_a_finding() -> None:
    (case,) = _cases(3, 1)
    contained = Contained()
    for oracle, expected in (
        (_Grows(), "MemoryError"),
        (_Hangs(), "no end after 0.5 s"),
        (_Dies(), "the process died: signal 6"),
    ):
        finding = contained.judge(case, oracle).finding
        assert finding is not None
        assert expected in finding.what
    contained.close()
