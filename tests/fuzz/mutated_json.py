"""Mutations of JSON documents that keep them JSON, and the digests of certificates right."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 65536, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "x", "0x0p+0", "nan", "inf", "0x1p+1023", "0x1p-1074",
    "s8.4", "u4.4", "float64", "GELU", "Sigmoid", "x*x", "least_error", "faithful", [], {}, [[]],
    "piecewise-linear", "table", "channel-table", "fixed-point", "fixed_table", "segment_tree",
)  # fmt: skip
_RIGHT_DIGEST = 0.8
"""How often a changed certificate gets the digest that fits."""


def mutated_json(data: bytes, draw: random.Random) -> bytes | None:
    """A changed document; None where `data` is no JSON document of a sensible size."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    places = list(_places(document))
    if not places or len(places) > 100_000:
        return None
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        container, key = draw.choice(places)
        try:
            container[key] = _changed(container[key], draw, places)
            _restructure(container, key, draw)
        except (IndexError, KeyError):  # an earlier change took the place away
            continue
    if draw.random() < _RIGHT_DIGEST:
        for certificate in certificates(document):
            redigest(certificate)
    return json.dumps(document).encode()


def certificates(document: Any) -> list[dict[str, Any]]:
    """The certificates in a document of `actc fit`, or of a compilation."""
    if not isinstance(document, dict):
        return []
    rows = document.get("certificates", [document])
    found = [row.get("certificate") for row in rows if isinstance(row, dict)] if rows else []
    return [certificate for certificate in found if isinstance(certificate, dict)]


def redigest(certificate: dict[str, Any]) -> None:
    """Put the digest of what a certificate says into it, as far as it can be read."""
    try:
        if certificate.get("kind") == "fixed-point":
            told = {key: value for key, value in certificate.items() if key != "digest"}
            text = json.dumps(told, sort_keys=True, separators=(",", ":"))
            certificate["digest"] = hashlib.sha256(text.encode()).hexdigest()
        elif certificate.get("kind") == "table":
            values = bytes.fromhex(certificate["values"])
            certificate["digest"] = hashlib.sha256(values).hexdigest()
    except (KeyError, TypeError, ValueError):
        return


def _places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Where values of a document are: container and key."""
    if isinstance(value, dict | list) and depth < 50:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key], depth + 1)


def _changed(value: Any, draw: random.Random, places: list[tuple[Any, Any]]) -> Any:
    kind = draw.random()
    if kind < 0.1:
        return copy.deepcopy(draw.choice(_VALUES))
    if kind < 0.2:
        container, key = draw.choice(places)
        return copy.deepcopy(container[key])
    match value:
        case bool():
            return not value
        case int():
            return draw.choice((value + 1, value - 1, -value, value * 2, value // 2, value ^ 1))
        case float():
            return draw.choice((value * 2, -value, value * (1 + 2**-20), value + 1.0))
        case str():
            return _text(value, draw)
    return value


def _text(text: str, draw: random.Random) -> str:
    """A near number of a hexadecimal one, otherwise a text with one character changed."""
    if "0x" in text:
        try:
            factor = draw.choice((0.5, 2.0, -1.0, 1 + 2.0**-52, 1 - 2.0**-30, 1.01, 0.99, 1 + 1e-9))
            return (float.fromhex(text) * factor).hex()
        except (ValueError, OverflowError):
            return "0x1p+0"
    if not text:
        return draw.choice(("0", "x", "\0"))
    at = draw.randrange(len(text))
    return text[:at] + draw.choice("0123456789abcdefxsu.-+*/(\0\ud800é'") + text[at + 1 :]


def _restructure(container: Any, key: Any, draw: random.Random) -> None:
    """Now and then leave out, repeat or swap items."""
    kind = draw.random()
    if kind < 0.1:
        del container[key]
    elif isinstance(container, list) and kind < 0.2:
        container.insert(key, copy.deepcopy(container[key]))
    elif kind < 0.3:
        other = draw.choice(
            list(container) if isinstance(container, dict) else range(len(container))
        )
        container[key], container[other] = container[other], container[key]
