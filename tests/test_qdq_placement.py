"""The choice of operators on integers is the fastest one, by the model of times."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal

from actc.targets.onnx import placement, times
from actc.targets.onnx.layout import is_channels_last, paths
from actc.targets.onnx.placement import Costs, Modelled, Placement, choose, place, time_of
from actc.targets.onnx.speed import slower_than_float
from actc.targets.onnx.times import BATCHES, Times

SEEDS = range(40)


def random_graph(rng: np.random.Generator) -> ir.Model:
    """Sums and poolings of earlier images; some are read several times, some are outputs too."""
    values, lines = ["x"], []
    for index in range(int(rng.integers(3, 9))):
        a, b = rng.choice(values, 2)
        pool = f"MaxPool <kernel_shape = [1,1]> ({a})"
        lines.append(f"v{index} = " + (pool if rng.random() < 0.4 else f"Add ({a}, {b})"))
        values.append(f"v{index}")
    outputs = sorted({values[-1], str(rng.choice(values[1:]))})
    shown = ", ".join(f"float[2,4,3,3] {name}" for name in outputs)
    return ir.from_proto(network(f"float[2,4,3,3] x => {shown}", "\n".join(lines)))


def random_costs(rng: np.random.Generator, graph: ir.Graph, able: frozenset[ir.Node]) -> Costs:
    def times(node: ir.Node) -> Times:
        real, codes = rng.uniform(0, 900, 2).tolist()
        return Times(real, codes if node in able else math.inf)

    def each(values: list[ir.Value]) -> dict[ir.Value, float]:
        return {value: float(rng.uniform(0, 400)) for value in values}

    values = placement._values(graph)
    images = [path.value for path in paths(graph)]
    return Costs({node: times(node) for node in graph}, each(values), each(values), each(images))


def subsets(nodes: frozenset[ir.Node]) -> Iterator[tuple[ir.Node, ...]]:
    ordered = sorted(nodes, key=lambda node: str(node.outputs[0].name))
    for size in range(len(ordered) + 1):
        yield from itertools.combinations(ordered, size)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_choice_is_faster(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all subsets of the operators, with random times."""
    monkeypatch.setattr(placement, "MARGIN", 1.0)
    rng = np.random.default_rng(seed)
    graph = random_graph(rng).graph
    able = frozenset(node for node in graph if rng.random() < 0.8)
    costs = random_costs(rng, graph, able)
    chosen = choose(graph, able, costs)
    best = min(time_of(graph, subset, costs) for subset in subsets(able))
    assert chosen <= able
    assert time_of(graph, chosen, costs) == pytest.approx(best, rel=1e-6)


def test_random_times_lead_to_mixed_choices_and_changes_of_layout() -> None:
    """Or the test above would say little."""
    kinds, moved = set(), 0
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        graph = random_graph(rng).graph
        able = frozenset(graph)
        costs = random_costs(rng, graph, able)
        found = choose(graph, able, costs)
        kinds.add((bool(found), len(found) == len(graph)))
        free = replace(costs, reorder=dict.fromkeys(costs.reorder, 0.0))
        moved += choose(graph, able, free) != found
    assert kinds >= {(True, False), (False, False)}
    assert moved > 0


def chain(text: str, **weights: np.ndarray[Any, Any]) -> ir.Graph:
    model = network("float[N,8,16,16] x => float[N,8,A,B] y", text, weights)
    return ir.from_proto(model).graph


FILTERS = {"w": normal(8, 8, 3, 3)}
POOLED = """
  a = Conv <pads = [1,1,1,1]> (x, w)
  b = {activation} (a)
  p = MaxPool <kernel_shape = [2,2], strides = [2,2]> (b)
  {behind}
"""


def test_layout_counts_between_convolutions_not_in_activations() -> None:
    graph = chain(POOLED.format(activation="Sigmoid", behind="y = Conv (p, w)"), **FILTERS)
    found = {str(path.value.name): path for path in paths(graph)}
    assert set(found) == {"x", "a", "p", "y"}
    assert [node.op_type for node in found["a"].readers] == ["MaxPool"]
    assert not found["a"].ends
    assert found["y"].ends


@pytest.mark.parametrize(
    ("activation", "behind", "expected"),
    [
        ("Relu", "y = Sigmoid (p)", True),
        ("Sigmoid", "y = Conv (p, w)", True),
        ("Sigmoid", "q = Sigmoid (p)\n y = Conv (q, w)", True),
        ("Sigmoid", "y = Sigmoid (p)", False),
        ("Exp", "y = Conv (p, w)", False),
    ],
)
def test_pooling_has_its_channels_last_near_integer_convolutions(
    activation: str, behind: str, expected: bool
) -> None:
    graph = chain(POOLED.format(activation=activation, behind=behind), **FILTERS)
    (pool,) = (node for node in graph if node.op_type == "MaxPool")
    assert is_channels_last(pool) is expected


def test_activations_of_the_dialect_take_any_layout() -> None:
    graph = chain(POOLED.format(activation="Sigmoid", behind="y = Conv (p, w)"), **FILTERS)
    node, pool = graph[1], graph[2]
    node.domain, node.op_type = "actc", "Activation"
    assert is_channels_last(pool)
    node.op_type = "LayerNorm"
    assert not is_channels_last(pool)


@pytest.mark.parametrize("computes", [False, True])
def test_codes_are_not_made_only_to_be_moved(computes: bool) -> None:
    """Moving bytes would pay for the quantizer."""
    body = "s = Sin (x)\na = Transpose <perm = [1,0,2]> (s)\nb = Transpose <perm = [0,2,1]> (a)\n"
    body += "c = Slice (b, zero, one)\n"
    body += "y = MatMul (c, w)" if computes else "y = Identity (c)"
    constants = {"zero": np.array([0]), "one": np.array([1]), "w": normal(64, 64)}
    model = network("float[64,64,64] x => float[1,64,64] y", body, constants)
    model = ir.from_proto(onnx.shape_inference.infer_shapes(model))
    able = frozenset(node for node in model.graph if node.op_type != "Sin")
    costs = placement.costs_of(model, able, 1)
    assert choose(model.graph, able, costs)
    assert bool(place(model, able).codes) is computes


def wide_net(batch: str) -> ir.Model:
    lines = "a = Conv <pads = [1,1,1,1]> (x, w)\ny = Conv <pads = [1,1,1,1]> (a, w)"
    shape = f"float[{batch},64,4,4]"
    model = network(f"{shape} x => {shape} y", lines, {"w": normal(64, 64, 3, 3)})
    return ir.from_proto(onnx.shape_inference.infer_shapes(model))


def test_an_open_batch_is_modelled_for_one_sample_and_for_many() -> None:
    opened, fixed = wide_net("N"), wide_net("16")
    found = place(opened, frozenset(opened.graph))
    assert [times.batch for times in found.times] == list(BATCHES)
    assert found.times[0].all_float < found.times[1].all_float
    (known,) = place(fixed, frozenset(fixed.graph)).times
    assert known.batch is None
    assert known.all_float == found.times[1].all_float


def test_a_note_names_the_batch_at_which_float_is_faster() -> None:
    times = (Modelled(1, 2e4, 1e4, 4e4), Modelled(16, 5e4, 1e5, 3e5))
    found = Placement(frozenset(), 7, times)
    (note,) = slower_than_float(found, "a.onnx", full=False)
    assert note.message == (
        "a.onnx will take 2.00 times as long as float at batch 1 in onnxruntime"
    )
    (full,) = slower_than_float(found, "a.onnx", full=True)
    assert "4.00 times as long as float at batch 1, 3.00 times" in full.message
    assert slower_than_float(Placement(frozenset(), 7, times[1:]), "a.onnx", full=False) == []


def conv(inputs: int, outputs: int, size: int, taps: int, group: int = 1) -> ir.Node:
    shape = (outputs, inputs // group, taps, taps)
    pad = taps // 2
    model = ir.from_proto(
        network(
            f"float[N,{inputs},{size},{size}] x => float[N,{outputs},{size},{size}] y",
            f"y = Conv <pads = [{pad},{pad},{pad},{pad}], group = {group}> (x, w)",
            {"w": normal(*shape)},
        )
    )
    (node,) = model.graph
    return node


def test_wide_convolutions_are_faster_on_integers_and_narrow_ones_in_float() -> None:
    for node in (conv(64, 64, 14, 3), conv(128, 128, 14, 1)):
        times = placement.times_of(node, True, 1, 16)
        assert times.codes < times.real / 2
    for node in (conv(1, 16, 28, 3), conv(64, 64, 14, 5, group=64)):
        times = placement.times_of(node, True, 1, 16)
        assert times.real < times.codes / 1.3


def test_unknown_axes_of_either_spelling_count_the_same() -> None:
    """Exporters leave a batch open by a name or by -1."""
    named = conv(8, 8, 4, 3).inputs[0]
    negative = conv(8, 8, 4, 3).inputs[0]
    assert named is not None
    assert negative is not None
    negative.shape = ir.Shape([-1, 8, 4, 4])
    assert times.elements(named, 3) == times.elements(negative, 3) == 3 * 8 * 4 * 4
