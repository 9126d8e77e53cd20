"""Files of C with places that are filled in."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent


def filled(name: str, **values: str) -> str:
    """A template with its places `@NAME@` filled in; lines that are left empty go."""
    text = (_FOLDER / name).read_text(encoding="utf-8")
    text = re.sub("@([A-Z_]+)@", lambda found: values[found[1]], text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return re.sub(r"\n{2,}}", "\n}", text)
