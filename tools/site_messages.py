"""What diagnostics look like: the texts of the places in the code that make them.

Every `Diagnostic("ACT...", message, ...)` in the packages is read, without executing it. What is
put into a text while actc runs is shown by its name: `<target>`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from actc.codes import CODES

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("actc", "approx", "numerics", "passes", "targets")
MOST = 2
"""Examples of one code."""
_ORDER = ("code", "message", "severity", "place", "notes", "help")
Names = Mapping[str, ast.expr]


@dataclass(frozen=True)
class Example:
    """A diagnostic as it is printed, with names in the place of values.

    Attributes:
        text: its lines.
        message: of its first line, or "" where the code does not tell.
    """

    text: str
    message: str


def examples(code: str) -> list[Example]:
    """How the diagnostics of a code read: one at least, the fullest first."""
    found = sorted(set(_all().get(code, ())), key=lambda e: (-e.text.count("\n"), e.text))
    if found:
        return found[:MOST]
    return [Example(f"error[{code}]: {CODES[code].title}", "")]


@functools.cache
def _all() -> dict[str, list[Example]]:
    """Code -> the examples of it in all packages."""
    found: dict[str, list[Example]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for code, example in _of_module(ast.parse(path.read_text("utf-8"))):
                found.setdefault(code, []).append(example)
    return found


def _of_module(tree: ast.Module) -> Iterator[tuple[str, Example]]:
    shared = _assigned(tree.body)
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.Lambda))]
    inside: dict[ast.AST, Names] = {}
    for function in functions:  # the innermost one comes last
        own = _assigned(function.body) if isinstance(function, ast.FunctionDef) else {}
        for node in ast.walk(function):
            inside[node] = {**shared, **own}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) == "Diagnostic":
            given = dict(zip(_ORDER, node.args, strict=False))
            given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            code = given.get("code")
            if isinstance(code, ast.Constant) and code.value in CODES:
                made = _example(str(code.value), given, inside.get(node, shared))
                if made is not None:
                    yield str(code.value), made


def _example(code: str, given: Mapping[str, ast.expr], names: Names) -> Example | None:
    message = _text(given.get("message"), names)
    if not any(part.strip() for part in message.replace(">", "<").split("<")[::2]):
        return None  # nothing of it stands here
    severity = _text(given.get("severity"), names) if "severity" in given else "error"
    if severity not in ("error", "warning", "note"):
        severity = "error"
    lines = [f"{severity}[{code}]: {message}"]
    if "place" in given and (place := _place(given["place"], names)):
        lines.append(f"  --> {place}")
    notes = given.get("notes")
    if isinstance(notes, ast.Tuple):
        lines += [f"  note: {_text(note, names)}" for note in notes.elts]
    if "help" in given and (said := _text(given["help"], names)):
        lines.append(f"  help: {said}")
    return Example("\n".join(lines), message)


def _place(node: ast.expr, names: Names) -> str:
    """`Place(file, node, op)` as it is printed."""
    if not isinstance(node, ast.Call) or _name(node.func) != "Place":
        return f"<{_name(node) or 'place'}>"
    given = dict(zip(("file", "node", "op"), node.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    file, name, op = (_text(given.get(key), names) for key in ("file", "node", "op"))
    where = f"node '{name}'" if name else ""
    if op:
        where = f"{where} ({op})" if where else f"operator {op}"
    return ": ".join(part for part in (file, where) if part)


def _text(node: ast.expr | None, names: Names) -> str:
    """A string expression, with names for what is not a literal."""
    match node:
        case None:
            return ""
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, names) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) if isinstance(
            names.get(name), ast.Constant
        ):
            return str(ast.literal_eval(names[name]))
        case ast.FormattedValue(value=value):
            return f"<{_name(value) or '...'}>"
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, names) + _text(right, names)
        case ast.IfExp(body=body):
            return _text(body, names)
        case ast.Name(id=name) if name in names:
            return _text(names[name], {k: v for k, v in names.items() if k != name})
        case _:
            return f"<{_name(node) or '...'}>"


def _name(node: ast.expr) -> str:
    """What an expression is called, by its last name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(func=ast.Name(id="len" | "str" | "repr" | "sorted"), args=[first, *_]):
            return _name(first)
        case ast.Call(func=ast.Attribute(attr="join"), args=[first, *_]):
            return _name(first)
        case ast.Call(func=function):
            return _name(function)
        case ast.Subscript(value=value) | ast.Starred(value=value):
            return _name(value)
        case ast.GeneratorExp(generators=[first, *_]) | ast.ListComp(generators=[first, *_]):
            return _name(first.iter)
    return ""


def _assigned(body: list[ast.stmt]) -> Names:
    """Name -> what is assigned to it; the first time, where there are several."""
    found: dict[str, ast.expr] = {}
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, node.value)
    return found
