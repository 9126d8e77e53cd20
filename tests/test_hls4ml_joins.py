"""Concat and enlarged images: golden -> program -> layers of hls4ml -> C++."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from folded_lowering import consistent, kinds
from golden_models import Golden
from hls4ml_networks import needs_hls4ml, simulated
from installed import needs_gxx
from network_operators import codes, matmul, out, random_feeds, sums

from actc.errors import ModelError
from actc.ir import spec
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.folded.program import ConcatStage, RepeatStage
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.evaluate import evaluate
from actc.targets.hls4ml.joins import MOST_READERS
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options

Array = np.ndarray[Any, Any]
IO = ("parallel", "stream")


def check(model: ir.Model) -> FoldedNetwork:
    """Program and layers give what the specification of golden does."""
    folded = build_folded(model, "net", more=True)
    feeds = random_feeds(model)
    found, wanted = folded.run(feeds), spec.run(ir.to_proto(model), feeds)
    assert folded.agrees(found, wanted).all()
    consistent(folded, feeds)
    words = folded.prologue(feeds)[0]
    expected = folded.program.evaluate([words])[0]
    for io in IO:
        layers = evaluate(lower(folded.program, "net", io), words)
        np.testing.assert_array_equal(layers.ravel(), expected.ravel())
    return folded


def enlarged(g: Golden, x: str, *factors: tuple[int, int]) -> str:
    """As Resize to the nearest is written: (axis, factor), of a tensor of [2, 3, 4]."""
    shape = [2, 3, 4]
    for axis, factor in factors:
        x = g.node("Unsqueeze", x, g.const(np.array([axis + 1])))
        x = g.node("Concat", *[x] * factor, axis=axis + 1)
        shape[axis - 1] *= factor
        x = g.node("Reshape", x, g.const(np.array([-1, *shape])))
    return x


def branches(g: Golden) -> tuple[str, str]:
    x = codes(g, 2, 3, 4)
    return g.conv(x, 2, 3, (3, 3), pads=[1, 1, 1, 1], zero=7), g.conv(x, 2, 2, (1, 1), zero=7)


def of_two(g: Golden) -> str:
    a, b = branches(g)
    return sums(g, g.node("Concat", a, b, axis=1), 255.0)


def of_three(g: Golden) -> str:
    """One of them twice; a padded convolution and pooling read it."""
    a, b = branches(g)
    joined = g.node("Concat", a, b, a, axis=1)
    pooled = g.node("MaxPool", joined, kernel_shape=[2, 2], strides=[1, 2])
    return g.conv(pooled, 8, 2, (3, 3), pads=[1, 1, 1, 1], zero=11, finish="")


def of_functions(g: Golden) -> str:
    """Each with a function of its own in front, and one per channel behind."""
    x = codes(g, 2, 3, 4)
    a = g.conv(x, 2, 2, (1, 1), zero=7, finish="")
    joined = g.node("Concat", g.table(a), a, axis=1)
    return g.channel_table(joined, 4, 2)


def of_channels_last(g: Golden) -> str:
    a, b = (g.node("Transpose", x, perm=[0, 2, 3, 1]) for x in branches(g))
    joined = g.node("Concat", a, b, axis=-1)
    back = g.node("Transpose", joined, perm=[0, 3, 1, 2])
    return g.conv(back, 5, 2, (2, 2), finish="")


def of_vectors(g: Golden) -> str:
    x = codes(g, 6)
    a, b = (sums(g, matmul(g, x, 6, n), 400.0) for n in (3, 4))
    return sums(g, matmul(g, g.node("Concat", a, b, axis=1), 7, 3), 400.0)


def of_a_column(g: Golden) -> str:
    """A vector with itself, side by side; a matrix product reads both."""
    x = sums(g, matmul(g, codes(g, 6), 6, 3), 400.0)
    x = g.node("Unsqueeze", x, g.const(np.array([2])))
    x = g.node("Flatten", g.node("Concat", x, x, axis=2))
    return sums(g, matmul(g, x, 6, 3), 400.0)


def of_the_input(g: Golden) -> str:
    x = codes(g, 2, 3, 4)
    return str(g.node("Concat", x, g.conv(x, 2, 1, (1, 1), zero=7), axis=1))


def rows(g: Golden) -> str:
    return enlarged(g, branches(g)[1], (2, 2))


def both(g: Golden) -> str:
    """A padded convolution reads it, and a function per channel."""
    x = g.channel_table(enlarged(g, branches(g)[1], (2, 2), (3, 3)), 2, 2)
    return g.conv(x, 2, 3, (3, 3), pads=[1, 1, 1, 1], finish="")


def columns_first(g: Golden) -> str:
    return g.conv(enlarged(g, branches(g)[1], (3, 2), (2, 3)), 2, 3, (2, 1), finish="")


def of_one_line(g: Golden) -> str:
    x = g.conv(codes(g, 2, 5), 2, 3, (1,), zero=7)
    x = g.node("Unsqueeze", x, g.const(np.array([3])))
    x = g.node("Concat", x, x, axis=3)
    x = g.node("Reshape", x, g.const(np.array([-1, 3, 10])))
    return g.conv(x, 3, 2, (3,), finish="")


def of_one_position(g: Golden) -> str:
    """What global pooling leaves, in front of the skip connection that it joins."""
    x = codes(g, 2, 2, 3)
    point = g.conv(x, 2, 2, (2, 3), zero=7)
    for axis, factor, shape in ((3, 2, (2, 2, 1)), (4, 3, (2, 2, 3))):
        point = g.node("Unsqueeze", point, g.const(np.array([axis])))
        point = g.node("Concat", *[point] * factor, axis=axis)
        point = g.node("Reshape", point, g.const(np.array([-1, *shape])))
    return str(g.node("Concat", point, g.conv(x, 2, 2, (1, 1), zero=7), axis=1))


def skipped(g: Golden) -> str:
    """A small U-net: pooled, enlarged, and joined with what it was."""
    x = codes(g, 2, 4, 4)
    a = g.conv(x, 2, 3, (3, 3), pads=[1, 1, 1, 1], zero=7)
    low = g.node("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2])
    low = g.conv(low, 3, 2, (3, 3), pads=[1, 1, 1, 1])
    for axis, shape in ((3, (2, 4, 2)), (4, (2, 4, 4))):
        low = g.node("Unsqueeze", low, g.const(np.array([axis])))
        low = g.node(
            "Reshape", g.node("Concat", low, low, axis=axis), g.const(np.array([-1, *shape]))
        )
    return g.conv(g.node("Concat", low, a, axis=1), 5, 2, (3, 3), pads=[1, 1, 1, 1], finish="")


MODELS: dict[str, tuple[Callable[[Golden], str], int, int]] = {
    make.__name__: (make, joins, repeats)
    for make, joins, repeats in (
        (of_two, 1, 0), (of_three, 1, 0), (of_functions, 1, 0), (of_channels_last, 1, 0),
        (of_vectors, 1, 0), (of_the_input, 1, 0), (of_a_column, 1, 0), (rows, 0, 1), (both, 0, 2),
        (columns_first, 0, 2), (of_one_line, 0, 1), (of_one_position, 1, 2), (skipped, 1, 2),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_layers_are_golden(name: str) -> None:
    make, joins, repeats = MODELS[name]
    g = Golden(3)
    found = kinds(check(out(g, make(g))))
    assert (found.count(ConcatStage), found.count(RepeatStage)) == (joins, repeats)


def read_by_many(g: Golden) -> str:
    """Fifteen readers of one stream, more than hls4ml has clones for."""
    x = g.conv(codes(g, 2, 3, 2), 2, 2, (1, 1), zero=7)
    return str(g.node("Concat", *(g.conv(x, 2, 1, (1, 1)) for _ in range(15)), axis=1))


def test_no_stream_has_more_readers_than_hls4ml_clones() -> None:
    g = Golden(3)
    folded = check(out(g, read_by_many(g)))
    for io, most in (("parallel", 15), ("stream", MOST_READERS)):
        layers = lower(folded.program, "net", io).layers
        readers = Counter(name for layer in layers for name in layer.inputs)
        assert max(readers.values()) == most


def positions(g: Golden) -> str:
    a, b = branches(g)
    return str(g.node("Concat", a, g.node("MaxPool", b, kernel_shape=[1, 2]), axis=3))


def lines(g: Golden) -> str:
    a, _ = branches(g)
    return str(g.node("Concat", a, g.table(a), axis=2))


REFUSED = {
    "positions": (positions, "only channels are joined"),
    "lines": (lines, "only channels are joined"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_axes_are_refused(name: str) -> None:
    make, reason = REFUSED[name]
    g = Golden(3)
    with pytest.raises(ModelError) as caught:
        build_folded(out(g, make(g)), "net", more=True)
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0605"
    assert problem.place.op == "Concat"
    assert reason in problem.message


@pytest.mark.parametrize("make", [of_two, rows])
def test_targets_without_hardware_refuse(make: Callable[[Golden], str]) -> None:
    g = Golden(3)
    with pytest.raises(ModelError) as caught:
        build_folded(out(g, make(g)), "net")
    assert [problem.code for problem in caught.value.diagnostics] == ["ACT0605"]


def compare(make: Callable[[Golden], str], options: Options, folder: Path) -> None:
    g = Golden(4)
    model = out(g, make(g))
    folded = build_folded(model, "net", more=True)
    words = folded.prologue(random_feeds(model))[0]
    network = lower(folded.program, "net", options.io, own=BACKENDS[options.backend].own)
    found = simulated(network, options, words, folder)
    np.testing.assert_array_equal(found.ravel(), folded.program.evaluate([words])[0].ravel())


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("make", "io"), [(skipped, "parallel"), (skipped, "stream"), (of_three, "stream")]
)
def test_cpp(make: Callable[[Golden], str], io: str, tmp_path: Path) -> None:
    compare(make, Options(io=io), tmp_path)


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("io", IO)
@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.parametrize("make", [skipped, read_by_many])
def test_all_backends(make: Callable[[Golden], str], backend: str, io: str, tmp_path: Path) -> None:
    compare(make, Options(backend, io), tmp_path)
