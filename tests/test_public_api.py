"""The public Python API: what is exported, how it is called, what importing costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnxscript import rewriter

import actc
from actc.errors import ExitStatus


def test_names() -> None:
    expected = {
        "ActcError",
        "Artifact",
        "Config",
        "FitResult",
        "Pipeline",
        "Target",
        "bisect",
        "check",
        "compile",
        "find_config",
        "fit",
        "inspect",
        "load",
        "read_config",
        "verify",
    }
    assert expected <= set(actc.__all__)
    assert list(actc.__all__) == sorted(actc.__all__)
    for name in actc.__all__:
        assert getattr(actc, name).__doc__, name
        assert name in dir(actc)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'actc' has no attribute 'complie'"):
        _ = actc.complie  # type: ignore[attr-defined]


def test_importing_is_quick() -> None:
    """Nothing heavy is loaded before it is used."""
    code = "import actc, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "actc" in loaded
    assert (
        loaded & {"numpy", "onnx", "onnx_ir", "onnxruntime", "matplotlib", "tvm", "torch"} == set()
    )


def test_compile_signature() -> None:
    """What the command line's options are called here; these names are stable."""
    parameters = inspect.signature(actc.compile).parameters
    assert list(parameters)[:2] == ["model", "target"]
    assert {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY} == {
        "data": None,
        "output": None,
        "precision": "int8",
        "approx": "auto",
        "max_drop": 0.01,
        "passes": None,
        "dump_ir": None,
        "dry_run": False,
        "calibration": "minmax",
        "activations": "auto",
        "weights": "8",
        "rounding": "auto",
        "scales": "free",
        "groups": 0,
        "islands": "auto",
        "end": "outputs",
        "budget": None,
        "binarize": None,
        "tune": 0,
        "tune_seconds": 300.0,
        "overrides": None,
        "progress": None,
    }
    assert parameters["target"].default == "cpu"


def test_fit_signature() -> None:
    parameters = inspect.signature(actc.fit).parameters
    assert {name: p.default for name, p in parameters.items() if name != "function"} == {
        **dict.fromkeys(
            ("domain", "input", "output", "segments", "max_error", "ulp", "digits", "degree")
        ),
        **dict.fromkeys(("device", "objective", "weights")),
        **dict.fromkeys(("plot", "emit", "file", "progress")),
        "form": "auto",
    }
    assert list(inspect.signature(actc.verify).parameters) == ["path", "model"]


@pytest.mark.parametrize("kind", ["path", "text", "proto", "ir"])
def test_models_come_in_four_ways(model: Path, data: Path, tmp_path: Path, kind: str) -> None:
    given = {
        "path": lambda: model,
        "text": lambda: str(model),
        "proto": lambda: onnx.load(model),
        "ir": lambda: ir.load(model),
    }[kind]()
    arrays = dict(np.load(data))
    artifact = actc.compile(given, "onnx", data=arrays, output=tmp_path / "out")
    assert artifact.report["bit_exact"] is True
    (outputs,) = artifact.run(arrays["x"]).values()
    assert outputs.shape == (40, 3)
    np.testing.assert_array_equal(artifact.run({"x": arrays["x"]})["y"], outputs)


def test_open_again(model: Path, data: Path, tmp_path: Path) -> None:
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out")
    again = actc.load(tmp_path / "out")
    x = np.load(data)["x"]
    np.testing.assert_array_equal(again.run(x)["y"], artifact.run(x)["y"])
    assert again.report["accuracy"] == artifact.report["accuracy"]
    assert actc.check(tmp_path / "out", data)["bit_exact"] is True


def test_progress_names_the_stages(model: Path, data: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    actc.compile(model, "onnx", data=data, output=tmp_path / "out", progress=stages.append)
    assert [s for s in stages if s in ("load", "recognize", "build", "check", "report")] == [
        *("load", "recognize", "build", "check", "report")
    ]


def test_errors_carry_all_problems_and_a_status(model: Path, tmp_path: Path) -> None:
    wrong = {"a": np.zeros((3, 6), np.float32), "b": np.zeros((3, 6), np.float32)}
    with pytest.raises(actc.ActcError) as caught:
        actc.compile(model, "onnx", data=wrong, output=tmp_path / "out")
    assert caught.value.status is ExitStatus.USAGE
    assert len(caught.value.diagnostics) == 3
    assert not (tmp_path / "out").exists()


def test_compiling_does_not_change_the_model(model: Path, data: Path, tmp_path: Path) -> None:
    given = ir.load(model)
    before = ir.to_proto(given).SerializeToString(deterministic=True)
    actc.compile(given, "onnx", data=data, output=tmp_path / "out")
    assert ir.to_proto(given).SerializeToString(deterministic=True) == before


class HardSigmoid(rewriter.RewriteRuleClassBase):
    """A rewrite of the user's own."""

    def pattern(self, op: Any, x: Any) -> Any:
        return op.Sigmoid(x)

    def rewrite(self, op: Any, x: Any) -> Any:
        return op.HardSigmoid(x, alpha=0.25, beta=0.5)


def test_a_rewrite_of_onnxscript_is_a_pass(model: Path, data: Path, tmp_path: Path) -> None:
    mine = rewriter.RewritePass([HardSigmoid.rule()])
    first, *others = actc.Pipeline.parse(
        "normalize,structure,recognize,calibrate,approximate,quantize,integerize"
    ).passes
    pipeline = actc.Pipeline((first, mine, *others))
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "out", passes=pipeline)
    assert [site["function"] for site in artifact.report["activations"]] == [
        "HardSigmoid(0.25, 0.5)"
    ]
    assert artifact.report["bit_exact"] is True


def test_equal_input_gives_equal_files(model: Path, data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        actc.compile(model, "onnx", data=data, output=tmp_path / name)
    one, two = (
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert set(one) == set(two)
    assert {str(path) for path in one if one[path] != two[path]} <= {"timings.js"}
