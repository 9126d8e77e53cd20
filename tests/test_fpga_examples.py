"""The committed FPGA examples: small, clean, and golden as accurate as their README says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

import actc
from actc.ir.dialect import DOMAIN
from actc.ir.execute import Session

ROOT = Path(__file__).resolve().parent.parent
FPGA = ROOT / "examples" / "fpga"
LIMIT_BYTES = 200_000
DATA = {"digits": (1347, 450, 64, 10), "letter": (3000, 5000, 16, 26)}
"""Samples to compile with, held out, inputs, classes."""
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits_mlp": ("digits", {"weights": "5", "activations": "5"}),
    "digits_small": ("digits", {"weights": "3", "activations": "4"}),
    "digits_sparse": ("digits", {"weights": "5", "activations": "4", "rounding": "nearest"}),
}
LARGEST_DROP = 0.01

Arrays = dict[str, npt.NDArray[Any]]


def arrays(name: str) -> Arrays:
    with np.load(FPGA / f"{name}.npz", allow_pickle=False) as found:
        return dict(found)


def accuracy(model: onnx.ModelProto, data: Arrays) -> float:
    (scores,) = Session(model, threads=1).run({"image": data["image"]}).values()
    return float(np.mean(scores.argmax(axis=1) == data["labels"]))


def stated(name: str) -> list[float]:
    """The accuracies that the README states."""
    (row,) = (
        line
        for line in (FPGA.parent / "README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| `fpga/{name}.onnx`")
    )
    return [float(found) for found in re.findall(r"0\.\d{4}", row)]


@pytest.mark.parametrize("name", DATA)
def test_data(name: str) -> None:
    samples, held, inputs, classes = DATA[name]
    for data, count in ((arrays(f"{name}_train"), samples), (arrays(name), held)):
        assert data["image"].shape == (count, inputs)
        assert data["image"].dtype == np.float32
        assert set(data["labels"].tolist()) == set(range(classes))


def test_held_out_samples_are_not_in_the_training_data() -> None:
    train, held = (arrays(name)["image"] for name in ("digits_train", "digits"))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in held}


@pytest.mark.parametrize("name", [*NETWORKS, "digits_tuned", "letter_mlp", "letter_kan"])
def test_model_is_one_small_file(name: str) -> None:
    path = FPGA / f"{name}.onnx"
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(model)
    assert path.stat().st_size < LIMIT_BYTES
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize("name", NETWORKS)
def test_golden_is_as_accurate_as_stated(name: str, tmp_path: Path) -> None:
    data, options = NETWORKS[name]
    held, path = arrays(data), FPGA / f"{name}.onnx"
    actc.compile(
        path, "onnx", data=arrays(f"{data}_train"), output=tmp_path / "out", max_drop=1.0, **options
    )
    found = [accuracy(onnx.load(p), held) for p in (path, tmp_path / "out" / "golden.onnx")]
    assert [round(value, 4) for value in found] == stated(name)
    assert found[0] - found[1] <= LARGEST_DROP
    assert "Erf" in {node.op_type for node in onnx.load(path).graph.node}


def test_five_bits_mean_all_layers(tmp_path: Path) -> None:
    """First and last layers keep 8 bits only where they hold little of a network."""
    _, options = NETWORKS["digits_mlp"]
    data = {"image": arrays("digits_train")["image"]}
    actc.compile(FPGA / "digits_mlp.onnx", "onnx", data=data, output=tmp_path / "out", **options)
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    weights = [
        onnx.numpy_helper.to_array(t) for t in golden.graph.initializer if t.name.endswith(".w")
    ]
    assert [w.shape for w in weights] == [(64, 16), (16, 10)]
    assert all(np.abs(w).max() <= 15 for w in weights)


def test_the_tuned_network_is_golden_and_small() -> None:
    model = onnx.load(FPGA / "digits_tuned.onnx")
    assert DOMAIN in {node.domain for node in model.graph.node}
    assert [round(accuracy(model, arrays("digits")), 4)] == stated("digits_tuned")
    weights = [
        onnx.numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".w")
    ]
    assert sum(np.count_nonzero(w) for w in weights) < 360
    powers = {0, 1, 2, 4, 8}
    single = sum(np.isin(np.abs(w), list(powers)).sum() for w in weights)
    assert single > 0.9 * sum(w.size for w in weights)


def test_letter_samples_are_four_bits() -> None:
    for name in ("letter", "letter_train"):
        assert set(np.unique(arrays(name)["image"] * 4)) == set(range(16))


@pytest.mark.parametrize("name", ["letter_mlp", "letter_kan"])
def test_letter_networks_are_as_accurate_as_stated(name: str) -> None:
    found = accuracy(onnx.load(FPGA / f"{name}.onnx"), arrays("letter"))
    assert round(found, 4) == stated(name)[0]


def test_letter_networks_are_equally_accurate() -> None:
    mlp, kan = (stated(name)[1] for name in ("letter_mlp", "letter_kan"))
    assert min(mlp, kan) >= 0.88
    assert abs(mlp - kan) <= 0.005


def test_weights_of_the_letter_mlp_take_one_adder_each() -> None:
    model = onnx.load(FPGA / "letter_mlp.onnx")
    codes = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if re.fullmatch(r"layer\d\.codes", tensor.name)
    ]
    assert [found.shape for found in codes] == [(128, 16), (26, 128)]
    assert all(set(np.unique(np.abs(found))) <= {0, 1, 2, 4, 8} for found in codes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["letter_mlp", "letter_kan"])
def test_golden_of_letter_networks_is_the_model(name: str, tmp_path: Path) -> None:
    model, held = onnx.load(FPGA / f"{name}.onnx"), arrays("letter")
    actc.compile(model, "onnx", data=arrays("letter_train"), output=tmp_path / "out", max_drop=1.0)
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    (wanted,), (found,) = (
        Session(each, threads=1).run({"image": held["image"]}).values() for each in (model, golden)
    )
    np.testing.assert_array_equal(found, wanted)
    assert round(accuracy(golden, held), 4) == stated(name)[1]
    tables = sum(node.op_type == "ChannelTable" for node in golden.graph.node)
    assert tables == (2 if name == "letter_kan" else 0)  # one function per edge


_LETTER = """
import sys
sys.path[:0] = sys.argv[1:]
import numpy as np, onnxruntime, torch
from letter import INPUTS, few_bit_kan, finished, kan_model, mlp_model, power_mlp
torch.manual_seed(0)
mlp = finished(power_mlp((16, 12, 26), keep=(0.4, 0.3), bits=2, octaves=4))
kan = finished(few_bit_kan((16, 4, 26), keep=(0.65, 0.4)))
x = np.random.default_rng(0).integers(0, 16, (2000, 16)).astype(np.float32) / 4
for model, written in ((mlp, mlp_model(mlp, INPUTS)), (kan, kan_model(kan))):
    session = onnxruntime.InferenceSession(written.SerializeToString())
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    (found,) = session.run(None, {"image": x})
    assert np.array_equal(found, wanted), np.abs(found - wanted).max()
    assert len(np.unique(found)) > 5
print("equal")
"""


@pytest.mark.slow
def test_letter_models_are_what_was_trained() -> None:
    """What torch trains with rounding and what onnxruntime computes are the same numbers."""
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-c", _LETTER, FPGA, FPGA.parent],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal" in done.stdout


@pytest.mark.slow
def test_training_makes_the_committed_kind_of_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, FPGA / "train.py", "--models", "digits_small", "--output", tmp_path],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "digits_small: accuracy" in done.stdout
    committed = onnx.load(FPGA / "digits_small.onnx")
    found = onnx.load(tmp_path / "digits_small.onnx")
    assert [n.op_type for n in found.graph.node] == [n.op_type for n in committed.graph.node]
    for name in ("digits", "digits_train"):
        for key, array in arrays(name).items():
            with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as again:
                np.testing.assert_array_equal(again[key], array)
