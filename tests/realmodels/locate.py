"""Find an installed package's folder without importing the package."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

# Where `make test-all` puts the packages that are only needed for their models.
MODELS = Path(__file__).resolve().parents[2] / ".cache" / "models"


def package_folder(name: str) -> Path | None:
    """Folder of the package `name` in .cache/models or on sys.path; None: not installed."""
    spec = PathFinder.find_spec(name, [str(MODELS), *sys.path])
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def package_file(name: str, path: str) -> Path | None:
    """File `path` inside the package `name`; None when there is none."""
    folder = package_folder(name)
    if folder is None or not (folder / path).is_file():
        return None
    return folder / path
