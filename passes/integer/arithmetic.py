"""Numbers that enter the network as integers."""

from __future__ import annotations

import onnx_ir as ir

from actc.numerics.quantization import QuantizationParameters
from actc.passes.integer.builder import Builder, Codes, MissingInput, NoIntegerForm


def cast(builder: Builder, node: ir.Node) -> None:
    """Cast of an integer input to float32: uint8 are codes already, others are quantized."""
    source, output = node.inputs[0], node.outputs[0]
    assert source is not None
    assert source.dtype is not None
    if output.dtype != ir.DataType.FLOAT:
        raise NoIntegerForm("it makes integers of what the network computes")
    golden = builder.plain(source)
    if golden is None:
        raise MissingInput(source, "is computed by operators without integer form")
    if source.dtype == ir.DataType.UINT8:
        builder.set_codes(output, Codes(golden, QuantizationParameters(1.0, 0)))
        return
    result = builder.emit(
        "Cast",
        [golden],
        output,
        ir.DataType.FLOAT,
        name=str(output.name),
        attributes={"to": int(ir.DataType.FLOAT)},
        domain="",
    )
    builder.set_plain(output, result)
