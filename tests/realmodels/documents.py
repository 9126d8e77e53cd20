"""Documents of known type, made from random words and numbers."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Rng = np.random.Generator

WORDS: dict[str, list[str]] = json.loads(Path(__file__).with_name("words.json").read_text())
NAMES, PROSE = WORDS["names"], WORDS["prose"]


def make_document(rng: Rng) -> tuple[bytes, str]:
    """Make one document; returns its content and magika's name of its type."""
    names = sorted(MAKERS)
    name = names[int(rng.integers(len(names)))]
    return MAKERS[name](rng), name


def word(rng: Rng) -> str:
    """One identifier."""
    return str(rng.choice(NAMES))


def words(rng: Rng, low: int, high: int) -> list[str]:
    """Several different identifiers, `low` to `high` - 1 of them."""
    return [str(w) for w in rng.choice(NAMES, int(rng.integers(low, high)), replace=False)]


def sentence(rng: Rng) -> str:
    """One English-looking sentence."""
    chosen = [str(w) for w in rng.choice(PROSE, int(rng.integers(5, 14)))]
    chosen[int(rng.integers(len(chosen)))] = word(rng)
    return " ".join(chosen).capitalize() + "."


def paragraph(rng: Rng) -> str:
    """Two to five sentences."""
    return " ".join(sentence(rng) for _ in range(int(rng.integers(2, 6))))


def number(rng: Rng) -> str:
    """An integer or a decimal number."""
    if rng.random() < 0.5:
        return str(rng.integers(0, 5000))
    return f"{rng.normal(0, 100):.3f}"


def repeat(rng: Rng, make: Callable[[Rng], str], low: int = 5, high: int = 40) -> str:
    """Join `low` to `high` - 1 parts made by `make` with line breaks."""
    return "\n".join(make(rng) for _ in range(int(rng.integers(low, high))))


def make_json(rng: Rng) -> bytes:
    """An array of records with a nested object."""
    keys = words(rng, 3, 7)
    records = [
        {**{k: float(number(rng)) for k in keys}, "id": i, "tags": words(rng, 1, 4)}
        for i in range(int(rng.integers(2, 20)))
    ]
    return json.dumps({word(rng): records, "version": 2}, indent=2).encode()


def make_csv(rng: Rng) -> bytes:
    """A header and rows of numbers and words."""
    keys = words(rng, 4, 9)
    rows = [",".join(keys)]
    for i in range(int(rng.integers(20, 80))):
        rows.append(",".join([str(i), word(rng), *(number(rng) for _ in keys[2:])]))
    return ("\n".join(rows) + "\n").encode()


def make_html(rng: Rng) -> bytes:
    """A page with a head, headings, paragraphs and links."""

    def section(rng: Rng) -> str:
        link = f'<a href="/{word(rng)}/{word(rng)}.html" class="{word(rng)}">{word(rng)}</a>'
        inner = f"    <h2>{word(rng)}</h2>\n    <p>{paragraph(rng)} {link}</p>"
        return f'  <div id="{word(rng)}">\n{inner}\n  </div>'

    head = f'<head>\n  <meta charset="utf-8">\n  <title>{sentence(rng)}</title>\n</head>'
    body = repeat(rng, section, 3, 12)
    return f"<!DOCTYPE html>\n<html>\n{head}\n<body>\n{body}\n</body>\n</html>\n".encode()


def make_css(rng: Rng) -> bytes:
    """Rules with usual properties."""

    def rule(rng: Rng) -> str:
        color = "#" + "".join(rng.choice(list("0123456789abcdef"), 6))
        return (
            f".{word(rng)}-{word(rng)} {{\n  color: {color};\n  margin: 0 {rng.integers(40)}px;\n"
            f"  font-size: {rng.integers(8, 40)}px;\n  display: block;\n}}\n"
        )

    return repeat(rng, rule).encode()


def make_xml(rng: Rng) -> bytes:
    """Elements with attributes."""
    tag, key = word(rng), word(rng)

    def element(rng: Rng) -> str:
        return f'  <{tag} {key}="{number(rng)}">\n    <{key}>{sentence(rng)}</{key}>\n  </{tag}>'

    body = repeat(rng, element)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{key}s>\n{body}\n</{key}s>\n'.encode()


def make_yaml(rng: Rng) -> bytes:
    """Nested keys and lists."""

    def block(rng: Rng) -> str:
        items = "\n".join(f"    - {w}" for w in words(rng, 2, 5))
        return f"{word(rng)}:\n  {word(rng)}: {number(rng)}\n  {word(rng)}:\n{items}"

    return f"---\n{repeat(rng, block)}\n".encode()


def make_toml(rng: Rng) -> bytes:
    """Tables with strings, numbers and lists."""

    def table(rng: Rng) -> str:
        listed = ", ".join(f'"{w}"' for w in words(rng, 1, 4))
        return (
            f'[{word(rng)}.{word(rng)}]\n{word(rng)} = "{word(rng)}"\n'
            f"{word(rng)} = {number(rng)}\n{word(rng)} = [{listed}]\nenabled = true\n"
        )

    return repeat(rng, table, 4, 20).encode()


def make_ini(rng: Rng) -> bytes:
    """Sections of keys and values."""

    def section(rng: Rng) -> str:
        lines = [f"{w} = {number(rng)}" for w in words(rng, 2, 6)]
        return "\n".join([f"[{word(rng)}]", f"; {sentence(rng)}", *lines, ""])

    return repeat(rng, section, 4, 20).encode()


def make_markdown(rng: Rng) -> bytes:
    """Headings, lists, code and links."""

    def section(rng: Rng) -> str:
        items = "\n".join(f"- **{w}**: {sentence(rng)}" for w in words(rng, 2, 5))
        code = f"```python\nimport {word(rng)}\n```"
        return f"## {word(rng).capitalize()}\n\n{paragraph(rng)}\n\n{items}\n\n{code}\n"

    return f"# {word(rng).capitalize()}\n\n{repeat(rng, section, 3, 10)}".encode()


def make_c(rng: Rng) -> bytes:
    """Functions over arrays."""

    def function(rng: Rng) -> str:
        a, b, c = (str(w) for w in rng.choice(NAMES, 3, replace=False))
        return (
            f"static int {a}_{b}(const int *{c}, size_t n)\n{{\n    int sum = {rng.integers(9)};\n"
            f"    for (size_t i = 0; i < n; i++) {{\n        sum += {c}[i] * {rng.integers(99)};\n"
            f'    }}\n    printf("{a}: %d\\n", sum);\n    return sum;\n}}\n'
        )

    return f"#include <stdio.h>\n#include <stdlib.h>\n\n{repeat(rng, function, 3, 15)}".encode()


def make_python(rng: Rng) -> bytes:
    """Functions with docstrings."""

    def function(rng: Rng) -> str:
        a, b, c = (str(w) for w in rng.choice(NAMES, 3, replace=False))
        return (
            f'def {a}_{b}({c}, {b}={rng.integers(99)}):\n    """{sentence(rng)}"""\n'
            f"    for item in {c}:\n        if item is None:\n            continue\n"
            f"        {b} += item.{a}\n    return {b}\n\n"
        )

    return f"import os\nimport {word(rng)}\n\n\n{repeat(rng, function, 3, 15)}".encode()


def make_javascript(rng: Rng) -> bytes:
    """Functions and callbacks."""

    def function(rng: Rng) -> str:
        a, b, c = (str(w) for w in rng.choice(NAMES, 3, replace=False))
        return (
            f"function {a}{b.capitalize()}({c}) {{\n  const {b} = document.querySelector('#{a}');\n"
            f"  {b}.addEventListener('click', (event) => {{\n    console.log({c}, event);\n  }});\n"
            f"  return {c}.map((x) => x + {rng.integers(99)});\n}}\n"
        )

    return f"'use strict';\n\n{repeat(rng, function, 3, 15)}".encode()


def make_java(rng: Rng) -> bytes:
    """A class with getters."""

    def method(rng: Rng) -> str:
        name = word(rng)
        return (
            f"    public int get{name.capitalize()}() {{\n"
            f'        System.out.println("{sentence(rng)}");\n'
            f"        return this.{name} + {rng.integers(99)};\n    }}\n"
        )

    title = word(rng).capitalize()
    head = f"package com.{word(rng)}.{word(rng)};\n\nimport java.util.List;\n\n"
    return f"{head}public class {title} {{\n{repeat(rng, method, 3, 15)}\n}}\n".encode()


def make_sql(rng: Rng) -> bytes:
    """A table and its rows."""
    table, keys = word(rng), words(rng, 3, 6)
    columns = ",\n".join(f"  {key} INTEGER NOT NULL" for key in keys)

    def insert(rng: Rng) -> str:
        values = ", ".join(str(rng.integers(1000)) for _ in keys)
        return f"INSERT INTO {table} ({', '.join(keys)}) VALUES ({values});"

    return f"CREATE TABLE {table} (\n{columns}\n);\n\n{repeat(rng, insert)}\n".encode()


def make_shell(rng: Rng) -> bytes:
    """A script with loops and tests."""

    def step(rng: Rng) -> str:
        name = word(rng).upper()
        return (
            f'{name}="${{{name}:-{rng.integers(99)}}}"\nif [ -d "${name}" ]; then\n'
            f'  echo "{sentence(rng)}"\n  rm -rf "${name}/{word(rng)}"\nfi\n'
        )

    return f"#!/bin/bash\nset -euo pipefail\n\n{repeat(rng, step, 4, 15)}\n".encode()


def make_picture(rng: Rng, form: str) -> bytes:
    """A smooth random picture in a format of Pillow."""
    coarse = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    size = (int(rng.integers(24, 120)), int(rng.integers(24, 120)))
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, form)
    return buffer.getvalue()


def make_zip(rng: Rng) -> bytes:
    """An archive of documents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(int(rng.integers(2, 9))):
            archive.writestr(zipfile.ZipInfo(f"{word(rng)}/{i}.txt"), paragraph(rng) * 5)
    return buffer.getvalue()


def make_tar(rng: Rng) -> bytes:
    """An uncompressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for i in range(int(rng.integers(2, 9))):
            content = (paragraph(rng) * 5).encode()
            info = tarfile.TarInfo(f"{word(rng)}/{i}.txt")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def make_wave(rng: Rng) -> bytes:
    """A noisy tone."""
    buffer = io.BytesIO()
    tone = np.sin(np.arange(4000) * rng.uniform(0.02, 0.5)) + rng.normal(0, 0.1, 4000)
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(int(rng.choice([8000, 16000, 44100])))
        sound.writeframes((tone * 9000).astype("<i2").tobytes())
    return buffer.getvalue()


def compressed(compress: Callable[[bytes], bytes]) -> Callable[[Rng], bytes]:
    """Make a maker of compressed text."""
    return lambda rng: compress("\n".join(paragraph(rng) for _ in range(30)).encode())


def picture(form: str) -> Callable[[Rng], bytes]:
    """Make a maker of pictures in one format."""
    return lambda rng: make_picture(rng, form)


MAKERS: dict[str, Callable[[Rng], bytes]] = {
    "bmp": picture("BMP"),
    "bzip": compressed(bz2.compress),
    "c": make_c,
    "css": make_css,
    "csv": make_csv,
    "gif": picture("GIF"),
    "gzip": compressed(lambda text: gzip.compress(text, mtime=0)),
    "html": make_html,
    "ini": make_ini,
    "java": make_java,
    "javascript": make_javascript,
    "jpeg": picture("JPEG"),
    "json": make_json,
    "markdown": make_markdown,
    "png": picture("PNG"),
    "python": make_python,
    "shell": make_shell,
    "sql": make_sql,
    "tar": make_tar,
    "tiff": picture("TIFF"),
    "toml": make_toml,
    "txt": lambda rng: "\n\n".join(paragraph(rng) for _ in range(12)).encode(),
    "wav": make_wave,
    "webp": picture("WEBP"),
    "xml": make_xml,
    "xz": compressed(lzma.compress),
    "yaml": make_yaml,
    "zip": make_zip,
}
