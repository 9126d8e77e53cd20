"""Errors per activation site between the float model and golden."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from actc.checks.stages import run_over
from actc.data import Dataset
from actc.ir.execute import Session
from actc.numerics.compare import errors
from actc.numerics.quantization import QuantizationParameters

Array = np.ndarray[Any, Any]
GoldenNames = dict[str, tuple[str, QuantizationParameters]]


def site_errors(
    float_model: onnx.ModelProto,
    golden: onnx.ModelProto,
    outputs: dict[str, str],
    names: GoldenNames,
    dataset: Dataset,
    samples: int = 32,
) -> list[dict[str, Any]]:
    """Compare each site's output in float and in golden, on the same inputs to the network.

    Args:
        float_model: the normalized float model, with the sites' output names.
        outputs: site id -> name of its output value.
        names: float value name -> (golden value name, format).
        samples: at most so many samples.

    Returns:
        one row per site: id, stage, max, p50, p99, rms, reference_rms. The error of a
        site holds what all layers before it added.
    """
    wanted = {site: name for site, name in outputs.items() if name in names}
    present = {value for node in golden.graph.node for value in node.output}
    wanted = {site: name for site, name in wanted.items() if names[name][0] in present}
    made = {value for node in float_model.graph.node for value in node.output}
    wanted = {site: name for site, name in wanted.items() if name in made}
    if not wanted:
        return []
    part = dataset.take(samples)
    float_names = sorted(set(wanted.values()))
    golden_names = sorted({names[name][0] for name in float_names})
    real = run_over(Session(float_model, float_names).run, part, 8)
    codes = run_over(Session(golden, golden_names).run, part, 8)
    rows = []
    for site, name in wanted.items():
        golden_name, parameters = names[name]
        found = errors(real[name], parameters.dequantize(codes[golden_name]))
        rows.append({"id": site, "stage": "golden", **found})
    return rows
