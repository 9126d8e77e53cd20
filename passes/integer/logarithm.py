"""Log-softmax on integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.graph import dims
from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Accumulator, Builder, NoIntegerForm
from actc.passes.integer.normalization import LONGEST_SEQUENCE, exponentials

Array = np.ndarray[Any, Any]

_SEGMENTS, _OCTAVES = 256, 31
_MOST_FRACTION_BITS = 24


def log_softmax(builder: Builder, node: ir.Node) -> None:
    """LogSoftmax -> actc::IntLogSoftmax: the exponentials' sum, its logarithm from a table.

    With d the distance of a score to the largest, log(exp(x) / sum exp) is
    -(scale * d + log(sum exp(-scale * d))); both parts are fractions of one power of two.
    """
    x, output, name = builder.codes(node.inputs[0]), node.outputs[0], str(node.outputs[0].name)
    shape = dims(output)
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    if shape is None:
        raise NoIntegerForm("its shape is not known")
    longest = shape[axis] or LONGEST_SEQUENCE
    table = exponentials(x.parameters, longest)
    reach = x.parameters.scale * (x.parameters.entries - 1) + math.log(longest) + 1
    bits = min(_MOST_FRACTION_BITS, math.floor(30 - math.log2(reach)))
    arrays = {"exp": table, **logarithms(x.parameters, int(table[0]), bits)}
    result = builder.emit(
        "IntLogSoftmax",
        [x.value, *(builder.constant(f"{name}.{key}", array) for key, array in arrays.items())],
        output,
        ir.DataType.INT32,
        name=name,
        attributes={"axis": axis % len(shape)},
    )
    scale, bound = np.array(2.0**-bits), math.ceil(reach * 2.0**bits)
    builder.set_accumulator(output, Accumulator(result, scale, 1, bound))


def logarithms(x: QuantizationParameters, one: int, bits: int) -> dict[str, Array]:
    """The tables of actc::IntLogSoftmax but the first, int32 fractions of 2^bits.

    Args:
        x: format of the scores.
        one: what stands for exp(0) in the table of exponentials.
        bits: fraction bits.
    """
    arrays = {
        "levels": x.scale * np.arange(x.entries),
        "octaves": np.arange(_OCTAVES) * math.log(2) - math.log(one),
        "logarithms": np.log1p(np.arange(_SEGMENTS + 1) / _SEGMENTS),
    }
    return {key: np.rint(np.ldexp(array, bits)).astype(np.int32) for key, array in arrays.items()}
