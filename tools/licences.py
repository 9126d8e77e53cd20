"""Writes the tables of docs/licences.md: what is in artefacts, and what actc depends on.

    python tools/licences.py docs/licences.md [SITE-PACKAGES ...]

The first comes from what the targets say, as sbom.json of each artefact does. Licences of packages
are those that installed distributions state; folders of more of them can be given. A package that
is not installed keeps its row. The rest of the page is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from actc.targets import TARGETS
from actc.targets.components import Component

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
BASE = "always"
_LONGEST = 120
_ROW = re.compile(
    r"^\| (?!package )(?P<name>[a-z0-9-]+) \| (?P<licence>[^|]+) \| (?P<extras>[^|]+) \|$",
    re.MULTILINE,
)
_UNKNOWN = "not stated in its metadata"
_SPELLED = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_TARGETS = {
    **{name: f"`{name}`" for name in ("onnx", "cpu", "cuda", "c", "hls4ml", "bnn-hls", "verilog")},
    "ice40-hx8k": "FPGAs and boards",
}
"""One of a kind -> what the page calls it."""
_PRODUCTS = (
    "| target | of actc (Apache-2.0) | of others, in the artefact | of others, when it runs |\n"
    "|---|---|---|---|\n"
)
_TABLE = "| package | licence | comes with |\n|---|---|---|\n"
_UNFETCHED = {
    "nvidia-cuda-crt": "LicenseRef-NVIDIA-Proprietary",
    "nvidia-cuda-nvcc": "LicenseRef-NVIDIA-Proprietary",
    "nvidia-cuda-runtime": "LicenseRef-NVIDIA-Proprietary",
    "nvidia-nvvm": "LicenseRef-NVIDIA-Proprietary",
    "onnxruntime-gpu": "MIT",
}
"""Of packages that no other extra brings, and that are large: as their pages in the index say."""


def extras() -> dict[str, list[Requirement]]:
    """What pyproject.toml requires, by extra; BASE for what it always does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {BASE: project["dependencies"], **project["optional-dependencies"]}
    return {name: [Requirement(text) for text in texts] for name, texts in groups.items()}


def installed(folders: Sequence[str]) -> dict[str, metadata.Distribution]:
    """Distributions by canonical name: of this environment, and of folders."""
    found = [*metadata.distributions(path=[*folders])] if folders else []
    return {
        canonicalize_name(each.metadata["Name"]): each
        for each in [*found, *metadata.distributions()]
    }


def closure(
    requirements: Sequence[Requirement], known: Mapping[str, metadata.Distribution]
) -> Iterator[str]:
    """Names of what requirements bring, with all that those need in turn."""
    waiting, seen = list(requirements), set[tuple[str, str]]()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        yield name
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen or name not in known:
                continue
            seen.add((name, extra))
            for text in known[name].requires or ():
                needed = Requirement(text)
                marker, needed.marker = needed.marker, None
                if marker is None or marker.evaluate({"extra": extra}):
                    waiting.append(needed)


def licence(distribution: metadata.Distribution) -> str:
    """The licence that a distribution states."""
    about = distribution.metadata
    texts = [about.get("License-Expression") or ""]
    texts += [
        text.split(" :: ")[-1]
        for text in about.get_all("Classifier") or ()
        if text.startswith("License :: ") and text.count(" :: ") > 1
    ]
    texts += [about.get("License") or ""]
    short = (text for text in texts if 0 < len(text) <= _LONGEST and "\n" not in text)
    found = next(short, _UNKNOWN)
    return _SPELLED.get(found, found).replace("|", "/")


def rows(page: str, folders: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Package -> licence and extras.

    Args:
        page: as it is, for packages that are not installed.
        folders: of more installed packages.
    """
    known = installed(folders)
    before = {found["name"]: found for found in _ROW.finditer(page)}
    with_extras: dict[str, list[str]] = {}
    for extra, requirements in extras().items():
        for name in sorted(set(closure(requirements, known))):
            with_extras.setdefault(name, []).append(extra)
    for name, found in before.items():  # what only packages that are not installed bring
        if name not in known and name not in with_extras:
            with_extras[name] = found["extras"].split(", ")
    found_rows = {}
    for name, names in sorted(with_extras.items()):
        if name in known:
            stated = licence(known[name])
        elif name in before:
            stated = before[name]["licence"]
            names = before[name]["extras"].split(", ")
        else:
            stated = _UNFETCHED.get(name, "")
        if not stated:
            raise SystemExit(f"{name} is not installed, and the page has no row for it")
        found_rows[name] = (stated, BASE if BASE in names else ", ".join(names))
    return found_rows


def write(page: str, folders: Sequence[str] = ()) -> str:
    """The page, from what is installed and what it said before."""
    lines = (f"| {name} | {a} | {b} |" for name, (a, b) in rows(page, folders).items())
    head, table, _ = page.partition(_TABLE)
    return head + table + "\n".join(lines) + "\n"


def products(page: str) -> str:
    """The page with the table of what artefacts hold and need, as the targets say it."""
    head, title, rest = page.partition(_PRODUCTS)
    lines = "".join(f"| {shown} | {_product(name)} |\n" for name, shown in _TARGETS.items())
    return head + title + lines + rest[rest.index("\n\n") + 1 :]


def _product(name: str) -> str:
    own, *others = TARGETS.get(name).parse("").components
    inside = [component for component in others if not component.needed]
    outside = [component for component in others if component.needed]
    return f"{own.what} | {_listed(inside)} | {_listed(outside)}"


def _listed(components: Sequence[Component]) -> str:
    return "; ".join(f"{each.what} ({each.licence})" for each in components) or "-"


def main(arguments: Sequence[str]) -> None:
    """Write the page that the first argument names."""
    path = Path(arguments[0])
    path.write_text(products(write(path.read_text("utf-8"), arguments[1:])), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
