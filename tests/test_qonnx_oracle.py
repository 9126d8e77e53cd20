"""QONNX's own executor against golden: a second opinion on what its operators mean.

Only the executor of the `qonnx` package takes part. It needs every shape, and has them here from
the executors of the tests; `qonnx`'s transformations, its cleanup among them, do not run with
current releases of onnx.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from binary_networks import KINDS, lowered, random_network, reference
from models import proto_of
from onnx import helper
from quantized_models import QONNX, cnn, mlp, plain_run, random, run_qonnx

import actc
from actc.ir.context import context_of
from actc.numerics.quantization import QuantizationParameters
from actc.targets.onnx.qonnx_check import executable

Array = np.ndarray[Any, Any]
Oracle = Callable[[onnx.ModelProto, Mapping[str, Array]], dict[str, Array]]
Executor = Callable[..., dict[str, Array]]
CORPUS = Path(__file__).parent / "corpus" / "qonnx"
IMAGES = Path(__file__).parents[1] / "examples" / "folded" / "mnist_mlp.npz"
REASON = "qonnx is not installed (pip install 'actc[dev]', Python 3.11 or newer)"


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """All values of a model, by name, as `qonnx` computes them in float32."""
    if importlib.util.find_spec("qonnx") is None:
        pytest.skip(REASON)
    module = importlib.import_module("qonnx.core.onnx_exec")
    wrapper = importlib.import_module("qonnx.core.modelwrapper")
    # Each node runs as a model of its own, whose IR version is the newest that onnx knows:
    # newer than what onnxruntime reads.
    make = partial(module.qonnx_make_model, ir_version=9)
    monkeypatch.setattr(module, "qonnx_make_model", make)

    def execute(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
        wrapped = wrapper.ModelWrapper(shaped(model, feeds))
        found: dict[str, Array] = module.execute_onnx(wrapped, dict(feeds), True)
        return found

    return execute


def shaped(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with the shapes of all values for `feeds`, and QONNX's present domain."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        if node.domain == "onnx.brevitas":  # as QONNX was called before
            node.domain = QONNX
    names = [name for node in result.graph.node for name in node.output]
    values = inner_values(model, feeds, names)
    del result.graph.value_info[:]
    ends = {value.name: value for value in (*result.graph.input, *result.graph.output)}
    for name, array in {**feeds, **values}.items():
        kind = onnx.TensorProto.INT64 if array.dtype == np.int64 else onnx.TensorProto.FLOAT
        fresh = helper.make_tensor_value_info(name, kind, array.shape)
        if name in ends:
            ends[name].CopyFrom(fresh)
        else:
            result.graph.value_info.append(fresh)
    return result


def inner_values(
    model: onnx.ModelProto, feeds: Mapping[str, Array], names: list[str]
) -> dict[str, Array]:
    """Values by name as other executors give them; only their shapes are used."""
    kinds = {node.op_type for node in model.graph.node}
    if "Shape" in kinds:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        shown.graph.output.extend(map(helper.make_empty_tensor_value_info, names))
        return run_qonnx(shown, feeds)
    if "BipolarQuant" in kinds:
        return reference(model, feeds, *names)
    return plain_run(executable(model), feeds, *names)


def real_of(got: Mapping[str, Array], codes: tuple[str, QuantizationParameters]) -> Array:
    """The numbers that codes of golden stand for."""
    name, parameters = codes
    return np.asarray((got[name].astype(np.int64) - parameters.zero_point) * parameters.scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_random_binary_networks(kind: str, seed: int, oracle: Oracle) -> None:
    """All sums are dyadic: every sign and every output, bit for bit."""
    model, feeds = random_network(np.random.default_rng([11, seed]), kind, "bipolar", samples=8)
    wanted = oracle(model, feeds)
    result = lowered(model, feeds)
    codes = context_of(result).facts["golden"]
    signs = [n.output[0] for n in model.graph.node if n.output[0].startswith("sign")]
    got = plain_run(proto_of(result), feeds, *(codes[name][0] for name in signs))
    for name in signs:
        np.testing.assert_array_equal(real_of(got, codes[name]), wanted[name], err_msg=name)
    np.testing.assert_array_equal(got["y"], wanted["y"])


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_model_zoo(name: str, oracle: Oracle) -> None:
    """Every hidden code and every class; the outputs as far as float32 gives them."""
    model = onnx.load(CORPUS / f"{name}.onnx")
    x = np.load(IMAGES)["image"][:12].reshape(-1, 1, 28, 28)
    result = lowered(model, {"0": x})
    golden, codes = proto_of(result), context_of(result).facts["golden"]
    constants = {tensor.name for tensor in model.graph.initializer}
    quantized = [
        node.output[0]
        for node in model.graph.node
        if node.op_type in ("BipolarQuant", "Quant") and node.input[0] not in constants
    ]
    assert len(quantized) == 4
    (output,) = (value.name for value in model.graph.output)
    for row in range(len(x)):
        feed = {"0": x[row : row + 1]}
        wanted = oracle(model, feed)
        got = plain_run(golden, feed, *(codes[value][0] for value in quantized))
        for value in quantized:
            hidden, parameters = codes[value]
            steps = np.rint(wanted[value] / parameters.scale + parameters.zero_point)
            np.testing.assert_array_equal(got[hidden], steps, err_msg=value)
        np.testing.assert_allclose(got[output], wanted[output], rtol=0, atol=2e-6)
        assert got[output].argmax() == wanted[output].argmax()


@pytest.mark.parametrize("make", [mlp, cnn])
def test_written_models(
    make: Callable[[], onnx.ModelProto], oracle: Oracle, tmp_path: Path
) -> None:
    """What actc writes as QONNX; with scales of powers of two every bit is golden's."""
    feeds = {"x": random(64, 16, seed=9) if make is mlp else random(32, 3, 8, 8, seed=9)}
    out = tmp_path / "out"
    actc.compile(make(), "onnx:qonnx", data=feeds, output=out, max_drop=1.0, scales="power-of-two")
    few = {"x": feeds["x"][:8]}
    wanted = plain_run(onnx.load(out / "golden.onnx"), few)["y"]
    np.testing.assert_array_equal(oracle(onnx.load(out / "model.qonnx.onnx"), few)["y"], wanted)
