"""onnx:cuda: onnxruntime's CUDA provider, and what is said where it is missing or falls back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from command_line import CommandLine
from installed import needs_gpu_onnxruntime

from actc.errors import MissingTool, UsageError
from actc.ir.execute import CPU_PROVIDER
from actc.targets.onnx import OnnxTarget, cuda

CODES = {"ACT0482", "ACT0483"}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    cuda._started.cache_clear()
    yield
    cuda._started.cache_clear()


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of onnxruntime-gpu; its provider does not start, as on a machine without CUDA."""
    providers = [cuda.CUDA_PROVIDER, CPU_PROVIDER]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)


def test_spellings() -> None:
    assert OnnxTarget.parse("cuda") == OnnxTarget(cuda=True)
    assert OnnxTarget.parse("cuda,full").spec == "onnx:full,cuda"
    assert OnnxTarget.parse("").spec == "onnx"
    assert not OnnxTarget(cuda=True).capabilities().float_islands
    for option in ("cudda", "full,qonnx"):
        with pytest.raises(UsageError, match="ACT0450"):
            OnnxTarget.parse(option)


def test_without_the_provider_nothing_is_said_to_run_on_cuda(
    actc_cli: CommandLine, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU_PROVIDER])
    done = actc_cli("compile", model, "--target", "onnx:cuda", "--data", data, "-o", "o", "--json")
    assert done.status == 0
    assert "ACT0479" in done.codes
    assert done.document["bit_exact"] is None
    report = json.loads((actc_cli.directory / "o" / "report.json").read_text("utf-8"))
    (rung,) = report["rungs"]
    assert rung["result"] == "not run"
    assert f"has no CUDAExecutionProvider, only {CPU_PROVIDER}" in rung["detail"]
    with pytest.raises(MissingTool) as caught:
        OnnxTarget(cuda=True).run(actc_cli.directory / "o", {})
    assert caught.value.diagnostics[0].code == "ACT0482"
    assert "actc[gpu]" in caught.value.diagnostics[0].help


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_falls_back_is_no_cuda(
    offered: None, actc_cli: CommandLine, model: Path, data: Path
) -> None:
    if not cuda.why_no_cuda():
        pytest.skip("CUDA works here")
    assert "did not start and fell back to CPUExecutionProvider" in cuda.why_no_cuda()
    done = actc_cli("compile", model, "--target", "onnx:cuda", "--data", data, "-o", "o", "--json")
    assert "ACT0479" in done.codes
    with pytest.raises(MissingTool) as caught:
        OnnxTarget(cuda=True).run(actc_cli.directory / "o", {})
    assert caught.value.diagnostics[0].code == "ACT0483"


@needs_gpu_onnxruntime
def test_golden_on_cuda_equals_golden_on_the_cpu(
    actc_cli: CommandLine, model: Path, data: Path
) -> None:
    done = actc_cli("compile", model, "--target", "onnx:cuda", "--data", data, "-o", "o", "--json")
    assert done.status == 0
    assert done.document["bit_exact"] is True
    assert not CODES & set(done.codes)
    assert np.isfinite(done.document["samples"])
