"""What a command returns: a document for machines, a view for people, a status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from actc.errors import ExitStatus


@dataclass(frozen=True)
class Outcome:
    """The result of a command.

    Attributes:
        document: printed by --json; its ``diagnostics`` also go to stderr.
        view: printed otherwise; "" prints nothing.
        status: exit status.
    """

    document: Mapping[str, Any]
    view: RenderableType = ""
    status: ExitStatus = ExitStatus.OK


def judged(document: Mapping[str, Any], view: RenderableType, missed: ExitStatus) -> Outcome:
    """The outcome of a finished run: `missed` if its diagnostics hold an error."""
    errors = any(item["severity"] == "error" for item in document.get("diagnostics", ()))
    return Outcome(document, view, missed if errors else ExitStatus.OK)
