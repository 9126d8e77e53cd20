"""ACT0343..0349: float islands and control flow."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0343": CodeInfo(
        "operators stay in float",
        "These operators have no integer form as they are used here; the message says why. The "
        "target can run them in float, so they stay as they are: their inputs are dequantized, "
        "what they give is quantized where integers need it. Neighbours among them are one "
        "island, without conversions in between. The bits of an island are those that onnxruntime "
        "computes on the CPU, unlike the rest of golden.onnx, which is exact everywhere. "
        "`--islands never` refuses such operators.",
    ),
    "ACT0344": CodeInfo(
        "no operator has an integer form",
        "Operators without integer form can stay in float, but here that would be all of them: "
        "the result would be the float model again. The notes name the operators and the reasons.",
    ),
    "ACT0345": CodeInfo(
        "control flow was removed",
        "An If whose condition is constant became its branch; a Loop or Scan whose number of "
        "steps is constant was written out step by step. What was inside is compiled like the "
        "rest of the network; names of its nodes begin with the name of the operator and the "
        "number of the step.",
    ),
}
