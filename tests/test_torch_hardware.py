"""actc.torch.hardware: few signed digits, and still golden on every bit."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import actc
import actc.torch
from actc.errors import UsageError
from actc.ir import spec
from actc.ir.execute import Session
from actc.numerics.weights import WeightFormat

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from actc.torch import LogicBudget, fine_tune_for_logic, logic  # noqa: E402
from actc.torch.hardware import (  # noqa: E402
    _lower_envelope,
    adder_bits,
    signed_digits,
    total,
)

Array = np.ndarray[Any, Any]
Planner = Callable[..., Path]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "fpga"


@cache
def digits(name: str = "digits_train") -> tuple[Array, Array]:
    with np.load(EXAMPLES / f"{name}.npz", allow_pickle=False) as arrays:
        return arrays["image"], arrays["labels"]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """Compiles the digits MLP once per choice of options."""
    made: dict[str, Path] = {}

    def make(weights: str = "5", activations: str = "4", **options: Any) -> Path:
        key = f"{weights} {activations} {options}"
        if key not in made:
            made[key] = tmp_path_factory.mktemp("plan") / "plan"
            given = {"weights": weights, "activations": activations, **options}
            data = {"image": digits()[0][:200]}
            source = EXAMPLES / "digits_mlp.onnx"
            actc.compile(source, "onnx", data=data, output=made[key], **given)
        return made[key]

    return make


def outputs(module: Any, x: Array) -> Array:
    with torch.no_grad():
        found: Array = module(torch.from_numpy(x)).numpy()
    return found


def assert_equals_export(module: Any, path: Path) -> None:
    x = digits()[0][:60]
    model = module.export(path)
    (found,) = Session(model, threads=1).run({"image": x}).values()
    np.testing.assert_array_equal(found.view(np.uint32), outputs(module, x).view(np.uint32))
    np.testing.assert_array_equal(spec.run(model, {"image": x[:5]})["logits"], found[:5])


def fewest_digits(value: int) -> int:
    """By the definition: the shortest sum of signed powers of two, breadth first."""
    reached, count = {0}, 0
    while value not in reached:
        steps = [sign << place for place in range(9) for sign in (1, -1)]
        reached |= {start + step for start in reached for step in steps}
        count += 1
    return count


def test_signed_digits_are_the_fewest() -> None:
    codes = np.arange(-127, 128)
    np.testing.assert_array_equal(signed_digits(codes), [fewest_digits(abs(int(c))) for c in codes])
    assert signed_digits(np.array([[0b1010101010101, -(2**60)]])).tolist() == [[7, 1]]


def test_the_lowest_parabola_everywhere() -> None:
    generator = np.random.default_rng(0)
    x = np.linspace(-20, 20, 4001)
    for _ in range(50):
        places = np.sort(generator.choice(np.arange(-15.0, 16.0), 9, replace=False))
        heights = generator.uniform(0, 60, 9)
        thresholds, kept = _lower_envelope(places, heights)
        assert np.all(np.diff(thresholds) > 0)
        found = kept[np.searchsorted(thresholds, x)]
        value = (x[:, None] - places) ** 2 + heights
        chosen = value[np.arange(len(x)), np.searchsorted(places, found)]
        np.testing.assert_allclose(chosen, value.min(axis=1), atol=1e-9)


@pytest.mark.parametrize("weights", ["5", "8", "ternary"])
def test_a_budget_is_met_and_is_what_golden_has(
    planned: Planner, weights: str, tmp_path: Path
) -> None:
    module = actc.torch.prepare(None, planned(weights))
    before, start = module.codes(), adder_bits(module)
    budget = LogicBudget(module)
    assert all(np.array_equal(before[name], codes) for name, codes in module.codes().items())
    last, strengths = start, []
    for goal in (start, start // 2, start // 10, 0):
        found = budget.aim(goal)
        assert found <= goal
        assert found == adder_bits(module)
        assert found <= last
        last = found
        strengths.append(budget.strength)
        assert_equals_export(module, tmp_path / "golden.onnx")
    assert strengths == sorted(strengths)
    assert strengths[0] == 0.0 < strengths[1]
    assert budget.aim(start // 2) > start // 3  # no more is dropped than is asked for


def test_what_a_layer_takes(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned())
    for layer, shadow in zip(logic(module), module.shadows(), strict=True):
        codes = module.codes()[shadow.names[0]]  # [inputs, outputs]
        counts = [sum(fewest_digits(abs(int(c))) for c in column) for column in codes.T]
        assert (layer.digits, layer.weights) == (sum(counts), codes.size)
        assert layer.kept == np.count_nonzero(codes)
        assert layer.adders == sum(counts) - len(counts)
        assert layer.bits == layer.adders * (4 + 2)  # inputs of 4 bits
    assert total(logic(module)).bits == adder_bits(module)


def test_settled_codes_stay_without_the_budget(planned: Planner) -> None:
    module, fresh = (actc.torch.prepare(None, planned()) for _ in range(2))
    budget = LogicBudget(module)
    budget.aim(900)
    chosen = module.codes()
    budget.settle()
    fresh.load_state_dict(module.state_dict())
    for found in (module.codes(), fresh.codes()):
        for name, codes in chosen.items():
            np.testing.assert_array_equal(found[name], codes)
    assert all(layer.choice is None for layer in module.shadows())


def test_settled_codes_of_periodic_weights(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned(), weights="periodic")
    budget = LogicBudget(module)
    budget.aim(900)
    chosen = module.codes()
    budget.settle()
    for name, codes in module.codes().items():
        np.testing.assert_array_equal(codes, chosen[name])


def test_codes_of_few_digits_are_preferred(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned())
    before = total(logic(module))
    LogicBudget(module).aim(before.bits * 2 // 3)
    after = total(logic(module))
    assert after.digits / after.kept < before.digits / before.kept


def test_gradients_pass_to_weights_that_are_zero(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned())
    budget = LogicBudget(module)
    budget.aim(500)
    x, labels = digits()
    loss = torch.nn.functional.cross_entropy(
        module(torch.from_numpy(x[:64])), torch.from_numpy(labels[:64])
    )
    loss.backward()
    layer = module.shadows()[0]
    dropped = module.codes()[layer.names[0]] == 0
    seen = x[:64].any(axis=0)[:, None] & dropped
    assert np.mean(layer.weight.grad.numpy()[seen] != 0) > 0.5


def test_training_to_a_budget(planned: Planner, tmp_path: Path) -> None:
    module, plain = (actc.torch.prepare(None, planned()) for _ in range(2))
    start, bits = adder_bits(module), 3000
    images, labels = digits()
    held, wanted = digits("digits")
    seen: list[Any] = []
    history = fine_tune_for_logic(
        module, images, labels, bits=bits, epochs=6, rate=1e-2, progress=seen.append
    )
    assert seen == history
    assert len(history) == 6
    assert start > history[0].bits > history[1].bits > history[2].bits
    assert all(epoch.bits <= bits for epoch in history[2:])
    assert bits * 0.9 < adder_bits(module) <= bits
    assert_equals_export(module, tmp_path / "golden.onnx")
    budget = LogicBudget(plain)
    budget.aim(bits)  # the same budget without training
    accuracies = [np.mean(outputs(m, held).argmax(1) == wanted) for m in (plain, module)]
    assert accuracies[1] > accuracies[0] + 0.05
    assert accuracies[1] > 0.88


def test_training_twice_gives_the_same_codes(planned: Planner) -> None:
    images, labels = (array[:96] for array in digits())
    found = []
    for given in (images, {"image": torch.from_numpy(images)}):
        module = actc.torch.prepare(None, planned())
        fine_tune_for_logic(module, given, labels.astype(np.int32), bits=2000, epochs=2, seed=3)
        found.append(module.codes())
    for name, codes in found[0].items():
        np.testing.assert_array_equal(codes, found[1][name])


def test_a_loss_of_ones_own(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned())
    images = digits()[0][:64]
    with torch.no_grad():
        teacher = module(torch.from_numpy(images)).clone()

    def distance(scores: Any, wanted: Any) -> Any:
        return torch.mean((scores - wanted) ** 2)

    history = fine_tune_for_logic(
        module, images, teacher, bits=6000, epochs=8, rate=2e-3, loss=distance
    )
    assert history[-1].loss < max(epoch.loss for epoch in history)


def test_groups_and_formats_without_zero(planned: Planner, tmp_path: Path) -> None:
    module = actc.torch.prepare(None, planned("3", groups=16))
    LogicBudget(module).aim(800)
    assert adder_bits(module) <= 800
    assert_equals_export(module, tmp_path / "golden.onnx")
    module = actc.torch.prepare(None, planned("2"))
    budget = LogicBudget(module)
    found = budget.aim(budget.least)
    codes = np.concatenate([c.ravel() for n, c in module.codes().items() if n.endswith(".w")])
    assert set(np.unique(codes)) == {-1, 1}  # 3 takes two digits
    assert found == (1024 - 16 + 160 - 10) * 6
    with pytest.raises(UsageError, match=r"ACT0381.*the fewest are 6948"):
        budget.aim(found - 1)


def test_wrong_inputs(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned())
    images, labels = (array[:8] for array in digits())
    before = module.codes()

    def raised(*given: Any, **options: Any) -> str:
        with pytest.raises(UsageError) as problem:
            fine_tune_for_logic(module, *given, **{"bits": 2000, **options})
        return str(problem.value)

    assert "'image' [8, 64] and labels [7]" in raised(images, labels[:7])
    assert "ACT0382" in raised(images[:0], labels[:0])
    assert "ACT0382" in raised(images, 3)
    assert "epochs must be at least 1, not 0" in raised(images, labels, epochs=0)
    both = raised(images, labels, batch=0, rate=float("nan"))
    assert both.count("ACT0383") == 2
    assert "ACT0381" in raised(images, labels, bits=-1)
    assert "ACT0376" in raised({"picture": images}, labels)
    for name, codes in module.codes().items():
        np.testing.assert_array_equal(codes, before[name])
    message = raised(images, labels, epochs=2, loss=lambda scores, _: scores.sum() * np.inf)
    assert "ACT0384" in message
    assert "lower rate" in message
    with pytest.raises(UsageError, match="ACT0381"):
        LogicBudget(module).set_strength(-1.0)


def test_a_module_without_weights(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)
    artifact = actc.torch.plan(
        torch.nn.Tanh(), torch.zeros(2, 4), data={"x": x}, output=tmp_path / "plan"
    )
    module = actc.torch.prepare(None, artifact)
    with pytest.raises(UsageError, match="ACT0380"):
        LogicBudget(module)
    assert logic(module) == ()
    assert total(logic(module)).bits == 0


def test_formats_of_the_docs_have_a_zero() -> None:
    for text in ("8", "3", "ternary"):
        assert WeightFormat.parse(text).magnitudes[0] == 0


def test_export_is_a_model(planned: Planner, tmp_path: Path) -> None:
    module = actc.torch.prepare(None, planned())
    LogicBudget(module).aim(1000)
    module.export(tmp_path / "g.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "g.onnx"))
