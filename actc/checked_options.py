"""All that is wrong with the options of a compilation, at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from actc.allocation import parse_budget
from actc.compile_options import Options, checked_target
from actc.diagnostics import Diagnostic
from actc.errors import Problems, UsageError
from actc.overrides import checked, require_free
from actc.targets.base import Target


def checked_options(options: Options, passes: object, dry_run: bool) -> tuple[Options, Target]:
    """Options with their budget and overrides read, and the target that they name.

    Args:
        options: as the user gave them.
        passes: a pipeline of the user's, or None.
        dry_run: whether no tool is needed.

    Raises:
        UsageError: options have no such value, or no meaning beside others; all of them.
        MissingTool: the target needs a tool that is not there.
    """
    problems = Problems()
    amount = None if options.budget is None else problems.attempt(parse_budget, options.budget)
    given = problems.attempt(checked, options.overrides)
    options = replace(
        options,
        budget=None if amount is None else str(amount),
        overrides=checked({}) if given is None else given,
    )
    toolless = dry_run or bool(problems.found)  # what is written wrongly comes first
    machine = problems.attempt(checked_target, options, toolless)
    problems.attempt(require_free, options, passes)
    if problems.found or machine is None:
        raise UsageError(problems.found)
    return options, machine


def option_problems(given: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    """What `compile` would say about options, before it reads model and data; no tool is sought.

    Args:
        given: arguments of `compile` by name.
    """
    names = {item.name for item in fields(Options)}
    chosen = {name: value for name, value in given.items() if name in names}
    chosen["overrides"] = chosen.get("overrides") or {}
    try:
        checked_options(Options(**chosen), given.get("passes"), dry_run=True)
    except UsageError as error:
        return error.diagnostics
    return ()
