"""Coded diagnostics: one value per problem, rendered as text or JSON.

The text form follows rustc's: a headline with a stable code, the place, notes
and a help line that says what to do.

    error[ACT0101]: operator Foo has no integer form
      --> model.onnx: node '/enc/foo' (Foo)
      note: ...
      help: ...
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

_LONGEST = 4000
"""Characters of a line as text: names in a model can have any length."""
Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a problem is.

    Attributes:
        file: file name as the user wrote it ("" when there is none).
        node: name of the ONNX node or tensor ("" when not about one).
        op: operator type of the node.
    """

    file: str = ""
    node: str = ""
    op: str = ""

    def __str__(self) -> str:
        node = f"node '{self.node}'" if self.node else ""
        if self.op:
            node = f"{node} ({self.op})" if node else f"operator {self.op}"
        return _one_line(": ".join(part for part in (self.file, node) if part))


def _one_line(text: str) -> str:
    """`text` with line breaks and control characters written as escapes, and not endless."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text):,} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem or remark.

    Attributes:
        code: stable code, a key of :data:`actc.codes.CODES`.
        message: one sentence without a final period.
        severity: "error", "warning" or "note".
        place: file and node.
        notes: further facts, one line each.
        help: what the user can do; "" when nothing.
    """

    code: str
    message: str
    severity: Severity = "error"
    place: Place = field(default_factory=Place)
    notes: tuple[str, ...] = ()
    help: str = ""

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {_one_line(self.message)}"]
        if str(self.place):
            lines.append(f"  --> {self.place}")
        lines += [f"  note: {_one_line(note)}" for note in self.notes]
        if self.help:
            lines.append(f"  help: {_one_line(self.help)}")
        return "\n".join(lines)

    def in_file(self, file: str) -> Diagnostic:
        """The same, in a file where it names none."""
        return self if self.place.file else replace(self, place=replace(self.place, file=file))

    def to_json(self) -> dict[str, Any]:
        """Return the diagnostic as JSON-ready values with stable keys."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.place.file,
            "node": self.place.node,
            "op": self.place.op,
            "notes": list(self.notes),
            "help": self.help,
        }


class DiagnosticSink:
    """Collects diagnostics so that all problems of a run are reported at once."""

    def __init__(self) -> None:
        self._items: dict[Diagnostic, None] = {}

    @property
    def items(self) -> list[Diagnostic]:
        """What was recorded, in order."""
        return list(self._items)

    def add(self, diagnostic: Diagnostic) -> None:
        """Record a diagnostic; an equal one is kept once."""
        self._items.setdefault(diagnostic)

    def extend(self, diagnostics: list[Diagnostic]) -> None:
        """Record several diagnostics."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    @property
    def errors(self) -> list[Diagnostic]:
        """The diagnostics of severity "error"."""
        return [d for d in self.items if d.severity == "error"]
