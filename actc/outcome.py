"""What a compilation found: report.json, report.html, certificates and manifest."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from actc.checks.binary import binary_report
from actc.checks.sites import site_errors
from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN
from actc.ir.islands import KEY
from actc.ir.sites import Site
from actc.materials import SBOM, bill_of_materials
from actc.measured import Measured
from actc.numerics.compare import Outputs, agreement, errors, top1
from actc.output import MANIFEST, file_hashes, write_json
from actc.pipeline import Pipeline, spelling
from actc.prepare import Prepared
from actc.provenance import versions
from actc.report import SiteCurve, render_html, render_timings
from actc.targets.base import Target

TIMINGS = "timings.js"
LOGS = "logs"
"""Name of folders with what tools printed, times among it."""
_SHOWN_BINS = 64
STAGES = ("float", "approximated", "golden", "artifact")


def build_report(
    prepared: Prepared,
    model: ir.Model,
    options: Any,
    machine: Target,
    pipeline: Pipeline,
    stages: Any,
    measured: Measured,
    directory: Path | None = None,
) -> dict[str, Any]:
    """The contents of report.json; nothing in it depends on time or place."""
    context = context_of(model)
    labels = prepared.dataset.labels
    accuracy = {
        stage: top1(measured.outputs[stage], labels) if stage in measured.outputs else None
        for stage in STAGES
    }
    _judge(accuracy, options.max_drop, context)
    sizes = _sizes(directory, stages, prepared, machine)
    int8 = options.precision == "int8" and "artifact" in measured.outputs
    return {
        "target": machine.spec,
        "precision": options.precision,
        "accuracy": accuracy,
        "bit_exact": True if int8 else None,
        "samples": measured.samples,
        "rungs": [dataclasses.asdict(rung) for rung in measured.rungs],
        "hardware": measured.hardware,
        "footprint": measured.footprint,
        "tuning": measured.tuning,
        "activations": [_activation(s) for s in context.sites.values() if not s.affine],
        "structures": _structures(model),
        "left_float": [
            {"node": node, "op": op, "reason": reason}
            for node, (op, reason) in context.left.items()
        ],
        "islands": list(context.facts.get("islands", {}).values()),
        "weights": _weights(context),
        "layers": list(context.facts.get("layers", {}).values()),
        "allocation": context.facts.get("allocation"),
        "binary": _binary(context, model, prepared, options.precision, bool(measured.outputs)),
        "bytes": sizes["artifact"],
        "seconds": None,
        "diagnostics": [d.to_json() for d in context.sink.items],
        "model": _model(prepared),
        "data": {
            "synthetic": prepared.dataset.synthetic,
            "labels": labels is not None,
            "samples": prepared.dataset.samples,
        },
        "sizes": sizes,
        "operators": _operators(model),
        "outputs": _output_errors(measured.outputs),
        "sites_error": _site_rows(context, prepared, measured),
        "options": {**dataclasses.asdict(options), "target": machine.spec},
        "versions": versions(machine),
        "passes": [spelling(step) for step in pipeline.passes],
    }


def _judge(accuracy: dict[str, float | None], max_drop: float, context: Context) -> None:
    known = [found for found in map(accuracy.get, STAGES) if found is not None]
    before, after = accuracy["float"], known[-1] if known else None
    if before is None or after is None or before - after <= max_drop + 1e-12:
        return
    context.sink.add(
        Diagnostic(
            "ACT0601",
            f"accuracy drops by {before - after:.4f}, more than the budget of {max_drop:g}",
            place=Place(context.file),
            notes=(f"float {before:.4f}, compiled {after:.4f}",),
            help="try --calibration mse or percentile, more calibration data, or --max-drop",
        )
    )


def _activation(site: Site) -> dict[str, Any]:
    hidden = ("pwl", "clamp")
    details = {key: value for key, value in site.details.items() if key not in hidden}
    return {
        "id": site.id,
        "function": site.label,
        "form": site.form,
        "nodes": list(site.nodes),
        "input": site.input,
        "output": site.output,
        "channels": site.function.channels,
        "max_error": None,
        **details,
    }


_STRUCTURES = {
    "IntSoftmax": ("Softmax", "exponentials from a table, one exact division"),
    "IntProbabilities": ("Softmax", "exponentials from a table, one integer division"),
    "IntMaskedSoftmax": ("Softmax with a mask", "exponentials from a table, one exact division"),
    "IntLayerNorm": ("LayerNorm", "integer sums, one square root and one division"),
    "IntLogSoftmax": ("LogSoftmax", "exponentials and a logarithm from tables"),
    "IntRmsNorm": ("RMSNorm", "an integer sum, one square root and one division"),
    "InstanceSteps": ("threshold of the sample", "integer sums of powers, exact"),
    "IntHypot": ("magnitude", "an exact sum of squares, one square root"),
    "IntLstm": ("LSTM", "integer gates from tables, a fixed-point cell"),
    "IntGru": ("GRU", "integer gates from tables"),
    "IntGruResetBefore": ("GRU", "integer gates from tables"),
    "IntRnn": ("RNN", "an integer state from a table"),
}


def _structures(model: ir.Model) -> list[dict[str, str]]:
    """Functions of several values in a golden model, and how they are computed."""
    rows = []
    for node in model.graph:
        if node.domain == DOMAIN and node.op_type in _STRUCTURES:
            function, form = _STRUCTURES[node.op_type]
            rows.append({"node": str(node.name), "function": function, "form": form})
    return rows


def _weights(context: Context) -> dict[str, Any] | None:
    """The formats of integer weights, and the bytes that the codes take when packed."""
    layers = context.facts.get("layers", {}).values()
    if not layers:
        return None
    formats = list(dict.fromkeys(layer["bits"] for layer in layers))
    return {"bits": formats, "bytes": sum(layer["bytes"] for layer in layers)}


def _binary(
    context: Context, model: ir.Model, prepared: Prepared, precision: str, runs: bool
) -> dict[str, Any] | None:
    """Binary layers; their bits are compared with the float network's where stages have run."""
    if precision != "int8":
        return None
    found: dict[str, Any] | None = binary_report(model, context, prepared.dataset if runs else None)
    return found


def _sizes(
    directory: Path | None, stages: Any, prepared: Prepared, machine: Target
) -> dict[str, int | None]:
    def size(name: str) -> int | None:
        path = directory / name if directory is not None else None
        return path.stat().st_size if path is not None and path.is_file() else None

    built = 0
    for pattern in machine.capabilities().products:
        # folders hold what the artefact was made from
        if directory is not None and not pattern.endswith("/"):
            built += sum(path.stat().st_size for path in directory.glob(pattern))
    golden = size("golden.onnx")
    artifact = golden if machine.name == "onnx" else built
    return {
        "float": prepared.source.size,
        "approximated": size("approximated.onnx"),
        "golden": golden,
        "artifact": artifact,
    }


def _model(prepared: Prepared) -> dict[str, Any]:
    graph = prepared.source.proto.graph
    return {
        "name": prepared.source.name,
        "sha256": prepared.source.sha256,
        "bytes": prepared.source.size,
        "opset": prepared.source.opset,
        "inputs": [
            {"name": name, "shape": ["N", *array.shape[1:]], "dtype": str(array.dtype)}
            for name, array in prepared.dataset.inputs.items()
        ],
        "outputs": [
            {
                "name": value.name,
                "shape": [
                    d.dim_value or d.dim_param or "?" for d in value.type.tensor_type.shape.dim
                ],
                "dtype": onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower(),
            }
            for value in graph.output
        ],
    }


_ONE_DIVISION = ("IntMaskedSoftmax", "IntSoftmax")
"""Operators on integers whose result is the quotient itself."""


_REAL = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def _operators(model: ir.Model) -> dict[str, int]:
    """Integer and float operators between the quantizers of the final model."""
    edges = ("QuantizeLinear", "DequantizeLinear")
    counts = {"integer": 0, "float": 0}
    for node in model.graph:
        if node.op_type not in edges:
            is_float = any(value.dtype in _REAL for value in node.outputs)
            is_float = is_float and node.op_type not in _ONE_DIVISION
            counts["float" if is_float or KEY in node.metadata_props else "integer"] += 1
    return counts


def _output_errors(outputs: dict[str, Outputs]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for stage in STAGES[1:]:
        for name, array in outputs.get(stage, {}).items():
            reference = outputs["float"][name]
            same_class = agreement(reference, array)
            row = {"name": name, "stage": stage, **errors(reference, array)}
            rows.append({**row, "top1_agreement": same_class})
    return rows


def _site_rows(context: Context, prepared: Prepared, measured: Measured) -> list[dict[str, Any]]:
    if measured.golden is None or measured.normalized is None:
        return []
    names: Any = context.facts.get("golden", {})
    sites = {s.id: s.output for s in context.sites.values() if not s.affine}
    golden = ir.to_proto(measured.golden)
    return site_errors(measured.normalized, golden, sites, names, prepared.dataset)


def write_documents(
    directory: Path,
    report: dict[str, Any],
    prepared: Prepared,
    model: ir.Model,
    machine: Target,
    seconds: dict[str, float],
    inputs: dict[str, Any],
) -> None:
    """Write report.json, report.html, certificates.json, sbom.json, timings.js, manifest.json.

    Args:
        inputs: what the manifest says about them, of `actc.provenance.inputs_of`.
    """
    context = context_of(model)
    write_json(directory / "report.json", report)
    (directory / "report.html").write_text(
        render_html(report, curves(context), TIMINGS), encoding="utf-8"
    )
    write_json(directory / "certificates.json", _certificates(context))
    (directory / TIMINGS).write_text(render_timings(seconds), encoding="utf-8")
    source = prepared.source
    write_json(directory / SBOM, bill_of_materials(directory, machine, source.name, source.sha256))
    logs = [LOGS] if any(directory.rglob(LOGS)) else []
    manifest = {
        "actc": report["versions"]["actc"],
        "target": machine.spec,
        "input": {"name": source.name, "sha256": source.sha256},
        "options": report["options"],
        **inputs,
        "passes": report["passes"],
        "versions": report["versions"],
        "files": file_hashes(directory, frozenset({TIMINGS, MANIFEST, LOGS})),
        "not_reproducible": [TIMINGS, *logs],
    }
    write_json(directory / MANIFEST, manifest)


def _certificates(context: Context) -> dict[str, Any]:
    rows = [
        {"id": s.id, "function": s.label, "form": s.form, "certificate": s.certificate}
        for s in context.sites.values()
        if s.certificate is not None
    ]
    return {"version": 1, "certificates": rows}


def curves(context: Context) -> dict[str, list[SiteCurve]]:
    """What the report plots: site id -> one curve per channel shown."""
    found = {}
    for site in context.sites.values():
        if not site.affine:
            found[site.id] = _curves(site, context)
    return found


def _curves(site: Site, context: Context) -> list[SiteCurve]:
    histogram = context.ranges.get(site.input)
    shown = None
    finite = histogram is not None and np.isfinite([histogram.low, histogram.high]).all()
    if histogram is not None and finite and site.form != "rows":
        counts = histogram.counts.reshape(_SHOWN_BINS, -1).sum(axis=1).astype(np.float64)
        shown = (counts, np.linspace(histogram.low, histogram.high, _SHOWN_BINS + 1))
    series = site.curves or [_sampled(site)]
    labels = [""] if site.function.channels == 1 else [f"curve {k + 1}" for k in range(len(series))]
    return [
        SiteCurve(x, original, approximation, shown, None, label)
        for (x, original, approximation), label in zip(series, labels, strict=False)
        if len(x) >= 2
    ]


def _sampled(site: Site) -> tuple[Any, Any, Any]:
    low, high = site.details.get("input_range", [-8.0, 8.0])
    x = np.linspace(low, high if high > low else low + 1.0, 513)
    y = site.function(x)
    replaced = site.effective(x)
    if y.ndim == 2:
        y = y[:, 0]
    return x, y, replaced[:, 0] if replaced.ndim == 2 else replaced
