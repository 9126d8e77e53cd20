"""Random small networks, compiled, and searches for inputs on which golden errs most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from models import network, prepared, proto_of, run

from actc.bounds import Network, Proof, data_box, format_box, network_of, prove
from actc.compiler import default_pipeline
from actc.ir.context import context_of
from actc.ir.execute import Session
from actc.pipeline import Snapshot

Array = np.ndarray[Any, Any]
Score = Callable[[Array], Array]

ACTIVATIONS = (
    "Relu({0})",
    "Sigmoid({0})",
    "Tanh({0})",
    "LeakyRelu({0})",
    "Gelu({0})",
    "HardSwish({0})",
    "Elu({0})",
    "Mish({0})",
    "Softplus({0})",
    "Softsign({0})",
    "Sin({0})",
)
SEARCHED = 6
BODIES = (
    "mlp",
    "conv",
    "residual",
    "gate",
    "pool",
    "channels",
    "attention",
    "concat",
    "norm",
    "extremes",
)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A float model with its golden one, and how to run both."""

    model: onnx.ModelProto
    golden: onnx.ModelProto
    network: Network
    data: dict[str, Array]

    @property
    def input(self) -> str:
        return str(self.model.graph.input[0].name)

    @property
    def output(self) -> str:
        return str(self.model.graph.output[0].name)

    @property
    def samples(self) -> Array:
        return self.data[self.input]

    def box(self, region: str) -> tuple[Array, Array]:
        if region == "data":
            return data_box(self.samples)
        return format_box(self.network.formats[self.input], self.network.inputs[self.input])

    def prove(self, region: str = "format") -> Proof:
        return prove(self.network, {self.input: self.box(region)})

    def runners(self) -> tuple[Score, Score]:
        """The float model and the difference, of flat inputs [n, size]: [n, outputs]."""
        shape = self.samples.shape[1:]
        sessions = [Session(model, threads=1) for model in (self.model, self.golden)]

        def result(session: Session, x: Array) -> Array:
            feeds = {self.input: x.reshape(-1, *shape).astype(np.float32)}
            return session.run(feeds)[self.output].astype(np.float64).reshape(len(x), -1)

        return (
            lambda x: result(sessions[0], x),
            lambda x: result(sessions[1], x) - result(sessions[0], x),
        )


def compiled(
    model: onnx.ModelProto, data: Mapping[str, Array], activations: str = "8", weights: str = "8"
) -> Compiled:
    """Golden of a model as `actc.compile` makes it, read as `actc check --bound` reads it."""
    kept: dict[str, ir.Model] = {}

    def keep(name: str, found: ir.Model) -> None:
        kept[name] = ir.from_proto(ir.to_proto(found))

    pipeline = default_pipeline("int8", "auto", "minmax", activations, weights)
    result = pipeline.run(prepared(model, dict(data)), [Snapshot(("quantize",), keep)])
    context = context_of(result)
    golden = proto_of(result)
    found = network_of(kept["quantize"], context.sites, golden, context.facts["golden"])
    return Compiled(model, golden, found, dict(data))


def random_network(
    body: str, activation: str, seed: int, samples: int = 64
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A network of one of the kinds `BODIES`, and data that covers its input box."""
    generator = np.random.default_rng(seed)

    def weight(*shape: int) -> Array:
        fan = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        return np.asarray(generator.standard_normal(shape) / np.sqrt(fan), np.float32)

    def act(name: str) -> str:
        return activation.format(name)

    small = {"w": weight(4, 8), "b": weight(8), "v": weight(8, 3), "c": weight(3)}
    texts: dict[str, tuple[str, dict[str, Array]]] = {
        "mlp": (
            f"h = MatMul(x, w) a = Add(h, b) f = {act('a')} p = MatMul(f, u) q = Add(p, d)"
            f" g = {act('q')} o = MatMul(g, v) y = Add(o, c)",
            {**small, "u": weight(8, 8), "d": weight(8)},
        ),
        "shallow": (f"h = MatMul(x, w) f = {act('h')} y = MatMul(f, v)", small),
        "residual": (
            f"h = MatMul(x, u) a = Add(h, d) f = {act('a')} r = Add(f, x) g = {act('r')}"
            " y = MatMul(g, v)",
            {"u": weight(4, 4), "d": weight(4), "v": weight(4, 3)},
        ),
        "gate": (
            f"h = MatMul(x, w) f = {act('h')} k = MatMul(x, u) s = Sigmoid(k) m = Mul(f, s)"
            " o = MatMul(m, v) y = Add(o, c)",
            {**small, "u": weight(4, 8)},
        ),
        "concat": (
            f"h = MatMul(x, w) f = {act('h')} z = Concat<axis = 1>(f, x) y = MatMul(z, u)",
            {**small, "u": weight(12, 3)},
        ),
        "extremes": (
            f"h = MatMul(x, w) f = {act('h')} k = MatMul(x, u) a = Max(f, k) j = Min(f, k)"
            " r = ReduceMin<keepdims = 1>(a, i) m = Sub(j, r) y = MatMul(m, v)",
            {**small, "u": weight(4, 8), "i": np.array([1])},
        ),
        "norm": (
            f"h = MatMul(x, w) f = {act('h')}"
            " n = LayerNormalization<axis = -1, epsilon = 0.01>(f, i, b)"
            " o = MatMul(n, v) y = Add(o, c)",
            {**small, "i": weight(8)},
        ),
        "attention": (
            "t = Reshape(x, s) k = MatMul(t, w) kt = Transpose<perm = [0, 2, 1]>(k)"
            " a = MatMul(t, kt) e = Softmax<axis = -1>(a) y = MatMul(e, t)",
            {"s": np.array([-1, 2, 2]), "w": weight(2, 2)},
        ),
    }
    if body in texts:
        text, weights = texts[body]
        signature = "float[N,4] x => float[N,?] y"
        if body == "attention":
            signature = "float[N,4] x => float[N,2,2] y"
        signature = signature.replace("?", "3")
        data = generator.uniform(-2, 2, (samples, 4))
        data[:16] = 2 * np.sign(data[:16])
        return network(signature, text, _used(weights, text)), {"x": data.astype(np.float32)}
    convolution = f"h = Conv<pads = [1, 1, 1, 1]>(x, k, b) f = {act('h')} "
    tails = {
        "conv": "g = Conv(f, l) y = GlobalAveragePool(g)",
        "pool": "p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(f)"
        " q = AveragePool<kernel_shape = [2, 2]>(p) y = Flatten(q)",
        "channels": "p = PRelu(f, s) y = ReduceMax<keepdims = 0>(p, n)",
    }
    weights = {
        "k": weight(4, 2, 3, 3),
        "b": weight(4),
        "l": weight(3, 4, 2, 2),
        "s": generator.uniform(-0.5, 0.5, (4, 1, 1)).astype(np.float32),
        "n": np.array([2, 3]),
    }
    ends = {"conv": "float[N,3,1,1] y", "pool": "float[N,4] y", "channels": "float[N,4] y"}
    text = convolution + tails[body]
    model = network(f"float[N,2,4,4] x => {ends[body]}", text, _used(weights, text))
    data = generator.uniform(-1, 1, (samples, 2, 4, 4))
    data[:16] = np.sign(data[:16])
    return model, {"x": data.astype(np.float32)}


def _used(weights: Mapping[str, Array], text: str) -> dict[str, Array]:
    words = set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: array for name, array in weights.items() if name in words}


def searched(found: Compiled, region: str = "format", seed: int = 0, climbs: int = 2) -> Array:
    """Largest |golden - float| of each output number that a search finds within a region.

    Random inputs, corners and data first; then hill climbing on the difference itself, from
    the worst of them and from where the float output is extreme, for the first `SEARCHED`
    numbers of the output.
    """
    generator = np.random.default_rng(seed)
    low, high = found.box(region)
    floats, apart = found.runners()
    size = (1500, len(low))
    corners = np.where(generator.random(size) < 0.5, low, high)
    inside = np.clip(found.samples.reshape(-1, len(low)), low, high)
    tries = np.concatenate([generator.uniform(low, high, size), corners, inside])
    tries = tries.astype(np.float32).astype(np.float64)
    tries = tries[((tries >= low) & (tries <= high)).all(axis=1)]
    differences, values = np.abs(apart(tries)), floats(tries)
    best: Array = differences.max(axis=0)
    for number in range(min(best.size, SEARCHED)):
        starts = [tries[differences[:, number].argmax()]]
        for sign in (1.0, -1.0)[:climbs]:
            first = tries[(sign * values[:, number]).argmax()]
            score = _signed(floats, number, sign)
            starts.append(_climb(score, first, low, high, generator)[0])
        for start in starts:
            for sign in (1.0, -1.0):
                score = _signed(apart, number, sign)
                reached = _climb(score, start, low, high, generator)
                best[number] = max(best[number], reached[1])
    return best


def _signed(function: Score, number: int, sign: float) -> Score:
    return lambda x: np.asarray(sign * function(x)[:, number])


def _climb(
    score: Score, x: Array, low: Array, high: Array, generator: np.random.Generator
) -> tuple[Array, float]:
    """Single elements to an end or a little on, and random sets of them, while that helps."""
    size, best = len(low), float(score(x[None])[0])
    for _ in range(60):
        each = np.arange(size)
        moves = np.repeat(x[None], 3 * size + 24, axis=0)
        moves[each, each], moves[size + each, each] = low, high
        step = generator.normal(size=size) * (high - low) / 16
        moves[2 * size + each, each] = np.clip(x + step, low, high)
        some = generator.random((24, size)) < 0.3
        anywhere = generator.uniform(low, high, (24, size))
        moves[3 * size :] = np.where(some, anywhere, moves[3 * size :])
        moves = np.clip(moves.astype(np.float32).astype(np.float64), low, high)
        values = score(moves)
        first = int(values.argmax())
        if values[first] <= best:
            return x, best
        x, best = moves[first], float(values[first])
    return x, best


def plain(model: onnx.ModelProto, x: Array) -> Array:
    """The one output of a model in plain onnxruntime."""
    (found,) = run(model, {"x": x}).values()
    return np.asarray(found, np.float64)
