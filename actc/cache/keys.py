"""Keys: digests of all that a result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

_SCHEME = 1
"""Of what goes into a key, and how."""


def key_of(kind: str, facts: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> str:
    """The key of a result.

    Args:
        kind: of result, "placement" say.
        facts: strings, whole numbers, booleans, None, and lists and mappings of them: options
            and versions. Floats are refused, as they have several spellings: give `float.hex`.
        files: name -> content of what the result is computed from.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: a fact is of another type.
    """
    document = {
        "scheme": _SCHEME,
        "kind": kind,
        "facts": _plain(facts),
        "files": {n: hashlib.sha256(c).hexdigest() for n, c in (files or {}).items()},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """`value` if it has one spelling as JSON."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(item) for name, item in value.items()}
    raise TypeError(f"a key cannot depend on {type(value).__name__}")


def distributions(names: Iterable[str]) -> dict[str, str] | None:
    """Installed packages to the last byte: name -> a digest over the digests of their files.

    Returns:
        None where one of them is not installed, or its installer kept no list of its files:
        what depends on such a package has no key.
    """
    found = {name: _distribution(name) for name in names}
    known = {name: digest for name, digest in found.items() if digest is not None}
    return known if len(known) == len(found) else None


@lru_cache(maxsize=64)
def _distribution(name: str) -> str | None:
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    record = package.read_text("RECORD")
    if record is None:
        return None
    # files without a digest are those that Python compiled, and RECORD itself
    lines = sorted(line for line in record.splitlines() if ",sha256=" in line)
    text = "\n".join((package.version, *lines))
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def source_digest(folder: Path, patterns: tuple[str, ...] = ("**/*.py",)) -> str:
    """A digest of source files: what they compute changes with them, whatever the version says.

    Args:
        folder: of a package.
        patterns: of the files in it, as of :meth:`pathlib.Path.glob`.
    """
    state = hashlib.sha256()
    paths = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(paths):
        content = path.read_bytes()
        state.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()
