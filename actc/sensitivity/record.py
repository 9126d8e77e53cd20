"""formats.json: what rebuilds the quantized model behind a golden one.

The float graph is rebuilt from float.onnx by the same passes, and integer weights are
read from golden.onnx; the file holds only what data decided: formats, the forms of
activations, the scales of weights; and which integers of golden stand for which float value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from actc.approx.pwl import PiecewiseLinear
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.intact import read_object
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN
from actc.ir.formats import annotate, annotate_narrow
from actc.ir.graph import is_op
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import QuantizedWeights, WeightFormat
from actc.passes.approximate import apply_to_rows
from actc.passes.embed import row_lookup
from actc.passes.integer.islands import keep_nodes, kept_nodes
from actc.pipeline import Pipeline, pass_name
from actc.prepare import Prepared
from actc.sensitivity.setting import Formats, Setting, setting_of

FORMATS = "formats.json"
_VERSION = 1

Array = np.ndarray[Any, Any]
Json = dict[str, Any]


def record(model: ir.Model, context: Context, golden: onnx.ModelProto) -> Json:
    """The contents of formats.json.

    Args:
        model: the float graph with formats on its values (behind pass `quantize`).
        context: its context.
        golden: the integer model, whose initializers hold the weights.
    """
    setting = setting_of(model, context)
    stored = _stored(golden)
    return {
        "version": _VERSION,
        "values": {name: _formats_json(formats) for name, formats in setting.formats.items()},
        "islands": sorted(kept_nodes(context)),
        "activations": {site.id: _site_json(site) for site in context.sites.values()},
        "golden": [
            {"value": name, "codes": code, **_formats_json(Formats(parameters))}
            for name, (code, parameters) in context.facts.get("golden", {}).items()
        ],
        "layers": {
            name: _weights_json(weights, stored) for name, weights in setting.weights.items()
        },
    }


def rebuild(
    directory: Path, prepared: Prepared, passes: list[str]
) -> tuple[ir.Model, Context, Setting]:
    """The float graph behind pass `quantize` of a compiled model, its context and setting.

    Args:
        directory: what `actc.compile` wrote.
        prepared: its float.onnx, with data.
        passes: the passes of its compilation, as report.json spells them.

    Raises:
        UsageError: ACT0233, there is no formats.json, or the model cannot be rebuilt.
    """
    found = _read(directory)
    model = _float_graph(directory, prepared, passes)
    context = context_of(model)
    try:
        _restore_sites(model, context, found["activations"])
        values = {str(v.name): v for v in [*model.graph.inputs, *_made(model)]}
        for name, entry in found["values"].items():
            formats = _formats(entry)
            annotate(values[name], formats.wide)
            if formats.narrow is not None:
                annotate_narrow(values[name], formats.narrow)
        golden = onnx.load(directory / "golden.onnx")
        arrays = {tensor.name: tensor for tensor in golden.graph.initializer}
        weights = {name: _weights(entry, arrays) for name, entry in found["layers"].items()}
        keep_nodes(context, found.get("islands", []))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(directory, f"{FORMATS} does not fit the model: {error}") from error
    context.facts["weights"] = dict(weights)
    return model, context, setting_of(model, context)


def golden_names(directory: Path) -> dict[str, tuple[str, QuantizationParameters]]:
    """Float value name -> name and format of the integers of golden that stand for it.

    Several float values may share integers (a clamp and what it clamps); they come in the
    order of the float graph.

    Raises:
        UsageError: ACT0233, formats.json does not say it.
    """
    try:
        entries = _read(directory)["golden"]
        return {str(e["value"]): (str(e["codes"]), _formats(e).wide) for e in entries}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(directory, f"{FORMATS} does not name golden's values") from error


def _read(directory: Path) -> Json:
    try:
        found = read_object(directory / FORMATS)
    except (OSError, ValueError) as error:
        raise _broken(directory, f"there is no {FORMATS} that can be read") from error
    if found.get("version") != _VERSION:
        raise _broken(directory, f"{FORMATS} is of another version")
    return found


def _broken(directory: Path, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0233",
            f"the quantized model cannot be rebuilt: {reason}",
            place=Place(str(directory)),
            help="compile the model again, in int8 and with actc's own passes",
        )
    )


def _float_graph(directory: Path, prepared: Prepared, passes: list[str]) -> ir.Model:
    """The passes before calibration, again."""
    try:
        steps = Pipeline.parse(",".join(passes)).passes
    except UsageError as error:
        raise _broken(directory, str(error.diagnostics[0].message)) from error
    names = [pass_name(step) for step in steps]
    if "calibrate" not in names:
        raise _broken(directory, "its passes do not calibrate")
    return Pipeline(steps[: names.index("calibrate")]).run(prepared.model)


def _made(model: ir.Model) -> list[ir.Value]:
    return [value for node in model.graph for value in node.outputs]


def _restore_sites(model: ir.Model, context: Context, entries: Mapping[str, Json]) -> None:
    """Give each activation the form that pass `approximate` chose."""
    for node in [n for n in model.graph if is_op(n, "Activation", domain=DOMAIN)]:
        site = context.sites[node.metadata_props["actc.site"]]
        entry = entries[site.id]
        gather = row_lookup(node.inputs[0])
        if entry["form"] == "rows" and gather is not None:
            apply_to_rows(model, node, gather, site)
        site.form = str(entry["form"])
        if site.form == "clamp":
            low, high = entry["clamp"]
            site.details["clamp"] = [low, high]
        if "pwl" in entry:
            arrays = (np.asarray(entry["pwl"][key], np.float64) for key in _PIECES)
            site.details["pwl"] = form = PiecewiseLinear(*arrays)
            site.approximation = form.evaluate


_PIECES = ("breakpoints", "slopes", "intercepts")
_FIELDS = [field.name for field in dataclasses.fields(QuantizationParameters)]


def _site_json(site: Site) -> Json:
    entry: Json = {"form": site.form}
    if "clamp" in site.details:
        entry["clamp"] = site.details["clamp"]
    if "pwl" in site.details:
        form = site.details["pwl"]
        entry["pwl"] = {key: np.asarray(getattr(form, key)).tolist() for key in _PIECES}
    return entry


def _formats_json(formats: Formats) -> Json:
    entry: Json = dict(zip(_FIELDS, dataclasses.astuple(formats.wide), strict=True))
    if formats.narrow is not None:
        entry["narrow"] = dict(zip(_FIELDS, dataclasses.astuple(formats.narrow), strict=True))
    return entry


def _formats(entry: Json) -> Formats:
    wide = QuantizationParameters(**{key: entry[key] for key in _FIELDS})
    given = entry.get("narrow")
    narrow = None if given is None else QuantizationParameters(**{k: given[k] for k in _FIELDS})
    return Formats(wide, narrow)


def _weights_json(weights: QuantizedWeights, stored: Mapping[Any, str]) -> Json:
    """A layer's format and scales, and the initializer of golden that holds its codes."""
    codes = weights.codes
    name, transposed = stored.get(_key(codes)), False
    if name is None and codes.ndim == 2:
        name, transposed = stored.get(_key(codes.T)), True
    entry: Json = {
        "bits": str(weights.form),
        "granularity": weights.form.granularity,
        "power_of_two": weights.form.power_of_two,
        "scales": weights.scales.tolist(),
        "shape": list(codes.shape),
    }
    entry["codes"] = codes.reshape(-1).tolist() if name is None else name
    entry["transposed"] = transposed
    if weights.correction.any():
        entry["correction"] = weights.correction.tolist()
    if weights.factors is not None:
        entry["group"], entry["factors"] = weights.form.group, weights.factors.tolist()
    return entry


def _weights(entry: Json, arrays: Mapping[str, onnx.TensorProto]) -> QuantizedWeights:
    given = entry["codes"]
    codes = np.asarray(given) if isinstance(given, list) else numpy_helper.to_array(arrays[given])
    codes = codes.T if entry["transposed"] else codes
    form = WeightFormat.parse(entry["bits"], entry["granularity"], bool(entry["power_of_two"]))
    form = dataclasses.replace(form, group=int(entry.get("group", 0)))
    factors = np.asarray(entry["factors"], np.int8) if "factors" in entry else None
    scales = np.asarray(entry["scales"], np.float64)
    correction = np.asarray(entry.get("correction", np.zeros(len(scales))), np.float64)
    return QuantizedWeights(
        np.ascontiguousarray(codes.reshape(entry["shape"]), np.int8),
        scales,
        correction,
        form,
        factors,
    )


def _stored(golden: onnx.ModelProto) -> dict[Any, str]:
    """Shape and content of golden's int8 constants -> name."""
    found: dict[Any, str] = {}
    for tensor in golden.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8:
            found.setdefault(_key(numpy_helper.to_array(tensor)), tensor.name)
    return found


def _key(codes: Array) -> tuple[tuple[int, ...], bytes]:
    return codes.shape, np.ascontiguousarray(codes).tobytes()
