"""Judging a case: what oracles find, what the compiler refuses, what must not happen."""

from __future__ import annotations

import io
import time
import traceback
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

from actc.errors import ActcError, BudgetMissed, InternalError, ToolFailed
from fuzz.oracles import Case, Oracle

INTERNAL = "ACT0463"
"""A stage does not run in onnxruntime, though the model does: also a mistake of ours."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not happen.

    Attributes:
        oracle: name of the oracle.
        what: the kind, equal for what has the same cause.
        detail: a traceback, figures.
    """

    oracle: str
    what: str
    detail: str

    @property
    def key(self) -> str:
        """What findings of the same cause have in common."""
        return f"{self.oracle}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case under one oracle.

    Attributes:
        oracle: name of the oracle.
        refused: code of the diagnostic by which the compiler refused it; "" if it did not.
        finding: None where all is well.
        seconds: that it took.
    """

    oracle: str
    refused: str = ""
    finding: Finding | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Verdict:
        """The verdict that `to_json` wrote."""
        found = document.pop("finding")
        return cls(**document, finding=Finding(**found) if found else None)


def judge(case: Case, oracle: Oracle) -> Verdict:
    """Run one oracle on a case, in this process."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        refused, finding = _outcome(case, oracle)
    if finding is None:
        loud = [w for w in warned if issubclass(w.category, RuntimeWarning)]
        if loud:
            where = f"{_short(loud[0].filename)}:{loud[0].lineno}"
            text = f"{loud[0].category.__name__}: {loud[0].message}"
            finding = Finding(oracle.name, f"warning in {_short(loud[0].filename)}: {text}", where)
    return Verdict(oracle.name, refused, finding, time.perf_counter() - start)


def _outcome(case: Case, oracle: Oracle) -> tuple[str, Finding | None]:
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            mismatches = oracle.run(case)
    except ActcError as error:
        codes = [d.code for d in error.diagnostics]
        wrong = isinstance(error, (InternalError, BudgetMissed, ToolFailed)) or INTERNAL in codes
        if not wrong:
            return codes[0], None
        first = error.diagnostics[0].message
        message = first if codes[0] == "ACT0463" else "".join(first.split("'")[:2])
        return "", Finding(oracle.name, f"{codes[0]}: {message[:80]}", _trace(error))
    except BaseException as error:
        where = _place(error)
        return "", Finding(oracle.name, f"{type(error).__name__} in {where}", _trace(error))
    if mismatches:
        return "", Finding(oracle.name, mismatches[0].what, mismatches[0].detail)
    return "", None


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-6000:]


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def _place(error: BaseException) -> str:
    """The function nearest to the error that is the compiler's, or an oracle's."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/actc/" in f.filename or "/targets/" in f.filename]
    last = (ours or list(frames))[-1]
    return f"{_short(last.filename)} {last.name}"
