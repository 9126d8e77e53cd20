"""The exception tree of actc.

    ActcError                     any failure that actc explains to its user
     ├── BudgetMissed             exit 1: accuracy or error budget missed
     ├── UsageError               exit 2: wrong option, wrong data
     ├── ModelError               exit 3: the model is broken or not supported
     ├── MissingTool              exit 4: an external tool or package is absent
     ├── ToolFailed               exit 5: an external tool ran and failed
     └── InternalError            exit 70: actc itself is wrong

Every error carries its diagnostics, so that a caller sees all problems of a
run and not only the first.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import ParamSpec, TypeVar

from actc.diagnostics import Diagnostic

P = ParamSpec("P")
T = TypeVar("T")


DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""What a disk refuses that is full, has a limit, is damaged or became read-only."""


class ExitStatus(IntEnum):
    """Exit status of the command line; stable."""

    OK = 0
    BUDGET_MISSED = 1
    USAGE = 2
    MODEL = 3
    MISSING_TOOL = 4
    TOOL_FAILED = 5
    INTERNAL = 70


class ActcError(Exception):
    """A failure with its diagnostics.

    Args:
        diagnostics: one or more diagnostics, most important first.
    """

    status: ExitStatus = ExitStatus.INTERNAL

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic]) -> None:
        found = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = found
        super().__init__("\n".join(str(d) for d in found))


class BudgetMissed(ActcError):
    """The accuracy or error budget was missed."""

    status = ExitStatus.BUDGET_MISSED


class UsageError(ActcError):
    """A wrong option or wrong data."""

    status = ExitStatus.USAGE


class Problems:
    """Gathers what is wrong with the options, so that all of it is said at once."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def add(self, *diagnostics: Diagnostic) -> None:
        """Note problems."""
        self.found += diagnostics

    def attempt(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """The result of `read`, or None after noting the UsageError that it raised."""
        try:
            return read(*args, **kwargs)
        except UsageError as error:
            self.add(*error.diagnostics)
            return None

    def require_none(self) -> None:
        """Stop if there are problems.

        Raises:
            UsageError: all of them.
        """
        if self.found:
            raise UsageError(self.found)


class ModelError(ActcError):
    """The model is broken or not supported."""

    status = ExitStatus.MODEL


class MissingTool(ActcError):
    """An external tool or package is absent."""

    status = ExitStatus.MISSING_TOOL


class ToolFailed(ActcError):
    """An external tool ran and failed."""

    status = ExitStatus.TOOL_FAILED


class InternalError(ActcError):
    """actc itself is wrong."""

    status = ExitStatus.INTERNAL
