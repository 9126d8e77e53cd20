"""ACT09xx: internal errors."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0901": CodeInfo(
        "internal error",
        "actc met a state that should be impossible. Please report it with the command line and, "
        "if you can share it, the model.",
    ),
    "ACT0902": CodeInfo(
        "a pass left an invalid model",
        "After every pass actc checks the structure of the model. This pass, built in or from "
        "a plug-in, broke it.",
    ),
    "ACT0903": CodeInfo(
        "a pass changed what the model computes",
        "A pass that promises to preserve the function was compared before and after on data, "
        "and the outputs differ. Please report it with the model.",
    ),
    "ACT0904": CodeInfo(
        "golden differs from its specification",
        "golden.onnx in onnxruntime and the reference of its operators must agree on every "
        "bit, and they did not. Please report it with the model and the version of "
        "onnxruntime.",
    ),
}
