"""How well the errors of single roundings predict the error of the whole network.

Compiles the example networks (with `--models ppocr` PP-OCR's direction classifier, where
the package rapidocr is installed) with different bits and compares the relative RMS error of the
outputs, measured with all roundings, with what the roundings cause one by one. With
`--choices`, chooses mixed bits for budgets instead and compares predicted with measured
errors: of what is chosen, and of random choices near it.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import actc
from actc.allocation import parse_budget
from actc.allocation.bytes import memory
from actc.allocation.candidates import Candidates
from actc.allocation.choose import Chooser
from actc.allocation.local import Local, linearize
from actc.allocation.options import Table, tabulate
from actc.compiler import default_pipeline
from actc.errors import UsageError
from actc.overrides import checked
from actc.prepare import prepare
from actc.sensitivity import Reference, measure
from actc.sensitivity.opening import open_simulation

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / ".cache" / "models"))

EXAMPLES = {
    "digits/cnn": "digits/digits",
    "digits/mlp": "digits/digits_mlp",
    "mnist/cnn_hardswish": "mnist/mnist",
    "mnist/cnn_silu": "mnist/mnist",
    "mnist/lstm": "mnist/mnist",
    "mnist/mlp": "mnist/mnist",
    "mnist/vit": "mnist/mnist",
}
OPTIONS = (("8", "8"), ("mixed", "8"), ("8", "4"), ("6", "8"), ("4", "8"))
CALIBRATION, MANY = 128, 512
BUDGETS = (0.02, 0.05, 0.1)
NEIGHBOURS, MOST_CHANGES = 30, 5
USEFUL = 0.13
"""Relative RMS errors beyond which no one would go."""


def network(name: str, samples: int = CALIBRATION) -> tuple[Path, dict[str, Any]] | None:
    """A model and its data; None when its package is not installed."""
    if name == "ppocr":
        from realmodels import ppocr

        path = ppocr.model_path()
        return None if path is None else (path, ppocr.make_data(CALIBRATION, 0))
    path = ROOT / "examples" / f"{name}.onnx"
    with np.load(ROOT / "examples" / f"{EXAMPLES[name]}.npz") as archive:
        arrays = {key: archive[key] for key in archive.files}
    for value in onnx.load(path).graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim][1:]
        arrays[value.name] = arrays[value.name].reshape(-1, *shape)
    return path, {key: array[:samples] for key, array in arrays.items()}


def row(name: str, activations: str, weights: str, samples: int) -> str | None:
    """One line of the table."""
    found = network(name)
    if found is None:
        return None
    path, data = found
    with tempfile.TemporaryDirectory() as folder:
        artifact = actc.compile(
            path,
            "onnx",
            data=data,
            output=Path(folder) / "out",
            activations=activations,
            weights=weights,
            max_drop=1.0,
        )
        assert artifact.path is not None
        opened = open_simulation(artifact.path, data)
        reference = Reference(opened.simulation, opened.dataset.take(samples))
        alone = measure(reference, opened.sites, opened.setting)
        behind = measure(reference, opened.sites, opened.setting, behind=True)
    (golden, *_) = [o for o in artifact.report["outputs"] if o["stage"] == "golden"]
    return (
        f"| {name} | {activations} | {weights} | {len(opened.sites)} "
        f"| {golden['rms'] / golden['reference_rms']:.4f} | {alone.measured:.4f} "
        f"| {_off(alone.predicted, alone.measured)} | {_off(alone.independent, alone.measured)} "
        f"| {_off(behind.independent, behind.measured)} |"
    )


def choices(name: str) -> Iterator[str]:
    """Lines of the table of choices: one per budget."""
    found = network(name, MANY)
    assert found is not None
    path, data = found
    prepared, none = prepare(path, data), checked(None)
    pipeline = default_pipeline("int8", "auto", "minmax")
    candidates = Candidates(prepared, pipeline, none, _silent, [], tensors=True, widest=16)
    table = tabulate(candidates, none, prepared.dataset, _silent)
    costs = memory(table, tensors=True)
    for amount in BUDGETS:
        start = _seconds()
        chooser = Chooser(table, parse_budget(f"rms={amount}"), costs, prepared.dataset, _silent)
        try:
            best = chooser.choose()
        except UsageError as error:
            (note,) = error.diagnostics[0].notes
            yield f"| {name} | {amount} | cannot be met: {note.split()[-1]} | | | | |"
            continue
        seconds = _seconds() - start
        around = linearize(table, best.chosen, _silent, "")
        off = np.abs(list(_near(table, around)))
        yield (
            f"| {name} | {amount} | {best.predicted:.4f} | {best.measured:.4f} "
            f"({_off(best.predicted, best.measured)}) | {best.changes or 'alone'} "
            f"| {100 * np.median(off):.1f}% / "
            f"{100 * np.quantile(off, 0.9):.1f}%, {100 * np.mean(off <= 0.05):.0f} of 100 "
            f"| {seconds:.0f} s |"
        )


def _near(table: Table, around: Local) -> Iterator[float]:
    """Relative errors of predictions for random choices, two to five sites changed."""
    generator = np.random.default_rng(0)
    free = [i for i, known in enumerate(around.changes) if len(known) > 1]
    for _ in range(NEIGHBOURS):
        chosen = list(around.centre)
        count = int(generator.integers(2, min(MOST_CHANGES, len(free)) + 1))
        for i in generator.choice(free, count, replace=False):
            others = [o for o in around.changes[i] if o != chosen[i]]
            chosen[i] = int(generator.choice(others))
        measured = math.sqrt(table.reference.error(table.switches(chosen)))
        if measured <= USEFUL:
            yield math.sqrt(around.predict(chosen)) / measured - 1


def _silent(line: str) -> None:
    del line


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _off(predicted: float, measured: float) -> str:
    return f"{100 * (predicted / measured - 1):+.1f}%"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=[*EXAMPLES], help="also: ppocr (minutes)")
    parser.add_argument("--samples", type=int, default=64, help="samples that are simulated")
    parser.add_argument("--choices", action="store_true", help="mixed bits under budgets")
    given = parser.parse_args()
    if given.choices:
        print(
            "| network | budget | predicted | measured | from "
            "| near it: median / 90th, within 5 | CPU |"
        )
        print("|---|---|---|---|---|---|---|")
        for name in given.models:
            for text in choices(name):
                print(text, flush=True)
        return
    print("| network | tensors | weights | sites | golden | simulated | sum | squares | behind |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in given.models:
        for activations, weights in OPTIONS:
            line = row(name, activations, weights, given.samples)
            if line is None:
                print(f"{name}: not installed", file=sys.stderr)
                break
            print(line, flush=True)


if __name__ == "__main__":
    main()
