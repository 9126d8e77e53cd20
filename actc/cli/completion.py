"""actc completion: what a shell runs to complete the words of a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome
from actc.codes import CODES
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets import TARGETS

# The words so far go to `actc completion SHELL -- WORDS`; where it has nothing to offer, the
# shell completes names of files.
_SCRIPTS = {
    "bash": """\
_actc_completion() {
    local IFS=$'\\n'
    COMPREPLY=($(actc completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _actc_completion actc
""",
    "zsh": """\
#compdef actc
_actc() {
    local -a found
    found=(${(f)"$(actc completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( ${#found} )); then compadd -a found; else _files; fi
}
compdef _actc actc
""",
    "fish": """\
function __actc_completion
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    set -l found (actc completion fish -- $words 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c actc -f -a '(__actc_completion)'
""",
}
_CHOICE = re.compile(r"[a-z0-9][a-z0-9-]*")


def run(
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="whose script to print")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- WORDS]", help="complete the last of these instead"),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Print the script that completes commands, options and names in a shell."""
    if shell not in _SCRIPTS:
        message, known = f"there is no completion for '{shell}'", ", ".join(_SCRIPTS)
        raise UsageError(Diagnostic("ACT0201", message, help=f"choose one of: {known}"))
    if words is None:
        script = _SCRIPTS[shell]
        return Outcome({"shell": shell, "script": script}, Text(script.rstrip("\n")))
    found = candidates(words)
    return Outcome({"candidates": found}, Text("\n".join(found)) if found else "")


def candidates(words: Sequence[str]) -> list[str]:
    """What the last of some words may become; nothing where any file may stand.

    Args:
        words: of a command line, without the program; the last may be empty or unfinished.
    """
    from actc.cli.application import app  # which imports this module

    *before, last = words or [""]
    command: Any = typer.main.get_command(app)
    while before and before[0] in getattr(command, "commands", {}):
        command = command.commands[before.pop(0)]
    return sorted(word for word in _offered(command, before, last) if word.startswith(last))


def _offered(command: Any, before: Sequence[str], last: str) -> Iterable[str]:
    """What may stand behind a command and the words `before`."""
    options = {name: item for item in command.params for name in item.opts if name[:1] == "-"}
    taking = options.get(before[-1]) if before else None
    if taking is not None and not taking.is_flag:
        return _values(taking)
    if last.startswith("-"):
        return ["--help", *(name for name in options if name.startswith("--"))]
    if hasattr(command, "commands"):
        return command.commands if not before else ()
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    at = len(_given(before, options))
    return _values(arguments[at]) if at < len(arguments) else ()


def _given(before: Sequence[str], options: dict[str, Any]) -> list[str]:
    """The arguments among words: no options, and not what stands behind one."""
    found, skip = [], False
    for word in before:
        if not skip and not word.startswith("-"):
            found.append(word)
        skip = not skip and word in options and not options[word].is_flag
    return found


def _values(parameter: Any) -> Iterable[str]:
    """What an option or argument takes: names that are known, or what its metavar lists."""
    if parameter.name == "target":
        return TARGETS.references()
    if parameter.name == "code":
        return CODES
    metavar = str(parameter.metavar or "")
    if metavar.startswith("NAME"):
        from actc.approx.catalogue import CATALOGUE  # brings scipy

        return [entry.name for entry in CATALOGUE]
    return [word for word in metavar.split("|") if "|" in metavar and _CHOICE.fullmatch(word)]
