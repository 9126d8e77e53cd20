"""`actc run`: networks on simulated boards, compared with golden.onnx, and wrong inputs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from command_line import CommandLine
from golden_models import outputs_of
from network_boards import CLASSES, FEATURES, MODELS, build, samples
from sealed import sealed

import actc
from actc.errors import ToolFailed, UsageError
from actc.targets.fpga.interfaces import Kind

pytestmark = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not installed (apt: iverilog)"
)
COUNT = 12


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network on a board, and data of which all labels but three are what golden says."""
    directory = tmp_path_factory.mktemp("board")
    golden = MODELS["accumulators"]()
    build(directory, golden)
    write_data(directory, golden)
    return sealed(directory)


def write_data(directory: Path, golden: Any) -> None:
    feeds = samples(golden, COUNT)
    (scores,) = outputs_of(golden, feeds).values()
    labels = scores.argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % CLASSES
    np.savez(directory / "data.npz", labels=labels, **feeds)


def run(actc_cli: CommandLine, board: Path, *options: str | Path, data: str = "data.npz") -> Any:
    return actc_cli("run", board, "--port", "sim", "--data", board / data, *options)


def test_a_run(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    done = run(actc_cli, board, "--output", tmp_path / "out.npz")
    assert done.status == 0
    assert "equal to golden.onnx on every bit" in done.stdout
    assert f"{COUNT} samples" in done.stdout
    assert f"accuracy {9 / 12:.4f}" in done.stdout
    golden = MODELS["accumulators"]()
    ((name, expected),) = outputs_of(golden, samples(golden, COUNT)).items()
    with np.load(tmp_path / "out.npz") as found:
        assert list(found) == [name]
        assert found[name].tobytes() == expected.tobytes()


def test_a_run_as_json(actc_cli: CommandLine, board: Path) -> None:
    found = run(actc_cli, board, "--json", "--samples", "4").document
    assert found["samples"] == 4
    assert found["accuracy"] == 1 / 4
    assert found["golden"] == {"bit_exact": True, "differing": 0, "accuracy": 1 / 4}
    assert found["traffic"]["answers"] == found["traffic"]["requests"] == 5
    assert found["samples_per_second"] == pytest.approx(4 / found["seconds"])
    assert found["diagnostics"] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uart", "spi"])
def test_kinds(kind: Kind, tmp_path: Path) -> None:
    golden = MODELS["accumulators"]()
    build(tmp_path, golden, kind)
    write_data(tmp_path, golden)
    found = actc.run(sealed(tmp_path), tmp_path / "data.npz", port="sim")
    assert found["golden"]["bit_exact"] is True
    assert found["accuracy"] == found["golden"]["accuracy"] == 9 / 12


def test_a_wrong_design_is_found(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    """One constant of the hardware differs from golden.onnx."""
    other = tmp_path / "other"
    golden = MODELS["accumulators"]()
    for node in golden.graph:
        if node.op_type == "IntMatMul":
            bias = node.inputs[2]
            assert bias is not None
            assert bias.const_value is not None
            array = bias.const_value.numpy().copy()
            array[1] += 60
            bias.const_value = ir.tensor(array)
    build(other, golden)
    shutil.copy(board / "golden.onnx", other)
    sealed(other)
    done = run(actc_cli, other, "--json", data=str(board / "data.npz"))
    assert done.status == 1
    assert done.codes == ["ACT0598"]
    assert done.document["golden"]["bit_exact"] is False
    assert 0 < done.document["golden"]["differing"] <= COUNT
    text = run(actc_cli, other, data=str(board / "data.npz"))
    assert f"DIFFERS from golden.onnx on {done.document['golden']['differing']}" in text.stdout


def test_without_labels_and_golden(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    copied = tmp_path / "board"
    shutil.copytree(board, copied)
    (copied / "golden.onnx").unlink()
    with np.load(copied / "data.npz") as data:
        np.savez(copied / "data.npz", x=data["x"])
    done = run(actc_cli, sealed(copied))
    assert done.status == 0
    assert "no golden.onnx" in done.stdout
    assert "accuracy" not in done.stdout


# --- wrong inputs: one clear diagnostic each


def refused(actc_cli: CommandLine, *arguments: str | Path) -> str:
    """The one code that a wrong command line is refused with."""
    done = actc_cli("run", *arguments, "--json")
    assert done.status != 0
    (code,) = done.codes
    (item,) = done.document["diagnostics"]
    assert item["help"] or item["code"] == "ACT0220"
    return str(code)


def test_wrong_directories(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    rest = ("--port", "sim", "--data", board / "data.npz")
    assert refused(actc_cli, tmp_path / "nothing", *rest) == "ACT0590"
    assert refused(actc_cli, tmp_path, *rest) == "ACT0590"
    shutil.copytree(board, tmp_path / "damaged")
    path = tmp_path / "damaged" / "interface.json"
    document = json.loads(path.read_text())
    document["latency"] = "long"
    path.write_text(json.dumps(document))
    assert refused(actc_cli, tmp_path / "damaged", *rest) == "ACT0590"


def test_a_directory_without_its_verilog(
    actc_cli: CommandLine, board: Path, tmp_path: Path
) -> None:
    shutil.copytree(board, tmp_path / "copied")
    for path in (tmp_path / "copied").rglob("*.v"):
        path.unlink()
    rest = ("--port", "sim", "--data", board / "data.npz")
    assert refused(actc_cli, sealed(tmp_path / "copied"), *rest) == "ACT0599"


def test_wrong_ports(actc_cli: CommandLine, board: Path) -> None:
    data = ("--data", board / "data.npz")
    assert refused(actc_cli, board, "--port", "/dev/no-such-port", *data) == "ACT0591"
    assert refused(actc_cli, board, *data) == "ACT0203"


def test_wrong_data(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    rest = (board, "--port", "sim", "--data")
    assert refused(actc_cli, *rest, tmp_path / "none.npz") == "ACT0220"
    for name, array in {
        "shape": np.zeros((3, FEATURES + 1), np.float32),
        "type": np.full((3, FEATURES), "x"),
        "nan": np.full((3, FEATURES), np.nan, np.float32),
    }.items():
        np.savez(tmp_path / f"{name}.npz", x=array)
        assert refused(actc_cli, *rest, tmp_path / f"{name}.npz") == "ACT0221"
    np.savez(tmp_path / "names.npz", x=np.zeros((3, FEATURES)), y=np.zeros(3))
    assert refused(actc_cli, *rest, tmp_path / "names.npz") == "ACT0221"


def test_wrong_places_for_outputs(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    rest = (board, "--port", "sim", "--data", board / "data.npz", "--output")
    assert refused(actc_cli, *rest, tmp_path / "no" / "such" / "out.npz") == "ACT0241"
    assert refused(actc_cli, *rest, tmp_path) == "ACT0241"


def test_another_build(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    copied = tmp_path / "board"
    shutil.copytree(board, copied)
    path = copied / "interface.json"
    path.write_text(path.read_text().replace("0123456789abcdef", "0123456789abcdee"))
    sealed(copied)
    data = ("--data", board / "data.npz")
    assert refused(actc_cli, copied, "--port", "sim", *data) == "ACT0593"


def test_a_silent_board(actc_cli: CommandLine, board: Path, tmp_path: Path) -> None:
    copied = tmp_path / "board"
    shutil.copytree(board, copied)
    top = copied / "net_uart.v"
    text = top.read_text()
    assert ".rx(uart_rx)" in text
    top.write_text(text.replace(".rx(uart_rx)", ".rx(1'b1)"))
    with pytest.raises(UsageError, match=r"ACT0067.*'net_uart\.v' is not what manifest"):
        actc.run(copied, board / "data.npz", port="sim")
    with pytest.raises(ToolFailed) as caught:
        actc.run(sealed(copied), board / "data.npz", port="sim")
    assert [d.code for d in caught.value.diagnostics] == ["ACT0592"]


def test_no_simulator(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(actc.ActcError) as caught:
        actc.run(board, board / "data.npz", port="sim")
    assert [d.code for d in caught.value.diagnostics] == ["ACT0501"]
