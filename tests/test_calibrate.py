"""Calibration: histograms against brute force, ranges against exhaustive search, bounded memory."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from models import network, normal, run, transformed

from actc.calibrate import collect as collect_module
from actc.calibrate.collect import collect
from actc.calibrate.histogram import BINS, METHODS, Histogram, choose_range, signal_to_noise
from actc.data import Dataset
from actc.errors import ModelError, UsageError
from actc.ir.context import context_of
from actc.numerics.quantization import QuantizationParameters
from actc.passes.calibrate import Calibrate
from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]

MODEL = network(
    "float[N,6] x => float[N,4] y",
    "h = MatMul (x, w)\n s = Sigmoid (h)\n y = Mul (h, s)",
    {"w": normal(6, 4)},
)


def histogram_of(values: Array) -> Histogram:
    counts, _ = np.histogram(values, BINS, (values.min(), values.max()))
    return Histogram(float(values.min()), float(values.max()), counts.astype(np.int64))


def test_histograms_equal_those_of_all_values_at_once() -> None:
    x = normal(103, 6)
    everything = {"x": x, **run(MODEL, {"x": x}, "h", "s")}
    found = collect(MODEL, ["x", "h", "s", "y"], Dataset({"x": x}), batch=7)
    assert list(found) == ["x", "h", "s", "y"]
    for name, histogram in found.items():
        values = everything[name]
        assert (histogram.low, histogram.high) == (float(values.min()), float(values.max()))
        assert histogram.total == values.size
        expected, _ = np.histogram(values.astype(np.float64), BINS, (histogram.low, histogram.high))
        # A value on the border of two bins may fall into either.
        distance = np.abs(np.cumsum(histogram.counts) - np.cumsum(expected))
        assert distance.max() <= 2
        assert histogram.counts[0] >= 1
        assert histogram.counts[-1] >= 1


def test_filled_up_batches_count_once() -> None:
    model = network("float[4,3] x => float[4,3] y", "y = Relu (x)")
    x = np.arange(15, dtype=np.float32).reshape(5, 3)
    found = collect(model, ["x", "y"], Dataset({"x": x}, batch=4))
    assert found["x"].total == found["y"].total == 15


def test_samples_of_varying_length() -> None:
    """Only what belongs to a sample is seen, never its padding."""
    signature = "float[N,L] x => float[N,1] y, float[N,L] e"
    model = network(signature, "y = ReduceSum (x, a)\n e = Exp (x)", {"a": np.array([1])})
    x = np.full((3, 9), 1000, np.float32)
    lengths = np.array([2, 9, 5])
    for row, length in enumerate(lengths):
        x[row, :length] = row - 1
    x[1] = 0
    found = collect(model, ["x", "e", "y"], Dataset({"x": x}, lengths={"x": lengths}))
    assert (found["x"].low, found["x"].high, found["x"].total) == (-1.0, 1.0, 16)
    assert (found["y"].low, found["y"].high, found["y"].total) == (-2.0, 5.0, 3)
    assert found["e"].total == 16
    for method in METHODS:
        low, high = choose_range(found["x"], method)
        assert low <= 0 <= high


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5, np.float32),
        np.full(5, 3.0, np.float32),
        np.array([-2e-40, 0, 1e-40], np.float32),
        np.array([-3e38, 0, 3e38], np.float32),
        np.array([1e30, np.nextafter(np.float32(1e30), np.float32(2e30))], np.float32),
    ],
    ids=["zero", "constant", "denormal", "huge", "neighbours"],
)
@pytest.mark.filterwarnings("error")
def test_extreme_tensors(values: Array) -> None:
    model = network("float[N] x => float[N] y", "y = Identity (x)")
    (histogram,) = collect(model, ["x"], Dataset({"x": values})).values()
    assert histogram.total == len(values)
    assert (histogram.low, histogram.high) == (float(values.min()), float(values.max()))
    for method in METHODS:
        low, high = choose_range(histogram, method)
        assert histogram.low >= low or method != "minmax"
        assert low <= 0 <= high
        assert np.isfinite([low, high]).all()


def test_values_that_are_no_numbers_are_named_together() -> None:
    model = network(
        "float[N,3] x => float[N,3] y", "a = Log (x)\n b = Neg (x)\n c = Sqrt (b)\n y = Add (a, c)"
    )
    with pytest.raises(ModelError) as caught:
        transformed(model, Normalize(), Calibrate(), data={"x": np.ones((2, 3), np.float32)})
    found = [(d.code, d.place.node) for d in caught.value.diagnostics]
    assert found == [("ACT0102", "c"), ("ACT0102", "y")]


def test_the_pass_needs_data() -> None:
    model = transformed(MODEL, Normalize())
    context_of(model).dataset = None
    with pytest.raises(UsageError) as caught:
        Calibrate().call(model)
    assert [d.code for d in caught.value.diagnostics] == ["ACT0222"]


def test_the_pass_takes_the_first_samples() -> None:
    x = normal(50, 6)
    x[10:] *= 100
    seen = context_of(transformed(MODEL, Normalize(), Calibrate(samples=10), data={"x": x})).ranges
    assert seen["x"].high == float(x[:10].max())
    assert seen["x"].total == 60
    everything = context_of(transformed(MODEL, Normalize(), Calibrate(samples=0), data={"x": x}))
    assert everything.ranges["x"].total == 300


class Stream(Dataset):
    """Many batches that exist one at a time."""

    made = 0

    def batches(self, size: int = 64) -> Iterator[tuple[dict[str, Array], int]]:
        for number in range(64):
            Stream.made += 1
            yield {"x": normal(64, 6, seed=number).repeat(256, axis=1)}, 64


def test_memory_does_not_grow_with_the_data() -> None:
    """64 batches of 0.4 MB, three times that with what is computed: never all at once."""
    model = network("float[N,1536] x => float[N,1536] y", "h = Relu (x)\n y = Neg (h)")
    collect(model, ["x", "h", "y"], Stream({}))  # loads what is loaded once
    tracemalloc.start()
    found = collect(model, ["x", "h", "y"], Stream({}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["y"].total == 64 * 64 * 1536
    assert Stream.made == 4 * 64
    assert peak < 64 * 64 * 1536 * 4 / 2


def test_two_runs_over_the_data_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Counted(collect_module.Session):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            calls.append(len(feeds["x"]))
            return super().run(feeds)

    monkeypatch.setattr(collect_module, "Session", Counted)
    collect(MODEL, ["x", "h"], Dataset({"x": normal(40, 6)}), batch=16)
    assert calls == [16, 16, 8] * 2


# Methods


def samples(kind: str) -> Array:
    generator = np.random.default_rng(3)
    return {
        "normal": lambda: generator.standard_normal(50_000),
        "outlier": lambda: np.append(generator.standard_normal(50_000), [90.0]),
        "relu": lambda: np.maximum(generator.standard_normal(50_000), 0),
        "negative": lambda: -generator.exponential(1, 50_000),
        "skewed": lambda: generator.gamma(0.3, 2, 50_000) - 0.2,
    }[kind]().astype(np.float32)


KINDS = ("normal", "outlier", "relu", "negative", "skewed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_ranges_hold_zero_and_lie_within_what_was_seen(kind: str, method: str) -> None:
    values = samples(kind)
    low, high = choose_range(histogram_of(values), method)
    assert min(0.0, float(values.min())) <= low <= 0 <= high <= max(0.0, float(values.max()))
    assert low < high


@pytest.mark.parametrize("kind", KINDS)
def test_minmax_is_everything(kind: str) -> None:
    values = samples(kind)
    expected = min(0.0, float(values.min())), max(0.0, float(values.max()))
    assert choose_range(histogram_of(values), "minmax") == expected


@pytest.mark.parametrize("kind", KINDS)
def test_percentile_is_that_of_the_values(kind: str) -> None:
    values = samples(kind)
    low, high = choose_range(histogram_of(values), "percentile")
    width = float(np.ptp(values)) / BINS
    expected = np.quantile(values, [0.00005, 0.99995], method="inverted_cdf")
    assert low == pytest.approx(min(0.0, float(expected[0])), abs=1.5 * width)
    assert high == pytest.approx(max(0.0, float(expected[1])), abs=1.5 * width)
    inside = np.mean((values >= low) & (values <= high))
    assert inside >= 0.9999


def quantization_error(values: Array, low: float, high: float) -> float:
    """Mean square error of 8-bit quantization, by doing it."""
    parameters = QuantizationParameters.from_range(low, high)
    restored = parameters.dequantize(parameters.quantize(values))
    return float(np.mean((restored.astype(np.float64) - values) ** 2))


@pytest.mark.parametrize("kind", KINDS)
def test_mse_is_near_the_least_error_of_all_ranges(kind: str) -> None:
    """Against brute force over all pairs of ends, with the error measured on the values."""
    values = samples(kind)
    ends = np.arange(4, 65, 4) / 64
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    pairs = itertools.product(low * ends if low < 0 else [0.0], high * ends if high > 0 else [0.0])
    best = min(quantization_error(values, a, b) for a, b in pairs)
    chosen = quantization_error(values, *choose_range(histogram_of(values), "mse"))
    assert chosen <= 1.1 * best
    assert chosen <= quantization_error(values, low, high)


def divergence(values: Array, low: float, high: float) -> float:
    """Kullback-Leibler divergence of a histogram and its 256-level self, written out."""
    histogram = histogram_of(values)
    x, counts = histogram.centres(), histogram.counts.astype(float)
    inside = (x >= low) & (x <= high)
    reference = np.where(inside, counts, 0.0)
    first, last = np.flatnonzero(inside)[[0, -1]]
    reference[first] += counts[x < low].sum()
    reference[last] += counts[x > high].sum()
    level = np.rint((np.clip(x, low, high) - low) / ((high - low) / 255)).astype(int)
    quantized = np.zeros_like(reference)
    for code in np.unique(level[inside]):
        members = inside & (level == code) & (counts > 0)
        if members.any():
            quantized[members] = counts[inside & (level == code)].sum() / members.sum()
    p, q = reference / reference.sum(), quantized / quantized.sum()
    return float(sum(a * np.log(a / max(b, 1e-12)) for a, b in zip(p, q, strict=True) if a > 0))


@pytest.mark.parametrize("kind", ["relu", "negative"])
def test_entropy_is_the_least_divergence_on_one_sided_data(kind: str) -> None:
    values = samples(kind)
    chosen = choose_range(histogram_of(values), "entropy")
    end = float(values.max()) if kind == "relu" else float(values.min())
    steps = np.arange(1, 65) / 64
    costs = [divergence(values, *sorted((0.0, end * s))) for s in steps]
    assert divergence(values, *chosen) == pytest.approx(min(costs), rel=1e-9)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_outlier_does_not_set_the_range(method: str) -> None:
    """90 among 50 000 standard normals; both methods cut it off, minmax does not."""
    values = samples("outlier")
    _, high = choose_range(histogram_of(values), method)
    assert high < 45
    assert choose_range(histogram_of(values), "minmax")[1] == 90


def test_more_levels_take_a_wider_range() -> None:
    histogram = histogram_of(samples("skewed"))
    ends = [choose_range(histogram, "mse", levels)[1] for levels in (4, 16, 256)]
    assert ends[0] < ends[1] < ends[2]


def test_an_unknown_method() -> None:
    with pytest.raises(ValueError, match="unknown calibration method"):
        choose_range(histogram_of(samples("normal")), "magic")


def test_signal_to_noise() -> None:
    """Of uniform values over the whole range: 20 log10(levels), about."""
    values = np.random.default_rng(0).uniform(-1, 1, 200_000)
    counts, _ = np.histogram(values, bins=BINS, range=(-1, 1))
    histogram = Histogram(-1.0, 1.0, counts)
    for levels in (16, 256):
        step = 2 / (levels - 1)
        rounded = np.rint(values / step) * step
        exact = 10 * np.log10(np.mean(values**2) / np.mean((rounded - values) ** 2))
        assert signal_to_noise(histogram, (-1.0, 1.0), levels) == pytest.approx(exact, abs=0.3)
    assert signal_to_noise(histogram, (-0.5, 0.5), 256) < 10
    assert signal_to_noise(Histogram(0.0, 0.0, counts), (0.0, 0.0), 256) == np.inf
