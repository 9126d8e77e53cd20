"""The first sentence of a report: did it work, and what did it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

STAGES = ("float", "approximated", "golden", "artifact")
Level = Literal["good", "bad", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """What a reader should know first.

    Attributes:
        level: "bad" when bits differ or the budget is missed, "unknown" when
            accuracy could not be measured or the artefact not be run, else "good".
        parts: sentences without capitals or periods, most important first.
    """

    level: Level
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.parts)


def verdict(report: Mapping[str, Any]) -> Verdict:
    """Judge a report (completed by `actc.report.view.complete`)."""
    bits_good, bits = _bits(report)
    accuracy_good, accuracy = _accuracy(report)
    parts = tuple(part for part in (bits, accuracy) if part)
    if bits_good is False or accuracy_good is False:
        return Verdict("bad", parts)
    unknown = accuracy_good is None or not executed(report)
    return Verdict("unknown" if unknown else "good", parts)


def percent(value: float | None) -> str:
    """0.9871 -> "98.71 %"; "-" when not known."""
    return "-" if value is None else f"{100 * value:.2f} %"


def points(value: float) -> str:
    """A difference of accuracies in percentage points: 0.0022 -> "0.22"."""
    text = f"{100 * value:.2f}"
    return text[:-1] if text.endswith("0") else text


def final_stage(report: Mapping[str, Any]) -> str | None:
    """The last stage whose accuracy is known; None when only float's, or none."""
    known = [s for s in STAGES[1:] if report["accuracy"].get(s) is not None]
    return known[-1] if known and report["accuracy"].get("float") is not None else None


def accuracy_drop(report: Mapping[str, Any]) -> float | None:
    """Accuracy of float minus that of the last stage, as a fraction."""
    stage = final_stage(report)
    if stage is None:
        return None
    return float(report["accuracy"]["float"]) - float(report["accuracy"][stage])


def budget_missed(report: Mapping[str, Any]) -> bool:
    """Whether the drop is greater than `options.max_drop`."""
    drop, allowed = accuracy_drop(report), report["options"].get("max_drop")
    # A drop of exactly the budget is met; accuracies are ratios of small integers.
    return drop is not None and allowed is not None and drop > float(allowed) + 1e-9


def executed(report: Mapping[str, Any]) -> bool:
    """Whether no stage says that the artefact was not run on this machine."""
    rungs = report.get("rungs") or []
    return not any((rung["name"], rung["result"]) == ("artifact", "not run") for rung in rungs)


def _bits(report: Mapping[str, Any]) -> tuple[bool | None, str]:
    kind, samples = report["precision"], report["samples"]
    if not executed(report):
        with_what = "golden" if kind == "int8" else "the approximated model"
        return None, f"the {kind} artifact was not executed here, nor compared with {with_what}"
    if report["bit_exact"] is None:
        return None, ""
    if not report["bit_exact"]:
        return False, f"the {kind} artifact differs from golden on some of {samples} samples"
    return True, f"the {kind} artifact equals golden bit for bit on {samples} of {samples} samples"


def _accuracy(report: Mapping[str, Any]) -> tuple[bool | None, str]:
    drop, stage = accuracy_drop(report), final_stage(report)
    if drop is None or stage is None:
        why = "the data is synthetic" if report["data"]["synthetic"] else "the data has no labels"
        return None, f"accuracy is not known, as {why}" + _agreement(report)
    before, after = (percent(report["accuracy"][s]) for s in ("float", stage))
    change = f"drop {points(drop)} points" if drop > 0 else f"gain {points(-drop)} points"
    change = change if abs(drop) > 5e-6 else "no drop"
    allowed = report["options"].get("max_drop")
    within = ""
    if allowed is not None:
        missed = budget_missed(report)
        within = f", {'over' if missed else 'within'} the budget of {points(float(allowed))} points"
    sentence = f"accuracy {before} -> {after}, {change}{within}"
    return not budget_missed(report), sentence


def _agreement(report: Mapping[str, Any]) -> str:
    """How often the last stage picks the class that float picks; "" when not known."""
    known = [row for row in report["outputs"] if row["top1_agreement"] is not None]
    if not known:
        return ""
    last = max(STAGES.index(row["stage"]) for row in known if row["stage"] in STAGES)
    worst = min(row["top1_agreement"] for row in known if row["stage"] == STAGES[last])
    return f"; {STAGES[last]} and float agree on {percent(worst)} of top-1 choices"
