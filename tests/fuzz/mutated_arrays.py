"""Mutations of .npy and .npz files that keep most of their headers."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Sequence

_TYPES = (
    "<f4", "<f8", "<f2", "<f16", ">f4", "<i8", "<u1", "|b1", "|O", "<M8[s]", "<m8", "<U5", "<U0",
    "|S0", "|V4", "<c8", "<g", "x", "",
)  # fmt: skip
_SHAPES = ("(4, 3)", "(4,)", "()", "(0, 3)", "(-4, 3)", f"({2**40}, 3)", f"({2**63},)", "(4, 3")
_WORDS = (
    b"True", b"False", b"None", b"'descr'", b"[('a', '<f4')]", b"(", b")", b"{", b"}", b"'", b"\\",
    b"\n", b"\0", b"9" * 5000, b"PK\x03\x04", b"PK\x01\x02", b"\x93NUMPY\x03\x00",
)  # fmt: skip
_AS_ARCHIVE = 0.7
"""How often an archive is changed within, and packed again."""


def mutated_arrays(data: bytes, draw: random.Random) -> bytes | None:
    """A changed file; None where `data` is none of arrays."""
    if data.startswith(b"\x93NUMPY"):
        return _array(data, draw)
    members = _members(data)
    if not members or draw.random() > _AS_ARCHIVE:
        return _words(data, draw) if data.startswith(b"PK") else None
    at = draw.randrange(len(members))
    name, content = members[at]
    if draw.random() < 0.2:
        members[at] = draw.choice(("x.npy", "labels.npy", "x.lengths.npy", "y", "")), content
    else:
        members[at] = name, _array(content, draw)
    packed = io.BytesIO()
    method = draw.choice((0, 0, 8, 12, 14))
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", method) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def _members(data: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of a small archive; none where it is broken."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.infolist()[:10]
            return [(info.filename, archive.read(info)) for info in found if info.file_size < 10000]
    except Exception:  # of any type, for mutated bytes; what actc says of them is tested elsewhere
        return []


def _array(data: bytes, draw: random.Random) -> bytes:
    kind = draw.random()
    if kind < 0.3:
        return _swapped(data, [text.encode() for text in _TYPES], draw)
    if kind < 0.6:
        return _swapped(data, [text.encode() for text in _SHAPES], draw)
    return _words(data, draw)


def _swapped(data: bytes, among: Sequence[bytes], draw: random.Random) -> bytes:
    """One word of a kind in the place of another, in a header that is as long as before."""
    there = [word for word in among if word and word in data[:200]]
    if not there:
        return _words(data, draw)
    old, new = max(there, key=len), draw.choice(among)
    start, end = data.index(old), data.find(b"\n")
    header = data[:start] + new + data[start + len(old) : max(end, start + len(old))].rstrip()
    return header.ljust(end) + data[end:] if end > 0 else header


def _words(data: bytes, draw: random.Random) -> bytes:
    """A word put in or over, or some bytes taken out."""
    at = draw.randrange(len(data) + 1)
    if draw.random() < 0.3:
        return data[:at] + data[at + draw.randrange(1, 9) :]
    word = draw.choice((*_WORDS, bytes([draw.randrange(256)])))
    return data[:at] + word + data[at + draw.choice((0, len(word))) :]
