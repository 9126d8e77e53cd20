"""Directories that a test changed, with a manifest that says so: as a forger leaves them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

_MANIFEST = "manifest.json"


def sealed(directory: Path) -> Path:
    """Give the manifest of a directory the digests of all files that are there, and make one
    where there is none."""
    path = directory / _MANIFEST
    manifest = json.loads(path.read_text("utf-8")) if path.is_file() else {"actc": ""}
    others = {_MANIFEST, *manifest.get("not_reproducible", ())}
    manifest["files"] = {
        file.relative_to(directory).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and others.isdisjoint(file.relative_to(directory).parts)
    }
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return directory
