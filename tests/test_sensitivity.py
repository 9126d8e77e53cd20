"""The simulation rounds where golden does, and its sites add up to the error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, prepared, proto_of, random_data, run

from actc.compiler import default_pipeline
from actc.data import Dataset
from actc.ir.context import Context, context_of
from actc.ir.execute import Session
from actc.numerics.quantization import QuantizationParameters
from actc.pipeline import Snapshot
from actc.sensitivity import (
    ErrorSite,
    Reference,
    Sensitivities,
    Setting,
    Simulation,
    choice_of,
    error_sites,
    measure,
    setting_of,
)
from actc.sensitivity.gates import add_gate_body, gate_feeds, insert_gate

Array = np.ndarray[Any, Any]
EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class Case:
    """A network on its way to golden, and its simulation."""

    def __init__(self, model: onnx.ModelProto, data: Mapping[str, Array], **options: Any) -> None:
        kept: list[ir.Model] = []

        def keep(name: str, passed: ir.Model) -> None:
            kept.append(ir.from_proto(ir.to_proto(passed)))

        start = prepared(model, data)
        pipeline = default_pipeline(
            "int8", options.pop("approx", "auto"), options.pop("method", "minmax"), **options
        )
        golden = pipeline.run(start, [Snapshot(("quantize",), keep)])
        self.context: Context = context_of(golden)
        self.model, self.golden = kept[0], proto_of(golden)
        self.dataset: Dataset = self.context.dataset
        self.setting: Setting = setting_of(self.model, self.context)
        self.simulation = Simulation(self.model, self.context, [self.setting], threads=1)
        self.sites: list[ErrorSite] = error_sites(self.simulation, self.setting)

    def reference(self, samples: int = 64) -> Reference:
        return Reference(self.simulation, self.dataset.take(samples))

    def measured(self, samples: int = 64, *, behind: bool = False) -> Sensitivities:
        return measure(self.reference(samples), self.sites, self.setting, behind=behind)


def example(name: str, archive: str, **options: Any) -> Case:
    model = onnx.load(EXAMPLES / f"{name}.onnx")
    arrays = dict(np.load(EXAMPLES / f"{archive}.npz"))
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        arrays[value.name] = arrays[value.name].reshape(-1, *shape)
    return Case(model, arrays, **options)


@pytest.fixture(scope="module")
def digits() -> Case:
    return example("digits/cnn", "digits/digits")


@pytest.mark.parametrize("bits", [2, 5, 8, 12, 16])
def test_a_gate_rounds_exactly_as_the_format(bits: int) -> None:
    model = ir.from_proto(network("float[N] x => float[N] y", "y = Identity (x)"))
    add_gate_body(model)
    value = model.graph.inputs[0]
    model.graph[0].replace_input_with(0, insert_gate(model, value, "gate"))
    parameters = QuantizationParameters.from_range(-1.7, 2.9, bits=bits, low=1)
    x = np.concatenate([normal(4000, scale=2.0), parameters.values().astype(np.float32)])
    session = Session(ir.to_proto(model))
    on = session.run({"x": x, **gate_feeds("gate", parameters)})["y"]
    np.testing.assert_array_equal(on, parameters.dequantize(parameters.quantize(x)))
    off = session.run({"x": x, **gate_feeds("gate", None)})["y"]
    np.testing.assert_array_equal(off, x)


def test_with_all_gates_off_it_is_the_float_network(digits: Case) -> None:
    feeds = {"image": digits.dataset.inputs["image"][:16]}
    expected = run(onnx.load(EXAMPLES / "digits/cnn.onnx"), feeds)["logits"]
    found = digits.simulation.outputs(digits.dataset.take(16), {})["logits"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"activations": "mixed"}, {"activations": "6", "weights": "4"}, {"approx": "pwl"}],
    ids=str,
)
def test_with_all_gates_on_it_is_golden(options: dict[str, Any]) -> None:
    """It errs as golden does: what they differ by is a fraction of what they err by."""
    case = example("digits/cnn", "digits/digits", **options)
    dataset = case.dataset.take(64)
    exact = case.simulation.outputs(dataset, {})["logits"]
    simulated = case.simulation.outputs(dataset, choice_of(case.sites, case.setting))["logits"]
    golden = run(case.golden, {"image": dataset.inputs["image"]})["logits"]
    error, difference = rms(golden - exact), rms(golden - simulated)
    assert 0 < difference < 0.3 * error
    assert rms(simulated - exact) == pytest.approx(error, rel=0.05)


def rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array.astype(np.float64) ** 2)))


def test_the_contribution_of_weights_is_what_they_cause_alone() -> None:
    weights = normal(6, 4, seed=3)
    model = network("float[N,6] x => float[N,4] y", "y = MatMul (x, w)", {"w": weights})
    case = Case(model, random_data(model, 32), weights="4", rounding="nearest")
    (site,) = [site for site in case.sites if site.kind == "weights"]
    (contribution,) = measure(case.reference(32), [site], case.setting).contributions
    chosen = case.setting.weights[site.name]
    x = case.dataset.inputs["x"].astype(np.float64)
    expected = rms(x @ (chosen.real().T - weights)) ** 2 / rms(x @ weights) ** 2
    assert contribution.error == pytest.approx(expected, rel=1e-4)
    assert contribution.bits == str(chosen.form)
    assert [site.id for site in case.sites] == ["tensor:x", f"weights:{site.name}"]


def test_a_corrected_bias_belongs_to_the_weights() -> None:
    """Optimal rounding moves the mean error to the bias; without it weights would err more."""
    case = example("digits/cnn", "digits/digits", weights="4")
    corrected = [n for n, w in case.setting.weights.items() if w.correction.any()]
    assert corrected
    chosen = case.setting.weights[corrected[0]]
    (site,) = [s for s in case.sites if (s.kind, s.name) == ("weights", corrected[0])]
    error = case.reference().error(choice_of([site], case.setting))
    plain = type(chosen)(chosen.codes, chosen.scales, np.zeros_like(chosen.scales), chosen.form)
    without = Setting(case.setting.formats, {**case.setting.weights, site.name: plain})
    assert case.reference().error(choice_of([site], without)) > 1.05 * error


def test_values_read_twice_have_two_sites() -> None:
    body = "h = Relu (x)  m = MatMul (h, w)  y = Add (m, h)"
    model = network("float[N,4] x => float[N,4] y", body, {"w": normal(4, 4)})
    case = Case(model, random_data(model, 32), activations="mixed")
    kinds = {(site.kind, site.bits(case.setting)) for site in case.sites}
    assert {("tensor", "16"), ("narrow", "8"), ("weights", "8")} <= kinds
    errors = {c.site.kind: c.error for c in case.measured().contributions}
    assert errors["narrow"] > 100 * errors["tensor"] > 0


def test_replaced_activations_are_sites(digits: Case) -> None:
    case = example("digits/cnn", "digits/digits", approx="pwl")
    found = [c for c in case.measured().contributions if c.site.kind == "activation"]
    assert [c.site.name for c in found] == ["a1", "a2", "a3"]
    assert all(0 < c.error < 1e-4 for c in found)
    assert not [site for site in digits.sites if site.kind == "activation"]


def test_where_a_function_is_infinite_it_saturates() -> None:
    model = network(
        "float[N,4] x => float[N,3] y", "h = Log (x)  y = MatMul (h, w)", {"w": normal(4, 3)}
    )
    x = np.random.default_rng(1).uniform(0.1, 3.0, (32, 4)).astype(np.float32)
    case = Case(model, {"x": x}, activations="2")
    with np.errstate(divide="ignore"):
        wide = case.setting.formats["x"].wide
        assert np.isinf(np.log(wide.dequantize(wide.quantize(x)))).any()
    found = case.measured(32)
    assert all(np.isfinite(c.error) for c in found.contributions)
    golden = run(case.golden, {"x": x})["y"]
    simulated = case.simulation.outputs(case.dataset, choice_of(case.sites, case.setting))["y"]
    np.testing.assert_allclose(simulated, golden, atol=0.05)


@pytest.mark.parametrize("activations", ["8", "mixed"])
@pytest.mark.parametrize("name", ["cnn", "mlp"])
def test_the_prediction_holds(name: str, activations: str) -> None:
    archive = {"cnn": "digits/digits", "mlp": "digits/digits_mlp"}[name]
    found = example(f"digits/{name}", archive, activations=activations).measured(256)
    assert found.predicted == pytest.approx(found.measured, rel=0.05)
    assert found.independent == pytest.approx(found.measured, rel=0.1)


def test_with_few_bits_it_holds_behind_what_was_rounded_before() -> None:
    case = example("digits/cnn", "digits/digits", activations="4")
    alone, behind = case.measured(), case.measured(behind=True)
    assert alone.measured == behind.measured == pytest.approx(behind.predicted)
    assert behind.independent == pytest.approx(behind.measured, rel=0.05)
    assert alone.independent < 0.8 * alone.measured


def test_ranking(digits: Case) -> None:
    found = digits.measured()
    errors = [c.error for c in found.ranked()]
    assert errors == sorted(errors, reverse=True)
    assert found.independent == pytest.approx(math.sqrt(sum(errors)))
    assert len({site.id for site in digits.sites}) == len(digits.sites)


@pytest.mark.slow
@pytest.mark.parametrize("activations", ["8", "mixed"])
def test_a_transformer(activations: str) -> None:
    found = example("mnist/vit", "mnist/mnist", activations=activations).measured(64)
    assert found.predicted == pytest.approx(found.measured, rel=0.05)


def test_recurrent_weights_are_sites() -> None:
    case = example("mnist/lstm", "mnist/mnist")
    found = case.measured(32)
    (name,) = [str(node.name) for node in case.model.graph if node.op_type == "LSTM"]
    parts = [c for c in found.contributions if c.site.name in (f"{name}.W", f"{name}.R")]
    assert [part.site.kind for part in parts] == ["weights"] * 2
    assert min(c.error for c in parts) > 0
    assert found.predicted == pytest.approx(found.measured, rel=0.05)


def test_recurrent_weights_of_few_bits_with_their_biases() -> None:
    case = example("mnist/lstm", "mnist/mnist", weights="3", rounding="optimal")
    data = case.dataset.take(32)
    assert all(case.setting.weights[site.name].correction.any()
               for site in case.sites if site.kind == "weights")  # fmt: skip
    ((name, exact),) = case.simulation.outputs(data, {}).items()
    simulated = case.simulation.outputs(data, choice_of(case.sites, case.setting))[name]
    golden = run(case.golden, dict(data.inputs))[name]
    assert np.abs(simulated - golden).mean() < 0.1 * np.abs(golden - exact).mean()
