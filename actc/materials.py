"""sbom.json: what an artefact is made of and needs, as CycloneDX lists components.

The same compilation gives the same bytes: no serial number and no time, which CycloneDX allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from actc.targets.base import Target
from actc.targets.components import Component

SBOM = "sbom.json"
_ARTEFACT = "artefact"


def bill_of_materials(directory: Path, machine: Target, name: str, sha256: str) -> dict[str, Any]:
    """The components of the artefact in a directory, as a CycloneDX document of version 1.6.

    Args:
        directory: what was built.
        machine: the target.
        name: of the model.
        sha256: of the model.
    """
    files = [path.relative_to(directory).as_posix() for path in directory.rglob("*")]
    found = [
        (component, holders)
        for component in machine.components
        if (holders := component.holders(files))
    ]
    model = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
    }
    references = ["model", *(_reference(component) for component, _ in found)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": {"components": [_named("application", "actc", "actc")]},
            "component": {
                "type": "machine-learning-model",
                "bom-ref": _ARTEFACT,
                "name": f"{name} for {machine.spec}",
            },
        },
        "components": [model, *(_entry(component, holders) for component, holders in found)],
        "dependencies": [{"ref": _ARTEFACT, "dependsOn": references}],
    }


def _named(kind: str, name: str, distribution: str) -> dict[str, Any]:
    """Type, name and, where it is known, the version."""
    try:
        return {"type": kind, "name": name, "version": metadata.version(distribution)}
    except (metadata.PackageNotFoundError, ValueError):
        return {"type": kind, "name": name}


def _reference(component: Component) -> str:
    return ("needs " if component.needed else "holds ") + component.name


def _entry(component: Component, holders: Sequence[str]) -> dict[str, Any]:
    where = "needed when it runs" if component.needed else "in the artefact"
    entry = {
        **_named("library", component.name, component.distribution),
        "bom-ref": _reference(component),
        "description": component.what,
        "scope": "required",
        "licenses": [{"expression": component.licence}],
        "properties": [{"name": "actc:where", "value": where}, *_files(holders)],
    }
    if component.distribution not in ("", "actc") and "version" in entry:
        entry["purl"] = f"pkg:pypi/{component.distribution}@{entry['version']}"
    return entry


def _files(holders: Iterable[str]) -> list[dict[str, str]]:
    return [{"name": "actc:files", "value": pattern} for pattern in holders]
