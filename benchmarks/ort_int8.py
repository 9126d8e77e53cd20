"""onnxruntime's own static int8 quantization: what actc is compared with."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import version_converter
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

Arrays = dict[str, npt.NDArray[Any]]

LEAST_OPSET = 13
OPSET = 17
BATCH = 16

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


class Reader(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    """Gives the samples in batches."""

    def __init__(self, data: Arrays, batch: int = BATCH) -> None:
        samples = len(next(iter(data.values())))
        parts = [slice(start, start + batch) for start in range(0, samples, batch)]
        self._feeds = iter([{name: a[part] for name, a in data.items()} for part in parts])

    def get_next(self) -> dict[str, npt.NDArray[np.generic]] | None:
        """Return the next batch, None at the end."""
        return next(self._feeds, None)


def quantize(
    path: Path,
    data: Arrays,
    folder: Path,
    operators: tuple[str, ...] | None = None,
    method: str = "minmax",
    batch: int = BATCH,
) -> Path:
    """Quantize a model: QDQ, activations uint8, weights int8 per channel.

    Args:
        data: calibration samples per input.
        operators: operator types to quantize; None: all that onnxruntime can.
        method: how ranges are chosen: one of METHODS.
        batch: samples per calibration run.

    Returns:
        the quantized model, a file in `folder`.
    """
    model = onnx.load(path)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if opset < LEAST_OPSET:
        # Per-channel DequantizeLinear does not exist before opset 13, yet quantize_static
        # writes it.
        model = version_converter.convert_version(model, OPSET)
    prepared, result = folder / "prepared.onnx", folder / "int8.onnx"
    onnx.save(model, prepared)
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it warns of what quant_pre_process has just done
    try:
        quant_pre_process(prepared, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            result,
            Reader(data, batch),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=METHODS[method],
            op_types_to_quantize=None if operators is None else list(operators),
        )
    finally:
        logging.root.setLevel(level)
    return result
