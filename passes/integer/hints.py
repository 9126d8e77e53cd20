"""What a user can do about operators that have no integer form."""

from __future__ import annotations

KEEPS_FLOAT = "`--target onnx` keeps such operators in float (--islands auto, its default)"
IN_FLOAT = "compile in float: --precision float32 with --target onnx or cpu"
GENERAL = f"replace the operator, or {IN_FLOAT}"
_CONTROL = "export the network without control flow: as one trace, with its shapes fixed"
_POST = "cut post-processing off the model with onnx.utils.extract_model, and run it outside"
_ATTENTION = "export attention without a cache of earlier keys, and with one output alone"

_BY_OPERATOR = {
    **dict.fromkeys(("If", "Loop", "Scan"), _CONTROL),
    **dict.fromkeys(("NonMaxSuppression", "NonZero", "Unique"), _POST),
    "Attention": _ATTENTION,
}


def hint(op_type: str) -> str:
    """The help line for an operator of ONNX's own domain without an integer form."""
    return _BY_OPERATOR.get(op_type, GENERAL)
