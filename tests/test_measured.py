"""When a float artefact is near enough to approximated.onnx."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from actc.measured import too_far


def _model(op: str) -> onnx.ModelProto:
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", [], [])
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("op", "artifact", "near"),
    [
        ("Reciprocal", [1.0, -np.inf], True),
        ("Exp", [1.0, -np.inf], False),  # no zero whose sign could be at fault
        ("Reciprocal", [1.0, 3e38], True),  # what hides a score
        ("Reciprocal", [1.0, 5.0], False),
        ("Reciprocal", [1.0, np.nan], False),
        ("Reciprocal", [1.1, np.inf], False),
    ],
)
def test_infinities_behind_zeros_of_either_sign_are_the_same(
    op: str, artifact: list[float], near: bool
) -> None:
    expected, found = np.array([1, np.inf], np.float32), np.array(artifact, np.float32)
    assert (too_far({"y": expected}, {"y": found}, 1e-4, _model(op)) == "") == near
