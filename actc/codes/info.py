"""What the table of diagnostic codes holds."""

from __future__ import annotations

from typing import NamedTuple


class CodeInfo(NamedTuple):
    """Title (one line) and explanation (a few sentences, plain text)."""

    title: str
    explanation: str
