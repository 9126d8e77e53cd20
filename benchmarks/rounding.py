"""What integer weights cost by themselves, on data that no choice has seen.

    python benchmarks/rounding.py silero digits-cnn --bits 4 2 --groups 16

Networks and data are those of benchmarks/accuracy.py. All activations stay float: the
weights that pass `weights` chooses on the calibration samples take the place of the
float ones, and the evaluation samples tell the task's metrics and the RMS distance of
the outputs to the float network's, over their deviation.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
from onnx import numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from contestants import relative_distance, session_run
from tasks.base import DOWNLOADS
from tasks.every import TASKS

from actc.compiler import default_pipeline
from actc.ir.context import context_of
from actc.ir.dialect import add_bodies
from actc.numerics.weights import SPELLINGS, QuantizedWeights
from actc.passes.linear_layers import LinearLayer, linear_layers
from actc.passes.substitutes import substitute
from actc.passes.weights import QuantizeWeights
from actc.pipeline import Pipeline, pass_name
from actc.prepare import prepare

QUICK_BATCHES = 40


def main() -> None:
    """Print a row per network, bits and way to round."""
    sys.path.append(str(DOWNLOADS / "packages"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", choices=list(TASKS), metavar="MODEL")
    parser.add_argument("--bits", nargs="+", default=["4", "2"], choices=SPELLINGS, metavar="BITS")
    parser.add_argument("--groups", type=int, default=16, metavar="N", help="default: 16")
    options = parser.parse_args()
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            for row in rows(name, Path(folder), options.bits, options.groups):
                print(row, flush=True)


def rows(name: str, folder: Path, bits: list[str], groups: int) -> Iterator[str]:
    """Measure one network."""
    task = TASKS[name]
    source = task.model(folder)
    evaluation = task.evaluation(True)
    exact = session_run(source)
    reference = task.predict(exact, evaluation.feeds)
    ready = prepare(source, task.calibration(task.samples)).model
    steps = default_pipeline("int8", "auto", "minmax", "mixed").passes
    last = [pass_name(step) for step in steps].index("quantize") + 1
    model = Pipeline(steps[:last]).run(ready)
    add_bodies(model)
    ways: list[dict[str, Any]] = [{"rounding": "optimal"}, {}, {"groups": groups}]
    for text in bits:
        for way in ways:
            QuantizeWeights(bits=text, **way)(model)
            facts = context_of(model).facts
            path = folder / "rounded.onnx"
            onnx.save(rounded(model, facts["weights"]), path)
            run = session_run(path)
            found = task.metrics(task.predict(run, evaluation.feeds), reference, evaluation.truth)
            distance = relative_distance(run, exact, evaluation.feeds[:QUICK_BATCHES])
            size = sum(row["bytes"] for row in facts["layers"].values())
            shown = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
            options = ", ".join(f"{key} {value}" for key, value in way.items())
            how = f"{name}: {text} bits, {options or 'sequential'}"
            yield f"{how}: {size} bytes, {shown}, rms {distance:.4f}"


def rounded(model: ir.Model, chosen: Mapping[str, QuantizedWeights]) -> onnx.ModelProto:
    """The float model with the weights that the integers stand for."""
    by_node: dict[str, list[LinearLayer]] = {}
    for layer in linear_layers(model):
        by_node.setdefault(str(layer.node.name), []).append(layer)
    proto = ir.to_proto(model)
    nodes: list[Any] = []
    for node in proto.graph.node:
        if node.name not in by_node:
            nodes.append(node)
            continue
        found = substitute(node, by_node[node.name], chosen)
        nodes += found.nodes
        for name, array in found.constants.items():
            proto.graph.initializer.append(numpy_helper.from_array(array, name))
    graph = onnx.GraphProto()
    graph.node.extend(nodes)
    del proto.graph.node[:]
    proto.graph.node.extend(graph.node)
    return proto


if __name__ == "__main__":
    main()
