"""A binary network of the QONNX model zoo as a bitstream, compared with golden at every step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from command_line import ROOT, CommandLine
from doc_snippets import shown
from installed import needs_iverilog, needs_verilator, needs_yosys

import actc
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.folded.program import MatrixStage

MODEL = ROOT / "tests" / "corpus" / "qonnx" / "TFC_1W1A.onnx"
IMAGES = ROOT / "examples" / "folded" / "mnist_mlp.npz"


def data(count: int) -> dict[str, np.ndarray]:
    with np.load(IMAGES) as held:
        return {"0": held["image"][:count].reshape(-1, 1, 28, 28), "labels": held["labels"][:count]}


def test_all_layers_of_the_network_count(tmp_path: Path) -> None:
    actc.compile(MODEL, "onnx", data=data(64), output=tmp_path / "out")
    network = build_folded(ir.load(tmp_path / "out" / "golden.onnx"), "core")
    layers = [stage for stage in network.program.stages if isinstance(stage, MatrixStage)]
    assert [layer.terms for layer in layers] == [784, 64, 64, 64]
    assert all(layer.counted == 1 for layer in layers)


@needs_yosys
@needs_iverilog
@needs_verilator
@pytest.mark.slow
def test_every_form_equals_golden(actc_cli: CommandLine) -> None:
    """The command of docs/binary-fpga.md, with 100 samples."""
    arrays: dict[str, Any] = data(100)
    np.savez(actc_cli.directory / "mnist.npz", **arrays)
    (actc_cli.directory / "tests").symlink_to(ROOT / "tests")
    (words,) = shown("docs/binary-fpga.md", "tests/test_fpga_binary_ladder.py")
    done = actc_cli(*words[1:])
    assert done.status == 0, done.stderr
    out = actc_cli.directory / "out" / "tfc"
    rungs = json.loads((out / "report.json").read_text("utf-8"))["rungs"]
    assert [rung["name"] for rung in rungs][-1] == "bitstream"
    assert {rung["result"] for rung in rungs} == {"equal"}
    hardware = json.loads((out / "hardware.json").read_text("utf-8"))
    found = {row["name"]: row for row in hardware["resources"]}
    assert found["network's logic cells"]["used"] < 2100  # 1,780 when this was written
