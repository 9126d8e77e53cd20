"""Bounds of a compiled model beside what its data shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from actc.artifact import open_artifact
from actc.bounds.proof import Bound, Box, Network, data_box, format_box, network_of, prove
from actc.checks.stages import run_model
from actc.data import DataLike, Dataset
from actc.diagnostics import Diagnostic, Place
from actc.errors import InternalError, UsageError
from actc.prepare import prepare
from actc.sensitivity.record import golden_names, rebuild

Array = np.ndarray[Any, Any]
Row = dict[str, Any]

REGIONS = {
    "format": "every input that the quantizers of the inputs represent (values outside saturate)",
    "data": "every input between the least and the largest value of each element on the data",
}
"""What a bound may hold for."""


def bound_outputs(directory: str | Path, data: DataLike, region: str = "format") -> dict[str, Any]:
    """Prove how far golden's outputs may be from the float model's, for every input of a region.

    Args:
        directory: what `actc.compile` wrote.
        data: as for `actc.compile`; what golden differs by on it is measured too.
        region: a key of :data:`REGIONS`.

    Returns:
        JSON-ready: ``region``; ``holds_for``, a sentence; ``inputs`` (name, low, high: of
        all elements, and outside: samples that leave the region); ``outputs`` (name,
        bound: of the largest |float - golden| of all elements; index, of that element;
        measured: largest on the samples within the region, None without any; reach:
        largest |float| on the data; layers: name, share of the bound by interval
        arithmetic, and how it splits into weights, rounding and saturation); ``symbols``
        and ``seconds``, what it took.

    Raises:
        UsageError: ACT0204, no such directory; ACT0221, the data does not fit; ACT0233,
            the model cannot be rebuilt; ACT0366, operators that are not covered; ACT0367,
            the network is too large; ACT0368, no such region.
        InternalError: ACT0901, a sample exceeds the bound.
    """
    if region not in REGIONS:
        known = ", ".join(REGIONS)
        message = f"unknown region '{region}'"
        raise UsageError(Diagnostic("ACT0368", message, help=f"known regions: {known}"))
    network, dataset, models = _opened(directory, data)
    boxes = {
        name: data_box(dataset.inputs[name].astype(np.float64))
        if region == "data"
        else format_box(network.formats[name], network.inputs[name])
        for name in network.inputs
        if name in network.formats
    }
    proof = prove(network, boxes)
    inside = _inside(dataset, boxes)
    floats, golden = (run_model(model, dataset) for model in models)
    rows = []
    for bound in proof.bounds:
        reference = floats[bound.name].astype(np.float64)
        rows.append(_row(bound, reference, golden[bound.name] - reference, inside, directory))
    return {
        "region": region,
        "holds_for": REGIONS[region],
        "inputs": [
            {
                "name": name,
                "low": float(low.min()),
                "high": float(high.max()),
                "outside": int((~_within(dataset.inputs[name], low, high)).sum()),
            }
            for name, (low, high) in boxes.items()
        ],
        "outputs": rows,
        "symbols": proof.symbols,
        "seconds": proof.seconds,
    }


def _opened(
    directory: str | Path, data: DataLike
) -> tuple[Network, Dataset, tuple[onnx.ModelProto, onnx.ModelProto]]:
    artifact = open_artifact(directory)
    assert artifact.path is not None
    if artifact.report["precision"] != "int8":
        raise UsageError(
            Diagnostic(
                "ACT0233",
                "a float32 model has no integers whose errors could be bounded",
                place=Place(str(directory)),
                help="compile it with --precision int8",
            )
        )
    prepared = prepare(artifact.path / "float.onnx", data)
    model, context, _ = rebuild(artifact.path, prepared, list(artifact.report["passes"]))
    names = golden_names(artifact.path)
    golden = onnx.load(artifact.path / "golden.onnx")
    network = network_of(model, context.sites, golden, names, directory)
    return network, prepared.dataset, (prepared.source.proto, golden)


def _within(array: Array, low: Array, high: Array) -> Array:
    flat = array.reshape(len(array), -1)
    return np.asarray(((flat >= low) & (flat <= high)).all(axis=1))


def _inside(dataset: Dataset, boxes: dict[str, Box]) -> Array:
    """Which samples are in the region."""
    found = [_within(dataset.inputs[name], *box) for name, box in boxes.items()]
    return np.asarray(np.all(found, axis=0))


def _row(bound: Bound, reference: Array, apart: Array, inside: Array, place: str | Path) -> Row:
    apart = np.abs(apart).reshape(len(apart), -1)
    flat = apart[inside]
    if np.any(flat > bound.largest):
        raise InternalError(
            Diagnostic(
                "ACT0901",
                f"golden differs from float by {flat.max():g} at output '{bound.name}', more "
                "than the bound",
                place=Place(str(place)),
            )
        )
    worst = int(bound.largest.argmax())
    largest = float(bound.largest[worst])
    return {
        "name": bound.name,
        "bound": largest,
        "index": [int(i) for i in np.unravel_index(worst, bound.shape)[1:]],
        "measured": float(flat.max()) if flat.size else None,
        "reach": float(np.abs(reference).max()),
        "layers": _layers(bound, worst),
    }


def _layers(bound: Bound, index: int) -> list[Row]:
    """Contributions to one number, each a share of the sum of all."""
    total = sum(float(share[index]) for share in bound.shares.values())
    rows: dict[str, Row] = {}
    for (layer, kind), share in bound.shares.items():
        row = rows.setdefault(
            layer, {"name": layer or None, "share": 0.0, "weights": 0.0, "rounding": 0.0,
                    "saturation": 0.0}
        )  # fmt: skip
        part = float(share[index]) / total if total else 0.0
        row["share"] += part
        row[kind] += part
    return sorted(rows.values(), key=lambda row: -row["share"])
