"""actc.torch.prepare: golden on every bit, training, and the way back."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import network
from onnx import numpy_helper
from sealed import sealed

import actc
import actc.torch
from actc.errors import MissingTool, ModelError, UsageError
from actc.ir import spec
from actc.ir.execute import Session

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

Array = np.ndarray[Any, Any]
Planner = Callable[..., Path]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FEW = {"weights": "ternary", "activations": "3"}


@cache
def samples(name: str) -> tuple[Array, Array]:
    """All images that the repository has for an example network, and their labels."""
    folder, network = name.split("/")
    file = {"digits/mlp": "digits_mlp", "digits/cnn": "digits"}.get(name, "mnist")
    with np.load(EXAMPLES / folder / f"{file}.npz", allow_pickle=False) as arrays:
        images, labels = arrays["image"], arrays["labels"]
    model = onnx.load(EXAMPLES / folder / f"{network}.onnx")
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    return images.reshape([-1, *shape]), labels


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """Compiles an example network once per choice of options."""
    made: dict[str, Path] = {}

    def make(name: str, count: int = 100, **options: Any) -> Path:
        key = json.dumps([name, count, options])
        if key not in made:
            made[key] = tmp_path_factory.mktemp("plan") / "plan"
            data = {"image": samples(name)[0][:count]}
            source = EXAMPLES / f"{name}.onnx"
            actc.compile(source, "onnx", data=data, output=made[key], **options)
        return made[key]

    return make


def golden(path: Path, x: Array) -> Array:
    (found,) = Session(onnx.load(path), threads=1).run({"image": x}).values()
    return found


def outputs(module: Any, x: Array) -> Array:
    with torch.no_grad():
        found: Array = module(torch.from_numpy(x)).numpy()
    return found


def train(module: Any, x: Array, labels: Array, epochs: int, rate: float = 1e-3) -> list[float]:
    """Mean losses of the epochs."""
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    images, wanted, found = torch.from_numpy(x), torch.from_numpy(labels.astype(np.int64)), []
    for _ in range(epochs):
        losses = []
        for index in torch.randperm(len(images)).split(32):
            loss = torch.nn.functional.cross_entropy(module(images[index]), wanted[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        found.append(float(np.mean(losses)))
    return found


def accuracy(scores: Array, labels: Array) -> float:
    return float(np.mean(scores.argmax(axis=1) == labels))


def assert_same_bits(found: Array, wanted: Array) -> None:
    assert found.dtype == wanted.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), wanted.view(np.uint32))


NETWORKS = [
    ("digits/mlp", {}),
    ("digits/mlp", {"weights": "2", "activations": "4"}),
    ("digits/mlp", {"weights": "4", "activations": "mixed", "scales": "power-of-two"}),
    ("digits/mlp", {"weights": "3", "groups": 16}),
    ("digits/cnn", {}),
    ("digits/cnn", FEW),
    ("mnist/mlp", {"weights": "ternary", "activations": "mixed"}),
    ("mnist/cnn_silu", {"weights": "2", "activations": "4"}),
    ("mnist/cnn_hardswish", {"weights": "4", "activations": "16"}),
    ("mnist/vit", {}),
    ("mnist/vit", {"weights": "4", "activations": "mixed"}),
    ("mnist/lstm", {}),
    ("mnist/lstm", {"weights": "4", "activations": "6"}),
]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in NETWORKS]


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=IDS)
def test_bits_of_golden_before_and_after_training(
    planned: Planner, name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    plan, path = planned(name, **options), tmp_path / "golden.onnx"
    module = actc.torch.prepare(None, plan)
    images, labels = samples(name)
    count = 60 if name == "mnist/vit" else len(images)
    x = images[:count]
    assert_same_bits(outputs(module, x), golden(plan / "golden.onnx", x))
    module.export(path)
    assert path.read_bytes() == (plan / "golden.onnx").read_bytes()
    before = module.codes()
    train(module, images[:64], labels[:64], epochs=1)
    module.export(path)
    changed = {key for key, codes in module.codes().items() if np.any(codes != before[key])}
    assert {key for key in before if not key.endswith(".b")} <= changed
    wanted = outputs(module, x)
    assert np.any(wanted != golden(plan / "golden.onnx", x))
    assert_same_bits(golden(path, x), wanted)
    assert_same_bits(spec.run(onnx.load(path), {"image": x[:20]})["logits"], wanted[:20])


def test_what_is_exported_differs_in_the_trained_integers_alone(
    planned: Planner, tmp_path: Path
) -> None:
    plan = planned("digits/cnn", **FEW)
    module = actc.torch.prepare(None, plan)
    train(module, *(a[:64] for a in samples("digits/cnn")), epochs=1)
    trained, source = module.export(tmp_path / "g.onnx"), onnx.load(plan / "golden.onnx")
    assert set(module.codes()) == {
        tensor.name for tensor in source.graph.initializer if tensor.name.endswith((".w", ".b"))
    }
    for model in (trained, source):
        kept = [t for t in model.graph.initializer if t.name not in module.codes()]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
    assert trained == source


@pytest.mark.parametrize(
    ("weights", "allowed"),
    [("ternary", {-1, 0, 1}), ("2", {-3, -1, 1, 3}), ("3", set(range(-3, 4)))],
)
def test_codes_stay_in_their_format(planned: Planner, weights: str, allowed: set[int]) -> None:
    plan = planned("digits/mlp", weights=weights, activations="4")
    for gradient in ("straight-through", "periodic"):
        module = actc.torch.prepare(None, plan, weights=gradient)
        train(module, *(a[:64] for a in samples("digits/mlp")), epochs=3, rate=0.3)
        inner = module.codes()[module.layers[1].names[0]]
        assert set(np.unique(inner).tolist()) == allowed


def test_accuracy_on_few_bits_comes_back(planned: Planner) -> None:
    images, labels = samples("digits/cnn")
    plan = planned("digits/cnn", count=300, **FEW)
    module = actc.torch.prepare(None, plan)
    held = images[300:], labels[300:]
    before = accuracy(outputs(module, held[0]), held[1])
    losses = train(module, images[:300], labels[:300], epochs=6)
    after = accuracy(outputs(module, held[0]), held[1])
    assert losses[-1] < losses[0] / 2
    assert before < 0.9
    assert after > before + 0.1


@pytest.mark.parametrize(
    "options",
    [
        {"gradient": "straight-through"},
        {"gradient": "hysteresis", "window": 0.1},
        {"gradient": "periodic"},
        {"gradient": "few-bit", "bits": 4},
        {"weights": "periodic"},
    ],
    ids=str,
)
def test_every_gradient_trains(planned: Planner, options: dict[str, Any]) -> None:
    plan = planned("digits/mlp", **FEW)
    images, labels = samples("digits/mlp")
    module = actc.torch.prepare(None, plan, **options)
    assert_same_bits(outputs(module, images), golden(plan / "golden.onnx", images))
    losses = train(module, images[:300], labels[:300], epochs=8)
    assert losses[-1] < 0.6 * losses[0]


def test_a_module_of_the_user_and_its_plan(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    x = torch.randn(40, 5)
    artifact = actc.torch.plan(
        net.train(), x[:2], data={"x": x.numpy()}, output=tmp_path / "plan", weights="4"
    )
    module = actc.torch.prepare(net, artifact)
    assert net.training
    assert isinstance(module, actc.torch.PreparedModule)
    (wanted,) = artifact.run(x.numpy()).values()
    for found in (module(x), module(x=x)):
        assert_same_bits(found.detach().numpy(), wanted)
    net[0].weight.data += 0.5
    with pytest.raises(UsageError, match=r"ACT0373.*output 0 differs"):
        actc.torch.prepare(net, artifact)
    with pytest.raises(UsageError, match=r"ACT0373.*does not run"):
        actc.torch.prepare(torch.nn.Linear(4, 3), artifact)
    with pytest.raises(UsageError, match=r"ACT0373.*\[3, 4\], not \[3, 3\]"):
        actc.torch.prepare(torch.nn.Linear(5, 4), artifact)


def test_integer_inputs_and_open_lengths(tmp_path: Path) -> None:
    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = torch.nn.Embedding(20, 8)
            self.head = torch.nn.Linear(8, 3)

        def forward(self, ids: Any) -> Any:
            rows = torch.tanh(self.rows(ids))
            return torch.log_softmax(self.head(rows.amax(1)), -1)

    torch.manual_seed(0)
    net, ids = Encoder(), torch.randint(0, 20, (16, 9))
    dynamic = {"x": {0: "batch", 1: "length"}}
    model = actc.export(net, ids[:2], dynamic=dynamic)
    data = {"x": ids.numpy(), "x.lengths": np.arange(16) % 5 + 5}
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "plan")
    module = actc.torch.prepare(net, artifact)
    for length in (4, 9):
        (wanted,) = artifact.run(ids[:, :length].numpy()).values()
        assert_same_bits(module(ids[:, :length]).detach().numpy(), wanted)
    with pytest.raises(UsageError, match=r"ACT0376.*takes integers"):
        module(ids.to(torch.float32))


def test_the_export_compiles_for_a_target(planned: Planner, tmp_path: Path) -> None:
    module = actc.torch.prepare(None, planned("digits/mlp", weights="2", activations="4"))
    images, labels = samples("digits/mlp")
    train(module, images[:64], labels[:64], epochs=1)
    module.export(tmp_path / "golden.onnx")
    data = {"image": images[:20]}
    artifact = actc.compile(tmp_path / "golden.onnx", "onnx", data=data, output=tmp_path / "out")
    (found,) = artifact.run(images).values()
    assert_same_bits(found, outputs(module, images))
    with pytest.raises(UsageError, match="ACT0233"):  # a golden that came has no float model
        actc.torch.prepare(None, artifact)


def test_sums_never_leave_their_accumulators(planned: Planner, tmp_path: Path) -> None:
    module = actc.torch.prepare(None, planned("digits/mlp"))
    images, _ = samples("digits/mlp")
    layer = module.layers[0]
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias[0] += 1e12
        layer.bias[1] -= 1e12
    biases = module.codes()[layer.names[1]]
    assert biases[0] > 10**6 > 0 > -(10**6) > biases[1]
    path = tmp_path / "golden.onnx"
    module.export(path)
    assert_same_bits(golden(path, images), outputs(module, images))
    spec.run(onnx.load(path), {"image": images[:20]})  # raises where a sum overflows
    layer.limit[:] = 1000
    path.unlink()
    with pytest.raises(ModelError, match=r"(?s)ACT0377.*'node_linear'"):
        module.export(path)
    assert not path.exists()


def test_the_float_model_compiles_to_the_same_codes(planned: Planner, tmp_path: Path) -> None:
    plan, path = planned("digits/cnn", **FEW), tmp_path / "float.onnx"
    images, labels = samples("digits/cnn")
    module = actc.torch.prepare(None, plan)
    train(module, images[:100], labels[:100], epochs=2)
    model = module.float_model(path)
    onnx.checker.check_model(model, full_check=True)
    again = tmp_path / "again"
    actc.compile(path, "onnx", data={"image": images[:100]}, output=again, **FEW)
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load(again / "golden.onnx").graph.initializer
    }
    inner = module.layers[1].names[0]
    np.testing.assert_array_equal(stored[inner], module.codes()[inner])


@pytest.mark.parametrize("name", ["digits/cnn", "mnist/lstm", "mnist/vit"])
def test_the_float_model_is_the_one_that_came(planned: Planner, name: str, tmp_path: Path) -> None:
    """But for the rounding of weights to eight bits."""
    plan, x = planned(name), samples(name)[0][:50]
    actc.torch.prepare(None, plan).float_model(tmp_path / "float.onnx")
    found, wanted = (golden(folder / "float.onnx", x) for folder in (tmp_path, plan))
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_a_plan_that_is_none(planned: Planner, tmp_path: Path) -> None:
    def raised(path: Any, **options: Any) -> str:
        with pytest.raises(UsageError) as problem:
            actc.torch.prepare(None, path, **options)
        assert len(problem.value.diagnostics) == 1
        return str(problem.value)

    plan, source = tmp_path / "plan", planned("digits/mlp")
    assert "ACT0372" in raised(tmp_path / "nothing")
    shutil.copytree(source, plan)
    (plan / "golden.onnx").unlink()
    assert "ACT0067" in raised(plan)
    assert "no golden.onnx" in raised(sealed(plan))
    (plan / "golden.onnx").write_bytes(b"\x00nothing")
    assert "ACT0067" in raised(plan)
    assert "no golden.onnx that can be read" in raised(sealed(plan))
    shutil.copy(planned("digits/cnn") / "golden.onnx", plan)
    assert "ACT0233" in raised(sealed(plan))
    (plan / "formats.json").unlink()
    assert "ACT0233" in raised(sealed(plan))
    (plan / "report.json").write_text("[]", encoding="utf-8")
    assert "ACT0372" in raised(plan)
    data = {"image": samples("digits/mlp")[0][:8]}
    options: dict[str, Any] = {"precision": "float32", "output": tmp_path / "float"}
    assert "float32" in raised(
        actc.compile(EXAMPLES / "digits/mlp.onnx", "cpu", data=data, **options)
    )
    dry = actc.compile(EXAMPLES / "digits/mlp.onnx", "onnx", data=data, dry_run=True)
    assert "dry run" in raised(dry)
    assert "choose one of: derivative" in raised(source, gradient="steep")
    assert "choose one of: straight-through" in raised(source, weights="round")
    assert "1, 2, 4 or 8" in raised(source, bits=3)
    assert "0..1" in raised(source, window=2)


def test_a_prepared_module_is_used_wrongly(planned: Planner) -> None:
    module = actc.torch.prepare(None, planned("digits/mlp"))
    x = torch.zeros(2, 64)
    for inputs, named in (((), {}), ((x, x), {}), ((x,), {"image": x}), ((), {"y": x})):
        with pytest.raises(UsageError, match="ACT0376"):
            module(*inputs, **named)
    for cast in (module.half, module.float, module.double, lambda: module.to(torch.bfloat16)):
        with pytest.raises(UsageError, match="cannot be cast"):
            cast()
    assert module.to("cpu") is module
    assert module(x).dtype == torch.float32


def test_state_is_the_weights_alone(planned: Planner) -> None:
    plan = planned("digits/mlp", **FEW)
    trained, fresh = (actc.torch.prepare(None, plan) for _ in range(2))
    images, labels = samples("digits/mlp")
    train(trained, images[:64], labels[:64], epochs=1)
    state = trained.state_dict()
    assert set(state) == {f"layers.{k}.{part}" for k in range(3) for part in ("weight", "bias")}
    fresh.load_state_dict(state)
    assert_same_bits(outputs(fresh, images), outputs(trained, images))


def test_operators_without_a_form_are_named_all_at_once(tmp_path: Path) -> None:
    body = "s = Sigmoid (x)\n d = Hardmax (s)\n t = Tanh (x)\n e = Hardmax (t)\n y = Add (d, e)"
    model = network("float[N,4] x => float[N,4] y", body)
    data = {"x": np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)}
    artifact = actc.compile(model, "onnx", data=data, output=tmp_path / "plan", islands="auto")
    with pytest.raises(ModelError, match=r"ACT0374.*Hardmax.*float island") as problem:
        actc.torch.prepare(None, artifact)
    named = [d.place.op for d in problem.value.diagnostics]
    assert named.count("Hardmax") == 2
    assert {d.code for d in problem.value.diagnostics} == {"ACT0374"}


def test_without_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "actc.torch.module", raising=False)
    with pytest.raises(MissingTool, match="ACT0503"):
        actc.torch.prepare(None, tmp_path)
    with pytest.raises(MissingTool, match="ACT0503"):
        _ = actc.torch.PreparedModule
