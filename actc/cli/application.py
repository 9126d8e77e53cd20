"""The application: its commands, and how each ending becomes output and a status."""

from __future__ import annotations

import difflib
import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from typing import Annotated, Any

import typer

from actc.cache import take_notices
from actc.cli import (
    bisect,
    build,
    cache,
    check,
    compile,
    completion,
    config,
    doctor,
    explain,
    explore,
    fit,
    functions,
    inspect,
    reduce,
    report,
    reproduce,
    run,
    targets,
    verify,
)
from actc.cli.console import print_diagnostics, print_view, stderr, stdout_reserved
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.cli.signals import Ended, ending_signals
from actc.cli.streams import discard, no_output, open_streams, refused
from actc.diagnostics import Diagnostic
from actc.errors import ActcError, ExitStatus
from actc.report import render_json
from actc.toolchain import missing_package

app = typer.Typer(
    name="actc",
    help="The activation compiler: trained ONNX networks to integers, and what that costs.",
    add_completion=False,
    pretty_exceptions_enable=False,
    suggest_commands=False,
    rich_markup_mode=None,
)


def _with_stdout_reserved(command: Callable[..., Outcome]) -> Callable[..., Outcome]:
    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Outcome:
        with stdout_reserved():
            return command(*arguments, **options)

    return run


COMMANDS: dict[str, Callable[..., Outcome]] = {
    "compile": compile.run,
    "check": check.run,
    "bisect": bisect.run,
    "inspect": inspect.run,
    "explore": explore.run,
    "fit": fit.run,
    "verify": verify.run,
    "functions": functions.run,
    "build": build.run,
    "run": run.run,
    "targets": targets.run,
    "report": report.run,
    "reproduce": reproduce.run,
    "explain": explain.run,
    "cache": cache.run,
    "doctor": doctor.run,
    "completion": completion.run,
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., Outcome]]]] = {
    "config": ("Options of a compilation.", {"show": config.run}),
    "debug": ("What helps to find and report a fault.", {"reduce": reduce.run}),
}
"""Commands of two words: what a group is for, and its commands."""
for _name, _command in COMMANDS.items():
    app.command(_name)(_with_stdout_reserved(_command))
for _name, (_help, _commands) in GROUPS.items():
    _group = typer.Typer(help=_help, suggest_commands=False, rich_markup_mode=None)
    for _second, _command in _commands.items():
        _group.command(_second)(_with_stdout_reserved(_command))
    _group.callback()(lambda: None)  # also where it has one command only
    app.add_typer(_group, name=_name, help=_help)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
    json: Json = False,
    debug: Debug = False,
) -> Outcome | None:
    if context.invoked_subcommand is not None:
        return None
    if version:
        number = metadata.version("actc")
        return Outcome({"actc": number}, f"actc {number}")
    missing = Diagnostic("ACT0203", "no command is given", help="see `actc --help`")
    outcome = _failure([missing], ExitStatus.USAGE)
    return Outcome(outcome.document, context.get_help(), outcome.status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; None: `sys.argv`.

    Returns:
        the exit status, see `actc.errors.ExitStatus`.
    """
    open_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    flags = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in flags or os.environ.get("ACTC_DEBUG", "") not in ("", "0")
    try:
        with ending_signals():
            result = app(given, prog_name="actc", standalone_mode=False)
    except Ended as problem:
        stderr().print(f"actc: ended by {problem}", markup=False)
        return problem.status
    except Exception as problem:
        result = _failed(problem, given, debug)
    if isinstance(result, Outcome):
        return _show(result, "--json" in flags)
    return int(result or 0)  # --help, or 130 after an interrupt


def _failed(problem: Exception, given: Sequence[str], debug: bool) -> Outcome:
    """The outcome of a run that an exception ended."""
    if isinstance(problem, typer.TyperException):
        return _failure([_usage(problem, given)], ExitStatus.USAGE)
    if isinstance(problem, ModuleNotFoundError) and _is_optional(problem.name):
        module = str(problem.name)
        problem = missing_package(module, f"`actc doctor` says which target needs it: {module}")
    if isinstance(problem, MemoryError) or _found_no_room(problem):
        return _failure([_out_of_memory()], ExitStatus.MODEL)
    if isinstance(problem, ActcError) and problem.status is not ExitStatus.INTERNAL:
        return _failure(problem.diagnostics, problem.status)
    machine = refused(problem)
    if machine is not None:
        return _failure([machine], ExitStatus.USAGE)
    if debug:
        stderr().print("".join(traceback.format_exception(problem)), markup=False, soft_wrap=True)
    return _failure(_internal(problem), ExitStatus.INTERNAL)


_NO_ROOM = ("failed to map segment", "cannot allocate memory", "Cannot allocate memory")
"""What the loader of shared libraries says where memory ran out."""


def _found_no_room(problem: Exception) -> bool:
    """Whether a library could not be loaded, or a thread not be started, for want of memory."""
    text = str(problem)
    loaded = isinstance(problem, ImportError) and any(part in text for part in _NO_ROOM)
    return loaded or (isinstance(problem, RuntimeError) and text == "can't start new thread")


def _failure(diagnostics: Iterable[Diagnostic], status: ExitStatus) -> Outcome:
    found = [diagnostic.to_json() for diagnostic in diagnostics]
    return Outcome({"exit_status": int(status), "diagnostics": found}, status=status)


def _is_optional(module: str | None) -> bool:
    """Whether a missing module is somebody else's package, not a part of actc."""
    return module is not None and module.split(".")[0] != "actc"


def _internal(problem: Exception) -> list[Diagnostic]:
    if isinstance(problem, ActcError):
        return list(problem.diagnostics)
    return [
        Diagnostic(
            "ACT0901",
            f"internal error: {type(problem).__name__}: {problem}",
            help="please report it with the command line; --debug shows the traceback",
        )
    ]


def _out_of_memory() -> Diagnostic:
    return Diagnostic(
        "ACT0060",
        "there is not enough memory for this",
        help="check the shapes of the model and of the data, and any `ulimit -v`",
    )


def _usage(problem: typer.TyperException, given: Sequence[str]) -> Diagnostic:
    """The parser's complaint as a diagnostic, with the nearest name where one is wrong."""
    command = _command_of(given)
    see = f"see `{' '.join(('actc', command)).strip()} --help`"
    near = list(getattr(problem, "possibilities", None) or ())
    first = next((word for word in given if not word.startswith("-")), None)
    if not command and first is not None:
        known = (*COMMANDS, *GROUPS)
        near = [f"actc {name}" for name in difflib.get_close_matches(first, known, n=1)]
    message = (problem.message if near else problem.format_message()).rstrip(".")
    help_line = f"did you mean '{near[0]}'? {see}" if near else see
    return Diagnostic("ACT0203", message, help=help_line)


def _command_of(given: Sequence[str]) -> str:
    """The command, of one word or two, that arguments are for; "" if there is none."""
    words = [word for word in given if not word.startswith("-")]
    if words and words[0] in GROUPS:
        return " ".join(words[: 2 if words[1:2] and words[1] in GROUPS[words[0]][1] else 1])
    return next((word for word in words if word in COMMANDS), "")


def _show(outcome: Outcome, as_json: bool) -> int:
    # of the cache: nothing of results depends on them, so they are in no document
    print_diagnostics(notice.to_json() for notice in take_notices())
    print_diagnostics(outcome.document.get("diagnostics", ()))
    try:
        if as_json:
            sys.stdout.write(render_json(outcome.document))
        else:
            print_view(outcome.view)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away, as `head` does
        discard(sys.stdout)
    except OSError as problem:
        discard(sys.stdout)
        print_diagnostics([no_output(problem).to_json()])
        return int(outcome.status or ExitStatus.USAGE)
    return int(outcome.status)
