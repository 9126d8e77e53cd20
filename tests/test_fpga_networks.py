"""Networks of every kind, from float ONNX to hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from fpga_networks import CASES, Case
from models import network, normal

import actc
from actc.errors import ModelError
from actc.ir import spec
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.network import Network, NetworkOptions, build_network
from actc.targets.fpga.pipeline import find_timing, pipeline
from actc.targets.fpga.rtl_simulation import simulate_design

Array = np.ndarray[Any, Any]

QUICK = NetworkOptions(end="scores", adders=AdderOptions(effort=0))
KINDS = {"softmax": "scores", "log-softmax": "log_softmax", "sigmoid": "codes"}
"""What the host makes of an output; elsewhere of accumulators."""


def golden_of(case: Case, directory: Path, **options: Any) -> onnx.ModelProto:
    bits = {"weights": case.weights, "activations": case.activations}
    actc.compile(case.model, "onnx", data=case.data, output=directory, **(bits | options))
    return onnx.load(directory / "golden.onnx")


def built(golden: onnx.ModelProto, case: Case) -> Network:
    """The network, which gives golden's outputs."""
    found = build_network(ir.from_proto(golden), "net", QUICK)
    wanted = spec.run(golden, case.data)
    outputs = found.run(case.data)
    assert list(outputs) == list(wanted)
    for name, array in wanted.items():
        assert outputs[name].dtype == array.dtype
        np.testing.assert_array_equal(outputs[name], array)
    return found


@pytest.mark.parametrize("name", CASES)
def test_hardware_of_every_kind_equals_golden(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    found = built(golden_of(case, tmp_path / "out"), case)
    kinds = [output["kind"] for output in found.interface()["outputs"]]
    assert kinds == [KINDS.get(name, "accumulator")]


def test_the_verilog_of_a_convolutional_network_equals_golden(tmp_path: Path) -> None:
    case = CASES["cnn"]()
    found = built(golden_of(case, tmp_path / "out"), case)
    assert [layer.head for layer in found.layers] == ["IntConv", "MaxPool", "IntMatMul"]
    design = pipeline(found.design, find_timing("ecp5-6"), clock_mhz=100)
    codes = {name: array[:20] for name, array in found.prologue(case.data).items()}
    simulated = simulate_design(write_design(design), design, codes)
    for name, array in found.design.evaluate(codes).items():
        np.testing.assert_array_equal(simulated[name], array)


def test_binary_networks_are_thresholds_and_counts(tmp_path: Path) -> None:
    """Behind each sum there is one bit, however many bits its codes had in golden."""
    case = CASES["compared"]()
    golden = golden_of(case, tmp_path / "out", activations="8")
    heads = [node.op_type for node in golden.graph.node]
    assert heads.count("IntMatMul") == 3
    assert not {"Where", "Greater"} & set(heads)
    found = built(golden, case)
    hidden = {"norm0": 12, "norm1": 8}
    for layer in found.layers:
        if layer.name in hidden:
            assert layer.shape == (hidden[layer.name],)
    assert [layer.head for layer in found.layers] == ["Table", *["IntMatMul"] * 3]


@pytest.mark.parametrize("name", ["silu", "cnn", "two inputs"])
def test_the_index_of_the_largest(name: str, tmp_path: Path) -> None:
    case = CASES[name]()
    golden = golden_of(case, tmp_path / "out", end="argmax")
    found = built(golden, case)
    (output,) = found.interface()["outputs"]
    classes = case.model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    assert (output["kind"], output["shape"]) == ("integers", [])
    assert output["width"] == (classes - 1).bit_length()


@pytest.mark.slow
def test_the_index_comes_over_the_wire_of_a_board(tmp_path: Path) -> None:
    case = CASES["silu"]()
    bits = {"weights": case.weights, "activations": case.activations}
    found = actc.compile(
        case.model, "ice40-hx8k", data=case.data, output=tmp_path / "out", end="argmax", **bits
    )
    results = {rung["name"]: rung["result"] for rung in found.report["rungs"]}
    assert "differs" not in results.values()
    assert results["board, over its wire"] == results["bitstream"] == "equal"
    outputs = tmp_path / "outputs.npz"
    ran = actc.run(tmp_path / "out", case.data, port="sim", samples=3, output=outputs)
    assert ran["golden"]["bit_exact"] is True
    golden = onnx.load(tmp_path / "out" / "golden.onnx")
    with np.load(outputs, allow_pickle=False) as saved:
        assert saved["y"].dtype == np.int64
        np.testing.assert_array_equal(saved["y"], spec.run(golden, case.data)["y"][:3])


# --- what a user with the wrong network sees


def attention() -> onnx.ModelProto:
    body = """
        q = MatMul(x, a)
        n = LayerNormalization<axis=-1>(q, g)
        k = Transpose<perm=[0,2,1]>(n)
        s = MatMul(x, k)
        p = Softmax<axis=-1>(s)
        y = MatMul(p, x)
    """
    weights = {"a": normal(8, 8, seed=1), "g": np.ones(8, np.float32)}
    return network("float[N,4,8] x => float[N,4,8] y", body, weights)


def islands() -> onnx.ModelProto:
    body = "m = MatMul(x, w)\nd = Det(m)\nu = Unsqueeze(d, one)\ne = Det(x)\n"
    body += "v = Unsqueeze(e, one)\ny = Add(u, v)"
    return network("float[N,2,2] x => float[N,1] y", body, {"w": normal(2, 2), "one": np.array(1)})


def wide() -> onnx.ModelProto:
    weights = {"w": normal(784, 64, seed=1) / 28, "v": normal(64, 10, seed=2) / 8}
    body = "m = MatMul(x, w)\nr = Relu(m)\ny = MatMul(r, v)"
    return network("float[N,784] x => float[N,10] y", body, weights)


WRONG: dict[str, tuple[Any, tuple[int, ...], list[tuple[str, str]]]] = {
    "attention": (attention, (4, 8), [("ACT0550", "n/"), ("ACT0550", "p/")]),
    "float islands": (islands, (2, 2), [("ACT0103", "d"), ("ACT0103", "e")]),
    "wide": (wide, (784,), [("ACT0552", "")]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_unrolled_is_refused_all_at_once(name: str, tmp_path: Path) -> None:
    make, shape, expected = WRONG[name]
    data = {"x": normal(40, *shape, seed=9)}
    target = "ecp5-85k:architecture=unrolled"
    with pytest.raises(ModelError) as caught:
        actc.compile(make(), target, data=data, output=tmp_path / "out")
    problems = caught.value.diagnostics
    assert [d.code for d in problems] == [code for code, _ in expected]
    for problem, (_, node) in zip(problems, expected, strict=True):
        assert problem.place.node.startswith(node)
        assert problem.help
        # no target that is an FPGA takes float32
        assert "float32" not in problem.help or "with --target onnx or cpu" in problem.help
    assert not list(tmp_path.iterdir())
