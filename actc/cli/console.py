"""Where output goes: the result to stdout, progress and diagnostics to stderr."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from actc.diagnostics import Diagnostic, Place
from actc.report.format import visible

_WIDTH = 100  # of a pipe or file, where there is no terminal to ask
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError: rich would end the process with a status of its own."""
        raise  # rich calls this where it catches the error


def stdout() -> Console:
    """The console of the result."""
    return _Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)


def stderr() -> Console:
    """The console of progress and diagnostics."""
    return Console(stderr=True, highlight=False)


def print_view(view: RenderableType) -> None:
    """Print a result for people; plain text is not wrapped."""
    if view != "":
        stdout().print(view, soft_wrap=isinstance(view, (str, Text)), markup=False)


def print_diagnostics(items: Iterable[Mapping[str, Any]]) -> None:
    """Print diagnostics given as JSON values."""
    console = stderr()
    for item in items:
        console.print(_styled(from_json(item)), soft_wrap=True)


def from_json(item: Mapping[str, Any]) -> Diagnostic:
    """The inverse of `Diagnostic.to_json`."""
    return Diagnostic(
        item["code"],
        item["message"],
        item.get("severity", "error"),
        Place(item.get("file", ""), item.get("node", ""), item.get("op", "")),
        tuple(item.get("notes", ())),
        item.get("help", ""),
    )


def _styled(diagnostic: Diagnostic) -> Text:
    # Names in a model are untrusted: none of their characters may steer the terminal.
    lines = [visible(line) for line in str(diagnostic).split("\n")]
    text = Text("\n".join(lines))
    text.stylize(_STYLES[diagnostic.severity], 0, lines[0].find(":") + 1)
    return text


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done: a spinner, or lines without a terminal."""
    console = stderr()
    if not console.is_terminal:
        yield lambda stage: console.print(f"actc: {stage}", markup=False, soft_wrap=True)
        return
    with console.status("") as status:
        yield lambda stage: status.update(Text(stage))


@contextlib.contextmanager
def stdout_reserved() -> Iterator[None]:
    """Send to stderr what libraries, also those in C, print on stdout.

    Only so can --json promise exactly one document.
    """
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # the buffer of C's stdout
        os.dup2(saved, 1)
        os.close(saved)
