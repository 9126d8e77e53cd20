"""Loops whose rounds depend on data, and which never end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from endless_loops import looping

from hostile.case import MODEL, Case
from hostile.networks import save

_LIMIT = (("ACTC_RUN_SECONDS", "1"),)


def _endless(kind: str) -> Callable[[Path], object]:
    return lambda folder: save(looping(kind), folder)


CASES = (
    Case(
        "endless-loop",
        "a loop that never ends, with a limit of 1 s",
        _endless("an operator"),
        3,
        ("ACT0063",),
        "ACTC_RUN_SECONDS",
        environment=_LIMIT,
    ),
    Case(
        "endless-empty-loop",
        "the same, and it does nothing",
        _endless("nothing"),
        3,
        ("ACT0063",),
        environment=_LIMIT,
    ),
    Case(
        "endless-loop-inspected",
        "a loop that never ends",
        _endless("an operator"),
        0,
        command=("inspect", MODEL),
    ),
    Case(
        "impossible-limit",
        "a limit that is no number",
        _endless("an operator"),
        2,
        ("ACT0064",),
        environment=(("ACTC_RUN_SECONDS", "soon"),),
    ),
)
