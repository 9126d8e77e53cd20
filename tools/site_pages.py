"""Pages of the documentation site that are written from the code, and pages from elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

import site_messages
import typer

import actc
from actc.cli.application import COMMANDS, GROUPS, app
from actc.codes import CODES

# Pages that lie outside docs/, and their names in the site.
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "examples/README.md": "examples.md",
}
_ROW = re.compile(r"^\|.*$", re.MULTILINE)
_CODE = re.compile(r"`[^`]+`")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)]*)?\)")


def api() -> str:
    """The reference of the Python package: all that `actc` exports, functions first."""
    functions = sorted(name for name in actc.__all__ if name.islower())
    classes = sorted(set(actc.__all__) - set(functions))
    parts = ["# Python", "Written from the docstrings of all that `import actc` offers."]
    parts += [f"::: actc.{name}" for name in [*functions, *classes]]
    return "\n\n".join(parts) + "\n"


def cli() -> str:
    """The reference of the command line: usage, arguments and options of every command."""
    parts = [
        "# Command line",
        "Written from the commands themselves; `actc COMMAND --help` prints the same. Every "
        "command takes `--json`, which makes its standard output one JSON document.",
    ]
    group: Any = typer.main.get_command(app)
    for name in COMMANDS:
        parts += _command(name, group.commands[name])
    for name in GROUPS:
        for second, command in group.commands[name].commands.items():
            parts += _command(f"{name} {second}", command)
    return "\n\n".join(parts) + "\n"


def diagnostics() -> str:
    """The index of diagnostic codes: what each means, and what to do."""
    parts = [
        "---\nhide: [toc]\n---",
        "# Diagnostics",
        "Every error, warning and note carries a code: `error[ACT0001]: ...`. This page is "
        f"written from the same table as `actc explain CODE`: {len(CODES)} codes. The examples "
        "are texts of the code itself, with names such as `<target>` for what is put into them.",
        _table(("code", "meaning"), _code_rows()),
    ]
    for code, info in sorted(CODES.items()):
        title = f"## {code}: {plain(info.title)} {{#{code.lower()}}}"
        shown = "\n\n".join(example.text for example in site_messages.examples(code))
        parts += [title, plain(info.explanation), f"```text\n{shown}\n```"]
    return "\n\n".join(parts) + "\n"


def resolve(markdown: str, source: str, sources: dict[str, str]) -> str:
    """`markdown` with its links rewritten for the site.

    Args:
        markdown: text of the page.
        source: path of the page in the repository, such as "docs/cpu.md".
        sources: path in the repository -> path in the site, of every page.

    Returns:
        the text; links to pages lead to them in the site, links to other files of the
        repository, which are not part of the site, became their names.
    """
    folder = posixpath.dirname(sources[source])

    def replaced(match: re.Match[str]) -> str:
        path = posixpath.normpath(
            posixpath.join(posixpath.dirname(source), match["target"])
        ).rstrip("/")
        if path in sources:
            target = posixpath.relpath(sources[path], folder or ".")
            return f"[{match['text']}]({target}{match['anchor'] or ''})"
        if path.startswith("docs/") and not path.endswith(".md"):
            return match[0]  # a picture or a file of the site
        bare = match["text"].strip("`")
        return f"`{path}`" if path.endswith(bare) else f"{match['text']} (`{path}`)"

    return "".join(
        part if fenced else _unescaped(_LINK.sub(replaced, part))
        for part, fenced in _prose(markdown)
    )


def plain(text: str) -> str:
    """`text` for a page: what would be taken for HTML or for a link outside of code is escaped."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([<>\[\]*_|\\])", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _unescaped(markdown: str) -> str:
    """Bars in the code of tables without the backslash, which Python-Markdown would show."""
    return _ROW.sub(
        lambda row: _CODE.sub(lambda code: code[0].replace("\\|", "|"), row[0]), markdown
    )


def _prose(markdown: str) -> Iterator[tuple[str, bool]]:
    """The text in parts, each with whether it is a fenced block."""
    for position, part in enumerate(re.split(r"(^ *```.*?^ *```$)", markdown, flags=re.M | re.S)):
        yield part, position % 2 == 1


def _code_rows() -> Iterator[tuple[str, str]]:
    for code, info in sorted(CODES.items()):
        yield f"[{code}](#{code.lower()})", plain(info.title)


def _command(name: str, command: Any) -> Iterator[str]:
    shown = [p for p in command.params if not p.hidden]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    options = [p for p in shown if p.param_type_name == "option"]
    words = [_metavar(p) if p.required else f"[{_metavar(p)}]" for p in arguments]
    yield f"## actc {name}"
    yield plain(command.help or "").strip()
    yield "```text\n" + " ".join(["actc", name, *words, "[OPTIONS]"]) + "\n```"
    rows = [(f"`{_metavar(p)}`", _cell(p)) for p in arguments]
    rows += [(_option(p), _cell(p)) for p in options]
    yield _table(("argument or option", ""), rows)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper().replace("_", "-"))


def _option(parameter: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    value = "" if parameter.is_flag else f" {_metavar(parameter)}"
    return f"`{names}{value}`"


def _cell(parameter: Any) -> str:
    text = plain(getattr(parameter, "help", None) or "")
    default = parameter.default
    if not isinstance(default, (str, int, float)) or isinstance(default, bool) or default == "":
        return text
    return f"{text} (default: `{default}`)"


def _table(head: tuple[str, str], rows: Any) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {left} | {right} |" for left, right in rows)])


# Pages that are written when the site is built, and by what.
GENERATED = {
    "reference/api.md": api,
    "reference/cli.md": cli,
    "reference/diagnostics.md": diagnostics,
}
