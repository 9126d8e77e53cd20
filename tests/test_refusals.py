"""What a target refuses is said all at once, each time with the file, the node and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import actc
from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError

LSTM = Path(__file__).parent.parent / "examples/mnist/lstm.onnx"


@pytest.mark.parametrize("target", ["c", "cpu"])
def test_a_recurrent_layer_is_named_though_what_feeds_it_is_refused(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(ModelError) as caught:
        actc.compile(LSTM, target, output=tmp_path / "out")
    found = {d.place.op: d for d in caught.value.diagnostics}
    assert {"Transpose", "IntLstm"} == set(found)
    assert all(d.place.file == "lstm.onnx" and d.place.node for d in found.values())
    assert all("--target onnx" in d.help for d in found.values())
    assert not list(tmp_path.iterdir())


def test_a_diagnostic_keeps_the_file_that_it_names() -> None:
    plain = Diagnostic("ACT0401", "no", place=Place(node="n"))
    assert plain.in_file("m.onnx").place == Place("m.onnx", "n")
    assert plain.in_file("m.onnx").in_file("other.onnx").place.file == "m.onnx"
