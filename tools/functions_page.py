"""Write docs/functions.md, the catalogue as a page: python tools/functions_page.py."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from actc.approx.catalogue import CATALOGUE, ELEMENTARY, FAMILIES, CatalogueEntry
from actc.approx.catalogue.checked import mark
from actc.cli.functions import interval, parameter_line

PAGE = Path(__file__).resolve().parent.parent / "docs" / "functions.md"


def page() -> str:
    """The text of the page."""
    published = sum(entry.source is not ELEMENTARY for entry in CATALOGUE)
    parts = [
        "# The catalogue of functions\n",
        f"{len(CATALOGUE)} scalar functions, {published} of them from the literature. "
        "`actc functions NAME` shows one, `actc fit NAME` approximates it. Each is evaluated "
        "in float64 and tested against an independent definition at 30 digits, with its usual "
        "and with other parameters, between the tails and in them.\n",
        "Many usual values of learned parameters are representative ones, not the paper's. "
        "The domain is all reals where none is given.\n",
        *_checks(),
        "This page is written by `python tools/functions_page.py`.\n",
    ]
    for family, entries in FAMILIES.items():
        parts += [f"## {family[0].upper()}{family[1:]}\n", _table(entries)]
    return "\n".join(parts)


def _checks() -> list[str]:
    """What was checked of the references, counted."""
    marks = Counter(mark(entry) for entry in CATALOGUE if entry.source is not ELEMENTARY)
    lines = [
        "A mark after a reference says what was found when the references were checked "
        "(first author, title, number or venue, year) and the formulas compared, apart from "
        "the names and the scale of learned parameters:\n",
        f"- † the formula is in the publication or in its authors' code ({marks['†']} functions);",
        f"- ‡ the formula is in others' code, documentation or surveys ({marks['‡']});",
        f"- § the reference is right, the formula was not found ({marks['§']}).",
    ]
    if marks["?"]:
        lines.append(f"- ? neither has been checked ({marks['?']}).")
    return ["\n".join(lines) + "\n"]


def _table(entries: tuple[CatalogueEntry, ...]) -> str:
    rows = ["| function | formula | parameters | source |", "|---|---|---|---|"]
    for entry in entries:
        also = f" ({', '.join(entry.aliases)})" if entry.aliases else ""
        parameters = "; ".join(parameter_line(parameter) for parameter in entry.parameters)
        if entry.domain != (float("-inf"), float("inf")):
            parameters = f"{parameters} x in {interval(*entry.domain)}".strip()
        source = f"{entry.source} {mark(entry)}".rstrip()
        cells = (f"{entry.name}{also}", f"`{entry.formula}`", parameters, source)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
