"""Runs the code blocks of pages, in the order of the page.

A page gets an empty folder with links to the examples. Blocks of `console` run line by line in a
shell that begins in that folder, stops at the first command that fails, and is new for each block;
those of `python` run in one process per page; those of `toml` are parsed. Lines of `console`
blocks that begin with no `$` are the expected output of the command before them: `...` stands for
any text, and alone on a line for any lines. A comment above a block changes that:

    <!-- not run: REASON -->        the block needs what is not here, or too long
    <!-- tested by: FILE -->        a test runs it; or a page, or the Makefile, runs the same lines
    <!-- installs: REASON -->       what it names is compared with pyproject.toml and the pins
    <!-- fragment: REASON -->       the names it uses are the reader's: it is compiled, and what it
                                    imports is imported
    <!-- file: PATH -->             the block is the contents of this file
    <!-- before: COMMAND -->        first run this, which the reader has done in another way
    <!-- given: PYTHON -->          first execute this, which makes the names that the block uses
    <!-- run as: OLD => NEW; ... -->  a smaller number, or a simulation, in the place of what the
                                    page shows; everything else of the block runs as it stands
    <!-- stand-ins: NAME -->        programs of doc_stand_ins.py are on PATH, before all others

A page that calls `make` gets the Makefile, and an environment that is set up already.
`python tests/doc_snippets.py` lists what is not run.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from doc_stand_ins import STAND_INS

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("console", "bash", "python", "toml")
MINUTES = 10
_KINDS = ("not run", "installs", "tested by", "fragment")
_BLOCK = re.compile(
    r"(?P<comments>(?:^ *<!--(?:(?!-->).)*?-->\n+)*)"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(
    r"<!-- *(not run|installs|tested by|fragment|file|before|given|run as|stand-ins): *(.*?) *-->",
    re.DOTALL,
)
_PYTHON = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
names = {"__name__": "__main__"}
for line in sys.stdin:
    code, error = json.loads(line), ""
    try:
        exec(compile(code, "block", "exec"), names)
    except BaseException:
        error = traceback.format_exc()
    sys.stdout.flush()
    print(json.dumps(error), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: path of the page in the repository.
        line: where the block begins.
        language: as the fence names it.
        text: without the fence and its indentation.
        comments: kind -> text of the comments above it.
    """

    page: str
    line: int
    language: str
    text: str
    comments: dict[str, str]

    @property
    def runs(self) -> bool:
        """Whether it is executed here."""
        return not {"not run", "installs", "tested by"} & set(self.comments)

    @property
    def executed(self) -> str:
        """The text that runs: what `run as` names is replaced, and must be there."""
        text = self.text
        for pair in filter(None, self.comments.get("run as", "").split("; ")):
            shown, _, instead = pair.partition(" => ")
            if shown not in text:
                raise SnippetError(f"{self.page}:{self.line}: no {shown!r} to run as {instead!r}")
            text = text.replace(shown, instead)
        return text


class SnippetError(AssertionError):
    """A block failed, or printed something else."""


def pages() -> list[str]:
    """The README and all pages of the folder docs/."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(path.relative_to(ROOT).as_posix() for path in found)]


def blocks(page: str) -> list[Block]:
    """The blocks of a page that are in one of the languages that can run."""
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("indent")) + 1,
            match["language"],
            re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE),
            {
                kind: said if kind == "given" else " ".join(said.split())
                for kind, said in _COMMENT.findall(match["comments"])
            },
        )
        for match in _BLOCK.finditer(text)
        if match["language"] in LANGUAGES
    ]


def run_page(page: str, folder: Path) -> None:
    """Run all blocks of a page in an empty folder.

    Raises:
        SnippetError: the first block that fails, with its line and what it printed.
    """
    for name in ("examples", "benchmarks", "tests"):
        (folder / name).symlink_to(ROOT / name)
    found = [block for block in blocks(page) if block.runs]
    if any("$ make " in block.text for block in found):
        _set_up_make(folder)
    with _Python(folder) as python:
        for block in found:
            _run(block, folder, python)


def _set_up_make(folder: Path) -> None:
    """The Makefile, with this interpreter's environment as the one that it would set up."""
    (folder / "Makefile").symlink_to(ROOT / "Makefile")
    environment = folder / ".venv"
    environment.mkdir()
    for path in Path(sys.prefix).iterdir():
        if not path.name.startswith("."):
            (environment / path.name).symlink_to(path)
    for name in ("constraints.txt", "constraints-hashes.txt", "pyproject.toml", "tools"):
        (folder / name).symlink_to(ROOT / name)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name in re.findall(r"^\$\(VENV\)/(\.\w+):", makefile, re.MULTILINE):  # in their order
        (environment / name).touch()


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with the output that is expected."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        match = re.match(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", part, re.DOTALL)
        assert match is not None
        yield match[1].strip(), match[2]


def lines(text: str) -> list[str]:
    """The commands of a console block, each on one line, without what a `#` says."""
    return [
        re.sub(r"\s+", " ", re.sub(r" +#.*", "", command).replace("\\\n", " ")).strip()
        for command, _ in commands(text)
    ]


def shown(page: str, tester: str) -> list[list[str]]:
    """The words of each command that a page shows and a test runs (`tested by`)."""
    return [
        shlex.split(line)
        for block in blocks(page)
        if block.comments.get("tested by") == tester
        for line in lines(block.text)
    ]


def agrees(expected: str, printed: str) -> bool:
    """Whether the output is as expected, which may hold `...` for any text or lines."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(map(re.escape, line.rstrip().split("..."))) + r" *\n"
    return (
        re.fullmatch(pattern, "\n".join(map(str.rstrip, printed.splitlines())) + "\n") is not None
    )


class _Python:
    """One interpreter for the blocks of a page, started when the first one comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> _Python:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate(timeout=60)

    def run(self, code: str, block: Block) -> None:
        """Execute a block's code among the names of those before it."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PYTHON],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self._folder,
                env=_environment(),
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        limit = threading.Timer(60 * MINUTES, self._process.kill)
        limit.start()
        try:
            self._process.stdin.write(json.dumps(code) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            limit.cancel()
        error = json.loads(answer) if answer else "the interpreter ended"
        if error:
            raise SnippetError(f"{block.page}:{block.line}:\n{error}")


def _run(block: Block, folder: Path, python: _Python) -> None:
    shell = _Shell(block, folder)
    if "before" in block.comments:
        shell.run(block.comments["before"])
    if "given" in block.comments:
        python.run(block.comments["given"], block)
    if "file" in block.comments:
        path = folder / block.comments["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.executed, "utf-8")
    elif block.language == "python":
        code = block.executed
        python.run(_imports(code) if "fragment" in block.comments else code, block)
    elif block.language == "toml":
        _parse_toml(block)
    elif block.language == "bash":
        shell.run(block.executed)
    else:
        _console(block, shell)


def _console(block: Block, shell: _Shell) -> None:
    for command, expected in commands(block.executed):
        printed = shell.run(command)
        if expected.strip() and not agrees(expected, printed):
            raise SnippetError(
                f"{block.page}:{block.line}: $ {command}\n"
                f"--- expected:\n{expected}--- printed:\n{printed}"
            )


class _Shell:
    """The shell of one block: its folder and its exported variables last to the end."""

    def __init__(self, block: Block, folder: Path) -> None:
        self._block = block
        self._folder = folder
        self._state = folder / ".shell"
        self._state.write_text("", "utf-8")
        self._environment = _environment()
        if name := block.comments.get("stand-ins"):
            programs = folder / ".stand-ins" / name.replace(" ", "-")
            STAND_INS[name](programs)
            self._environment["PATH"] = f"{programs}{os.pathsep}{self._environment['PATH']}"

    def run(self, script: str) -> str:
        """What a script prints; it must end with status 0."""
        state = shlex.quote(str(self._state))
        kept = f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {state}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", f". {state}\n{script}\n{kept}"],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
        )
        if done.returncode != 0:
            raise SnippetError(
                f"{self._block.page}:{self._block.line}: status {done.returncode} of\n{script}\n"
                f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        return done.stdout


def _imports(code: str) -> str:
    """What a fragment imports, and nothing else of it; all of it must be Python."""
    tree = ast.parse(code)
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(map(ast.unparse, found))


def _parse_toml(block: Block) -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    tomllib.loads(block.text)


def _environment() -> dict[str, str]:
    here = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "Agg"}


def _list() -> None:
    """Print what is not run, and why."""
    everything = [block for page in pages() for block in blocks(page)]
    for block in everything:
        for kind in _KINDS:
            if kind in block.comments:
                print(f"{block.page}:{block.line}: {kind}: {block.comments[kind]}")
    counts = {kind: sum(kind in block.comments for block in everything) for kind in _KINDS}
    run = len(everything) - sum(counts.values())
    print(f"{len(everything)} blocks: {run} run, {counts}")


if __name__ == "__main__":
    _list()
