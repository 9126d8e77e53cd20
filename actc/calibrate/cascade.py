"""A float network and its partly quantized copy, side by side, one level of layers at a time.

The level of a layer is the number of layers on the longest path to it. What stands
between two levels runs once, on what the level before has left: so both networks run
once over the data in all, however many levels there are. The values that later levels
read are kept for all samples; as many samples take part as memory allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from actc.calibrate.moments import Reading, paired_moments
from actc.data import Dataset
from actc.ir.execute import Session
from actc.numerics.weights import PairedMoments

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]

MEMORY = 2**30
"""Bytes of values kept between two levels, of both networks together."""


@dataclass(frozen=True, eq=False, slots=True)
class Substitute:
    """What stands for a layer in the quantized network.

    Attributes:
        nodes: instead of the layer's node, with the same outputs.
        constants: that they read, by name.
    """

    nodes: Sequence[onnx.NodeProto]
    constants: Mapping[str, Array]


@dataclass(slots=True)
class _Batch:
    """Values of one batch that later levels read.

    Attributes:
        real: samples that are no repetition.
        fed: samples.
        exact, quantized: in the two networks.
    """

    real: int
    fed: int
    exact: Feeds
    quantized: Feeds

    def read(self, reading: Reading, change: Callable[[Array], Array] | None) -> Feeds:
        """The quantized network's values with what is read changed."""
        if change is None:
            return self.quantized
        return {**self.quantized, reading.value: change(self.quantized[reading.value])}


class Cascade:
    """Runs the networks level by level.

    Attributes:
        levels: names of the layers' nodes, by level.
        samples: how many take part.

    Args:
        model: a float model that onnxruntime runs.
        layers: names of the nodes that are layers.
        dataset: calibration samples.
        batch: samples per run (when the model's batch is dynamic).
        memory: bytes of values kept at a time; at least one batch is.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        layers: Sequence[str],
        dataset: Dataset,
        batch: int = 16,
        memory: int = MEMORY,
    ) -> None:
        self._model = model
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._stages, self.levels = _stages(model.graph, set(layers))
        self._substitutes: dict[str, Substitute] = {}
        self._level = 0
        feeds = list(dataset.batches(batch))[: self._affordable(dataset, batch, memory)]
        self.samples = sum(real for _, real in feeds)
        self._batches = [
            _Batch(real, len(next(iter(given.values()))), dict(given), dict(given))
            for given, real in feeds
        ]

    def substitute(self, name: str, what: Substitute) -> None:
        """Let something else stand for a layer of the current level in the quantized network."""
        self._substitutes[name] = what

    def advance(self) -> list[str]:
        """Run both networks up to the next level; the names of its layers, none at the end."""
        if self._level == len(self.levels):
            return []
        nodes = self._stages[self._level]
        exact = self._segment(nodes, {})
        quantized = self._segment(nodes, self._substitutes) if self._level else exact
        for batch in self._batches:
            batch.exact = exact.run(batch.exact)
            batch.quantized = quantized.run(batch.quantized) if self._level else dict(batch.exact)
        self._substitutes.clear()
        self._level += 1
        return self.levels[self._level - 1]

    def moments(
        self,
        readings: Sequence[Reading],
        changed: Mapping[str, Callable[[Array], Array]] | None = None,
    ) -> Iterator[tuple[Reading, PairedMoments]]:
        """Moments of what layers of the current level read, each distinct reading once.

        Args:
            readings: what to observe.
            changed: value name -> what layers of the quantized network read in its place.
        """
        for reading in dict.fromkeys(readings):
            change = (changed or {}).get(reading.value)
            pairs = ((b.exact, b.read(reading, change), b.fed, b.real) for b in self._batches)
            yield reading, paired_moments(reading, pairs, self.samples)

    def values(self, name: str) -> Array:
        """What a value of the current level is in the quantized network, [samples, ...].

        Of samples of varying shape: each flattened, in one row.
        """
        parts = [b.quantized[name][: b.real] for b in self._batches]
        if len({part.shape[1:] for part in parts}) > 1:
            parts = [part.reshape(1, -1) for part in parts]
            return np.concatenate(parts, axis=1)
        return np.concatenate(parts)

    def _segment(
        self, nodes: Sequence[onnx.NodeProto], substitutes: Mapping[str, Substitute]
    ) -> _Segment:
        """The part of a network between two levels."""
        constants, inside = dict(self._constants), list[onnx.NodeProto]()
        for node in nodes:
            found = substitutes.get(node.name)
            inside += [node] if found is None else found.nodes
            if found is not None:
                for name, array in found.constants.items():
                    constants[name] = onnx.numpy_helper.from_array(array, name)
        return _Segment(self._model, inside, constants, self._kept(self._level))

    def _kept(self, level: int) -> list[str]:
        """Names of the values that stand before `level` and are read at it or behind."""
        later = {n for stage in self._stages[level + 1 :] for node in stage for n in reads(node)}
        before = [name for stage in self._stages[: level + 1] for node in stage
                  for name in node.output]  # fmt: skip
        given = [value.name for value in self._model.graph.input]
        return [name for name in (*given, *before) if name in later]

    def _affordable(self, dataset: Dataset, batch: int, memory: int) -> int:
        """Batches whose values fit in `memory` between any two levels."""
        kept = [self._kept(level) for level in range(len(self.levels))]
        given = {value.name for value in self._model.graph.input}
        wanted = list(dict.fromkeys(n for names in kept for n in names if n not in given))
        feeds, _ = next(iter(dataset.batches(batch)))
        found = dict(feeds)
        if wanted:
            found.update(Session(self._model, wanted).run(feeds))
        most = max((sum(found[n].nbytes for n in names) for names in kept), default=0)
        return max(1, memory // max(1, 2 * most))


class _Segment:
    """A piece of a network; it takes the values kept so far and gives those to be kept."""

    def __init__(
        self,
        model: onnx.ModelProto,
        nodes: Sequence[onnx.NodeProto],
        constants: Mapping[str, onnx.TensorProto],
        kept: Sequence[str],
    ) -> None:
        self._model, self._nodes, self._constants, self._kept = model, nodes, constants, kept
        made = {name for node in nodes for name in node.output if name}
        read = dict.fromkeys(name for node in nodes for name in reads(node))
        self._inputs = [name for name in read if name not in made and name not in constants]
        self._outputs = [name for name in kept if name in made]
        self._used = [constants[name] for name in read if name in constants and name not in made]
        self._session: Session | None = None

    def run(self, values: Feeds) -> Feeds:
        """Run one batch."""
        feeds = {name: values[name] for name in self._inputs if name in values}
        if self._outputs and self._session is None:
            self._session = Session(self._proto(feeds), self._outputs)
        found = self._session.run(feeds) if self._session is not None else {}
        return {name: found[name] if name in found else values[name] for name in self._kept}

    def _proto(self, feeds: Feeds) -> onnx.ModelProto:
        proto = onnx.ModelProto()
        proto.CopyFrom(_without_graph(self._model))
        inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim
            )
            for name, array in feeds.items()
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in self._outputs]
        graph = onnx.helper.make_graph(self._nodes, "segment", inputs, outputs, self._used)
        proto.graph.CopyFrom(graph)
        return proto


def reads(node: onnx.NodeProto) -> list[str]:
    """Names of what a node reads, also inside of its branches and bodies."""
    found = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            found += [name for inner in graph.node for name in reads(inner)]
            found += [value.name for value in graph.output]
    return found


def _without_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto(
        ir_version=model.ir_version,
        opset_import=model.opset_import,
        functions=model.functions,
        domain=model.domain,
    )


def _stages(
    graph: onnx.GraphProto, layers: set[str]
) -> tuple[list[list[onnx.NodeProto]], list[list[str]]]:
    """Nodes by the number of layers on the longest path up to and with them; the layers by it."""
    depth: dict[str, int] = {}
    stages: dict[int, list[onnx.NodeProto]] = {0: []}
    levels: dict[int, list[str]] = {}
    for node in graph.node:
        found = max((depth.get(name, 0) for name in reads(node)), default=0)
        if node.name in layers:
            found += 1
            levels.setdefault(found, []).append(node.name)
        stages.setdefault(found, []).append(node)
        depth.update(dict.fromkeys(node.output, found))
    return [stages[key] for key in sorted(stages)], [levels[key] for key in sorted(levels)]
