"""ACT06xx: accuracy and budgets."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0601": CodeInfo(
        "accuracy dropped by more than allowed",
        "On the labelled data, the integer model answers right less often than the float "
        "model, by more than --max-drop. All files are written. More calibration data, "
        "another --calibration, or --approx exact may help; the report shows which "
        "activations err most.",
    ),
    "ACT0602": CodeInfo(
        "the artefact differs from golden",
        "The compiled artefact must equal golden.onnx bit for bit on every sample, and it did "
        "not. Right after compiling this is a mistake of actc or of the target's tools, and "
        "nothing is written; `actc check` also says it of files that were changed since.",
    ),
    "ACT0603": CodeInfo(
        "a stage behind golden differs from it",
        "Between golden and what is loaded into a device lie a netlist, its placement and a "
        "configuration; each must give golden's outputs on the same samples, and one did not. "
        "Nothing is written. It is a mistake of actc or of the tools behind it; another seed or "
        "an older version of the tool that made this stage may tell which.",
    ),
    "ACT0604": CodeInfo(
        "a circuit has parts that nothing can be proved about",
        "Proofs take logic and flip-flops of one clock, into which yosys takes Verilog and the "
        "cells of a netlist apart. Memories that are written, latches, tri-state nets and a "
        "second clock are none. `actc compile` reports such a proof as not run; all other "
        "comparisons are made.",
    ),
    "ACT0605": CodeInfo(
        "a part of the model cannot be folded",
        "A folded network passes tensors from stage to stage, position by position. The operator, "
        "or this use of it, has no stage: it joins or takes parts of tensors, wants their elements "
        "in another order, compares, normalizes, or computes in float; or the network takes or "
        "gives more than one tensor. All such places are listed at once.",
    ),
    "ACT0606": CodeInfo(
        "no folding fits the device",
        "A folded network computes a few elements at a time, and how many is chosen so that the "
        "design fits the device at the samples per second that were asked for. No choice does, by "
        "an exact search over estimated areas. The notes say what the nearest design takes beside "
        "what there is, how fast a design that fits can be, and which bits of weights would "
        "fit; the help line names the smallest device that holds it.",
    ),
}
