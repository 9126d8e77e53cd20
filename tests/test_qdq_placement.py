"""The choice of operators on integers is the fastest one, by the model of times."""

from __future__ import annotations

import itertools
import math

import numpy as np
import onnx_ir as ir
import pytest
from models import network, normal

from actc.targets.onnx import placement
from actc.targets.onnx.placement import place, time_of
from actc.targets.onnx.times import Times

SEEDS = range(40)


def random_graph(rng: np.random.Generator) -> ir.Model:
    """Sums of earlier values; some values are read several times, some are outputs too."""
    values, lines = ["x"], []
    for index in range(int(rng.integers(3, 9))):
        a, b = rng.choice(values, 2)
        lines.append(f"v{index} = Add ({a}, {b})")
        values.append(f"v{index}")
    outputs = sorted({values[-1], str(rng.choice(values[1:]))})
    shown = ", ".join(f"float[2,4] {name}" for name in outputs)
    return ir.from_proto(network(f"float[2,4] x => {shown}", "\n".join(lines)))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_choice_is_faster(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against all subsets of the operators, with random times."""
    rng = np.random.default_rng(seed)
    model = random_graph(rng)
    nodes = list(model.graph)
    able = frozenset(node for node in nodes if rng.random() < 0.8)
    times = {
        node: Times(
            float(rng.uniform(0, 900)), float(rng.uniform(0, 900)) if node in able else math.inf
        )
        for node in nodes
    }
    costs = {str(v.name): float(rng.uniform(0, 500)) for v in placement._values(model.graph)}
    monkeypatch.setattr(placement, "MARGIN", 1.0)
    monkeypatch.setattr(placement, "_times", lambda model, node, able: times[node])
    monkeypatch.setattr(placement, "crossing", lambda value, each: costs[str(value.name)])
    chosen = place(model, able)
    best = min(
        time_of(model.graph, subset, times)
        for size in range(len(able) + 1)
        for subset in itertools.combinations(
            sorted(able, key=lambda n: str(n.outputs[0].name)), size
        )
    )
    assert chosen.codes <= able
    assert chosen.nanoseconds == pytest.approx(best, rel=1e-6)
    assert chosen.nanoseconds <= min(chosen.all_float, chosen.all_codes) * (1 + 1e-6)


def test_random_times_lead_to_mixed_choices() -> None:
    """Or the test above would say little."""
    kinds = set()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        model = random_graph(rng)
        with pytest.MonkeyPatch.context() as patch:
            drawn = {n: Times(*rng.uniform(0, 900, 2).tolist()) for n in model.graph}
            patch.setattr(placement, "_times", lambda m, node, able, drawn=drawn: drawn[node])
            patch.setattr(placement, "crossing", lambda value, each: 200.0)
            found = place(model, frozenset(model.graph))
        kinds.add((bool(found.codes), len(found.codes) == found.operators))
    assert kinds >= {(True, False), (False, False)}


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
        times = placement.times_of(node, True, 1)
        assert times.codes < times.real / 2
    for node in (conv(1, 16, 28, 3), conv(64, 64, 14, 5, group=64)):
        times = placement.times_of(node, True, 1)
        assert times.real < times.codes / 1.3


def test_unknown_axes_of_either_spelling_count_the_same() -> None:
    """Exporters leave a batch open by a name or by -1."""
    named = conv(8, 8, 4, 3).inputs[0]
    negative = conv(8, 8, 4, 3).inputs[0]
    assert named is not None
    assert negative is not None
    negative.shape = ir.Shape([-1, 8, 4, 4])
    assert placement.crossing(named, 1.0) == placement.crossing(negative, 1.0) > 0
