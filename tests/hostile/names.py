"""A network whose every name is an injection, and what must not come of it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import onnx

from hostile.networks import good

MARK = "EVIL"
INJECTION = (
    f'n\n*/");{MARK}();//[exec {MARK}]$({MARK})`{MARK}`<script>{MARK}()</script>%n{{{{{MARK}}}}}'
    f"\x1b[31m\u202e'''\"\"\"'; {MARK}; -- ../../{MARK}\\"
)
"""Ends comments, strings and lines of C, Verilog, Tcl, Python, shells, make and HTML."""

_LOOSE = re.compile(rf"[^\w\s]{MARK}|exec {MARK}")
_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_PATH = re.compile(r"[A-Za-z0-9_.\-]+(/[A-Za-z0-9_.\-]+)*")
_DATA = (".onnx", ".bin", ".npz", ".so")
_PROSE = (".txt", ".md", ".rst")


def hostile_names(text: str = INJECTION) -> onnx.ModelProto:
    """The good network, with a text in every text that it holds."""
    model = good()
    graph = model.graph
    for node in graph.node:
        node.name, node.doc_string = text + node.name, text
        for names in (node.input, node.output):
            names[:] = [text + name for name in names]
    for value in (*graph.input, *graph.output):
        value.name, value.doc_string = text + value.name, text
        value.type.tensor_type.shape.dim[0].dim_param = text
    graph.initializer[0].name = text + graph.initializer[0].name
    graph.initializer[0].doc_string = text
    graph.name = graph.doc_string = text
    model.producer_name = model.producer_version = model.domain = text
    model.doc_string = text
    entry = model.metadata_props.add()
    entry.key = entry.value = text
    return model


def escapes(path: str, content: bytes) -> Iterator[str]:
    """What of a written file is more than a text: empty when all names are harmless.

    Args:
        path: relative path of the file.
        content: its bytes.
    """
    if not _PATH.fullmatch(path) or ".." in path:
        yield f"the path {path!r}"
    if path.endswith(_DATA):
        return
    text = content.decode("utf-8")
    if path.endswith(".json"):
        json.loads(text)  # whose strings may hold any character but control characters
        return
    elif path.endswith(".py"):
        yield from _in_python(path, text)
    elif path.endswith(".html"):
        if re.search(rf"<script[^>]*>[^<]*{MARK}\(", text):
            yield f"{path}: a script"
    elif not path.endswith(_PROSE):
        # What a comment or a string holds is harmless as long as it does not end it.
        left = _COMMENTS.sub(" ", text)
        yield from (f"{path}: {line!r}" for line in left.splitlines() if _LOOSE.search(line))
    if any(not (c.isprintable() or c in "\n\t\r") for c in text):
        yield f"{path}: control characters"


def _in_python(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Name, ast.Attribute)) and MARK in ast.unparse(node):
            yield f"{path}: {ast.unparse(node)}"
