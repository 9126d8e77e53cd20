"""Says where a QDQ model is slower than float in onnxruntime, by the model of times."""

from __future__ import annotations

from actc.diagnostics import Diagnostic, Place
from actc.targets.onnx.placement import Modelled, Placement


def slower_than_float(placement: Placement, file: str, full: bool) -> list[Diagnostic]:
    """A note with all batches at which the file takes longer than the float model.

    Args:
        file: name of the QDQ model.
        full: every operator runs on codes that can, not only those that were chosen.
    """
    ratios = {times: _written(times, full) / times.all_float for times in placement.times}
    slow = [times for times, ratio in ratios.items() if ratio > 1]
    if not slow:
        return []
    count = f"{len(placement.codes)} of {placement.operators} operators"
    best = ", ".join(f"{times.chosen / 1e3:.3g} us{_at(times)}" for times in placement.times)
    return [
        Diagnostic(
            "ACT0410",
            f"{file} will take "
            + ", ".join(f"{ratios[times]:.2f} times as long as float{_at(times)}" for times in slow)
            + " in onnxruntime",
            severity="note",
            place=Place(file),
            notes=tuple(
                f"modelled time of a call{_at(times)}: {_written(times, full) / 1e3:.3g} us; "
                f"in float {times.all_float / 1e3:.3g} us"
                for times in placement.times
            ),
            help=f"--target onnx runs {count} on integers, modelled {best}"
            if full
            else "the placement is for one sample and for 16 alike; a model with a fixed batch "
            "gets one for that batch",
        )
    ]


def _written(times: Modelled, full: bool) -> float:
    return times.all_codes if full else times.chosen


def _at(times: Modelled) -> str:
    return "" if times.batch is None else f" at batch {times.batch}"
