"""actc cache: what is kept of earlier runs, and how to be rid of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import Enum
from typing import Annotated, Any

import typer
from rich.text import Text

from actc.cache import (
    SIZE,
    Cache,
    Pruned,
    default,
    directory,
    disabled,
    limit,
    parse_size,
    take_notices,
)
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.report.format import visible

NoCache = Annotated[
    bool,
    typer.Option("--no-cache", help="take nothing from the cache, and keep nothing (`actc cache`)"),
]


def caching(switched_off: bool) -> AbstractContextManager[None]:
    """The context of a command that has `--no-cache`.

    Raises:
        UsageError: ACT0252, the size in the environment is none: said before anything runs.
    """
    limit()
    return disabled(switched_off)


class Action(str, Enum):
    """What to do."""

    info = "info"
    prune = "prune"
    clear = "clear"


def run(
    action: Annotated[
        Action,
        typer.Argument(
            metavar="info|prune|clear",
            help="show what is kept; remove what is damaged or exceeds the size; remove all",
        ),
    ] = Action.info,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help=f"of prune: what may stay, 500MB say; default: {SIZE}"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Show or shorten the cache of syntheses, placements and tuned schedules."""
    if size is not None and action is not Action.prune:
        message = f"--size has no meaning for `actc cache {action.value}`"
        raise UsageError(Diagnostic("ACT0224", message, help="it limits `actc cache prune`"))
    most, place = limit(), directory()
    if place is None:
        default()  # says why
        return _outcome({"directory": None, "limit": most, "kinds": []}, "there is no cache")
    cache = Cache(place, most)
    if action is Action.info:
        return _info(cache)
    if action is Action.prune:
        return _removed(cache, cache.prune(None if size is None else parse_size(size, "--size")))
    return _removed(cache, cache.clear())


def _info(cache: Cache) -> Outcome:
    kinds = cache.kinds()
    total = sum(kind.bytes for kind in kinds)
    document = {
        "directory": str(cache.root),
        "limit": cache.limit,
        "bytes": total,
        "kinds": [{"kind": k.name, "entries": k.entries, "bytes": k.bytes} for k in kinds],
    }
    switched_off = "" if cache.limit else f", switched off by {SIZE}"
    lines = [visible(str(cache.root))]
    lines += [f"  {k.name:14}{k.entries:8} entries{_size(k.bytes):>14}" for k in kinds]
    lines += [f"  {_size(total)} of at most {_size(cache.limit)}{switched_off}"]
    return _outcome(document, "\n".join(lines))


def _removed(cache: Cache, found: Pruned) -> Outcome:
    document = {
        "directory": str(cache.root),
        "removed": {"entries": found.entries, "bytes": found.bytes, "damaged": found.damaged},
        "bytes": found.kept,
    }
    damaged = f", {found.damaged} of them damaged" if found.damaged else ""
    removed = f"removed {found.entries} entries, {_size(found.bytes)}{damaged}"
    return _outcome(document, f"{removed}; {_size(found.kept)} stay")


def _outcome(document: dict[str, Any], text: str) -> Outcome:
    notices = [notice.to_json() for notice in take_notices()]
    return Outcome({**document, "diagnostics": notices}, Text(text))


def _size(count: int) -> str:
    """Bytes in the units that `parse_size` reads."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
