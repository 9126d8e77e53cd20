"""What the log of a failed tool says: a licence, or its own error lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from actc.diagnostics import Diagnostic, Place
from actc.errors import ToolFailed

_LINES = 10
_WIDEST = 300
_TOO_LONG = "ACT0511"
# lines of FLEXlm and of tools that ask it for a licence
_LICENCE = re.compile(
    r"""licen[cs]e\ check-?out\ (has\ )?failed
    | (could\ not|cannot|can't|failed\ to|unable\ to)\ (check\ ?-?out|obtain|get|acquire)
      \ (an?\ |the\ )?(valid\ )?licen[cs]e
    | valid\ licen[cs]e\ (was\ )?not\ found
    | \bno\ (valid\ )?licen[cs]e\ (was\ |is\ )?(found|available)
    | (cannot|could\ not|failed\ to)\ connect\ to\ (the\ )?licen[cs]e\ server
    | licen[cs]e\ (has\ |is\ )?expired
    | flex(lm|net)\b.{0,80}\b(error|licen[cs])
    | \blm_checkout\b.{0,80}\bfail""",
    re.IGNORECASE | re.VERBOSE,
)
# Catapult puts "# " in front, and codes behind: those of its licences are LIC-1 and so on
_HARMLESS = re.compile(r"\s*(# )?(info|warning|status)\b", re.IGNORECASE)
_ERROR = re.compile(r"\s*(# )?(error|fatal|critical warning)\b", re.IGNORECASE)
_CATAPULT = re.compile(r"\s*(# )?error\b.*\(LIC-\d+\)\s*$", re.IGNORECASE)
# Numbers of revisions that grow with the date overflow in versions up to 2021.2.
_REVISION = re.compile(r"bad lexical cast|'2[2-9]\d{8}' is an invalid argument")
_REVISION_HELP = (
    "versions before 2022 cannot export since January 2022 without the patch of AMD's "
    "answer record 76960"
)


def explained(problem: ToolFailed, log: Path, title: str) -> ToolFailed:
    """The same failure, with what its log says.

    Args:
        problem: from :func:`actc.toolchain.run`.
        log: of the run; may be absent.
        title: of the tool, for people.
    """
    (given,) = problem.diagnostics
    licence, errors, revision = _read(log)
    place = Place(str(log))
    if licence and given.code != _TOO_LONG:
        return ToolFailed(
            Diagnostic(
                "ACT0436",
                f"{title} has no licence for this",
                place=place,
                notes=(licence,),
                help="look at LM_LICENSE_FILE, or the vendor's own variable (XILINXD_LICENSE_FILE, "
                "MGLS_LICENSE_FILE), and the licence server; a larger part may need a licence that "
                "a smaller one does not",
            )
        )
    notes = tuple(dict.fromkeys([*errors, *([licence] if licence else [])])) or given.notes
    help = _REVISION_HELP if revision else f"the whole log is in {log}"
    if given.code == _TOO_LONG:
        help = f"give more minutes with --timeout; the log so far is in {log}"
    return ToolFailed(Diagnostic(given.code, given.message, place=place, notes=notes, help=help))


def _read(log: Path) -> tuple[str, list[str], bool]:
    """The line about a licence, the first error lines, and whether a revision overflowed."""
    licence, revision = "", False
    errors: list[str] = []
    for line in _lines(log):
        if not licence and _is_licence(line):
            licence = line
        if len(errors) < _LINES and _ERROR.match(line):
            errors.append(line)
        revision = revision or _REVISION.search(line) is not None
    return licence, errors, revision


def _is_licence(line: str) -> bool:
    if _CATAPULT.match(line):
        return True
    return _LICENCE.search(line) is not None and not _HARMLESS.match(line)


def _lines(log: Path) -> Iterator[str]:
    if not log.is_file():
        return
    with log.open(encoding="utf-8", errors="replace") as stream:
        # a log without line breaks is read in pieces
        while line := stream.readline(1 << 16):
            yield line.strip()[:_WIDEST]
