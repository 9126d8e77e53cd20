"""Two models trained elsewhere, compiled and compared on labelled data.

Slow; skipped with one line where the package that brings a model is absent
(`make test-all` fetches both).
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

import actc

sys.path.insert(0, str(Path(__file__).resolve().parent))
from realmodels import magika, ppocr

LARGEST_DROP = 0.005
CALIBRATION, CALIBRATION_SEED = 256, 1
TEST, TEST_SEED = 400, 2

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RealModel:
    """A model and what is known of it.

    Attributes:
        module: gives model_path() and make_data(n, seed).
        functions: activations by name that an inspection must find.
        least_accuracy: of the float model on the test data.
    """

    module: ModuleType
    functions: dict[str, int]
    least_accuracy: float

    @property
    def path(self) -> Path:
        path: Path | None = self.module.model_path()
        if path is None:
            pytest.skip(
                f"{self.module.PACKAGE}=={self.module.VERSION} is not installed "
                "(make test-all fetches it)"
            )
        return path


REAL_MODELS = {
    "ppocr": RealModel(
        ppocr, {"HardSwish": 18, "HardSigmoid(0.2, 0.5)": 9, "ReLU": 15}, least_accuracy=0.96
    ),
    "magika": RealModel(magika, {"TanhGELU": 2}, least_accuracy=0.9),
}

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", REAL_MODELS)]


def accuracy(scores: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    return float(np.mean(np.argmax(scores, axis=1) == labels))


def run_onnx(path: Path, feeds: Arrays) -> npt.NDArray[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, feeds)
    return np.asarray(scores)


def split_labels(data: Arrays) -> tuple[Arrays, npt.NDArray[Any]]:
    return {name: array for name, array in data.items() if name != "labels"}, data["labels"]


def test_data_are_deterministic_and_disjoint(name: str) -> None:
    model = REAL_MODELS[name]
    assert model.path.is_file()
    first, again = model.module.make_data(40, 1), model.module.make_data(40, 1)
    other = model.module.make_data(40, 2)
    assert set(first) == {model.module.INPUT, "labels"}
    for key, array in first.items():
        np.testing.assert_array_equal(array, again[key])
    rows = {row.tobytes() for row in first[model.module.INPUT]}
    assert not any(row.tobytes() in rows for row in other[model.module.INPUT])


def test_every_activation_is_found(name: str) -> None:
    model = REAL_MODELS[name]
    found = actc.inspect(model.path)
    assert found["unsupported"] == []
    assert Counter(site["function"] for site in found["activations"]) == model.functions


@pytest.mark.parametrize("target", ["onnx", "cpu"])
def test_compiles_within_half_a_point(name: str, target: str, tmp_path: Path) -> None:
    if target == "cpu":
        pytest.importorskip("tvm", reason="apache-tvm is not installed")
    model = REAL_MODELS[name]
    path = model.path
    data = model.module.make_data(CALIBRATION, CALIBRATION_SEED)
    artifact = actc.compile(path, target=target, data=data, output=tmp_path / "out")
    report = artifact.report
    assert report["bit_exact"] is True
    check_every_site_is_accounted_for(model, report)
    assert report["accuracy"]["float"] - report["accuracy"]["golden"] <= LARGEST_DROP
    assert report["accuracy"]["artifact"] == report["accuracy"]["golden"]

    # Samples that the calibration has not seen.
    feeds, labels = split_labels(model.module.make_data(TEST, TEST_SEED))
    before = accuracy(run_onnx(path, feeds), labels)
    golden = run_onnx(tmp_path / "out" / "golden.onnx", feeds)
    (result,) = artifact.run(feeds).values()
    np.testing.assert_array_equal(result, golden)
    after = accuracy(golden, labels)
    print(f"{name} {target}: float {before:.4f}, golden {after:.4f}, {TEST} unseen samples")
    assert before >= model.least_accuracy
    assert before - after <= LARGEST_DROP


def check_every_site_is_accounted_for(model: RealModel, report: dict[str, Any]) -> None:
    left = report["left_float"]
    assert all(entry["reason"] for entry in left)
    rewritten = Counter(site["function"] for site in report["activations"])
    assert sum(rewritten.values()) + len(left) >= sum(model.functions.values())
    for function, count in model.functions.items():
        assert rewritten[function] + len(left) >= count
