"""reproduce(): compile again what a manifest records, and compare every file."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actc.cache import disabled
from actc.compiler import compile
from actc.diagnostics import Diagnostic, Place
from actc.errors import Problems, UsageError
from actc.ir.load import load
from actc.output import MANIFEST, require_place
from actc.prepare import prepare
from actc.provenance import data_digest
from actc.recorded import Recorded, read_manifest

_COMPARED = ("target", "input", "data", "request", "options", "passes", "not_reproducible")
_CHUNK = 1 << 20


def reproduce(
    manifest: str | Path,
    *,
    model: str | Path | None = None,
    data: str | Path | None = None,
    keep: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Compile again from the same model, data and options, and compare every byte.

    Nothing is taken from the cache.

    Args:
        manifest: manifest.json of an artefact, or its directory.
        model: the model's file; default: one of the recorded name in the directory of the
            manifest, the one above, or the current one.
        data: the data's file; default: likewise.
        keep: directory to write the new artefact into; default: it is deleted.
        progress: called with the name of each stage.

    Returns:
        JSON-ready: ``manifest``, ``target``, ``equal``, ``versions`` [{name, recorded, here}]
        that differ, ``files`` [{file, result, offset}] (result: "equal", "differs",
        "not written again", "not recorded"; offset: of the first byte that differs, null where
        the recorded file is not there), ``changed`` (files beside the manifest that are not what
        it says), ``entries`` (of the manifest, that differ), ``kept``, ``seconds`` and
        ``diagnostics`` (ACT0397 and ACT0399 errors, ACT0398 warnings).

    Raises:
        UsageError: ACT0395, the manifest cannot be read; ACT0396, an input is not the recorded
            one; what `actc.compile` raises.
    """
    start = time.monotonic()
    say = progress or (lambda line: None)
    recorded = read_manifest(Path(manifest))
    _require_apart(recorded, keep)
    say("inputs")
    inputs = _checked_inputs(recorded, model, data)
    with disabled(), _place(keep) as output:
        artifact = compile(
            inputs[0],
            recorded.options["target"],
            data=inputs[1],
            output=output,
            progress=progress,
            **{name: value for name, value in recorded.options.items() if name != "target"},
        )
        say("comparing")
        again = read_manifest(output)
        rows = _compared_files(recorded, again)
    entries = [k for k in _COMPARED if recorded.content.get(k) != again.content.get(k)]
    changed = _changed(recorded)
    versions = _compared_versions(recorded.versions, again.versions)
    found = _diagnostics(recorded, versions, rows, changed, entries)
    return {
        "manifest": str(recorded.path),
        "target": artifact.target.spec,
        "equal": all(item.severity != "error" for item in found),
        "versions": versions,
        "files": rows,
        "changed": changed,
        "entries": entries,
        "kept": None if keep is None else str(keep),
        "seconds": time.monotonic() - start,
        "diagnostics": [item.to_json() for item in found],
    }


def _require_apart(recorded: Recorded, keep: str | Path | None) -> None:
    if keep is None:
        return
    if Path(keep).resolve() == recorded.path.parent.resolve():
        raise UsageError(
            Diagnostic(
                "ACT0203",
                "the new artefact would take the place of the one that it is compared with",
                place=Place(str(keep)),
                help="give another --keep DIR",
            )
        )
    require_place(Path(keep))


@contextmanager
def _place(keep: str | Path | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="actc-reproduce-") as folder:
        yield Path(folder) / "again"


def _checked_inputs(
    recorded: Recorded, model: str | Path | None, data: str | Path | None
) -> tuple[Path, Path | None]:
    """The model and the data, which are what the manifest says they are.

    Raises:
        UsageError: ACT0396, they are not, or are not found; all that is wrong.
    """
    problems = Problems()
    any_real = recorded.options["precision"] != "int8"
    model_path = problems.attempt(_find, recorded, "model", recorded.model[0], model)
    if model_path is not None:
        problems.attempt(_require_model, recorded, model_path, any_real)
    data_path: Path | None = None
    if recorded.data is not None:
        data_path = problems.attempt(_find, recorded, "data", recorded.data[0], data)
    elif data is not None:
        problems.add(_other(str(data), "the artefact was compiled without data", "leave it out"))
    if problems.found or model_path is None:
        raise UsageError(problems.found)
    if data_path is not None and recorded.data is not None:
        digest = data_digest(prepare(model_path, data_path, any_real).dataset)
        if digest != recorded.data[1]:
            message = "this is not the data that the artefact was compiled with"
            raise UsageError(_other(str(data_path), message, "give that with --data"))
    return model_path, data_path


def _find(recorded: Recorded, kind: str, name: str, given: str | Path | None) -> Path:
    """The file of an input.

    Raises:
        UsageError: ACT0396.
    """
    if given is not None:
        if Path(given).name != name:
            message = f"the {kind} was called '{name}' when the artefact was compiled"
            help_text = "the report holds its name: rename the file, or copy it"
            raise UsageError(_other(str(given), message, help_text))
        return Path(given)
    if Path(name).name == name and not name.startswith("<"):
        folder = recorded.path.parent
        for place in (folder, folder.absolute().parent, Path.cwd()):
            if (place / name).is_file():
                return place / name
    message = f"the {kind} '{name}' is not beside the manifest, nor above it, nor here"
    raise UsageError(_other(str(recorded.path), message, f"say where it is with --{kind}"))


def _require_model(recorded: Recorded, path: Path, any_real: bool) -> None:
    digest = load(path, any_real).sha256
    if digest != recorded.model[1]:
        message = "this is not the model that was compiled: its SHA-256 is another"
        help_text = f"give that with --model: {recorded.model[1]}, not {digest}"
        raise UsageError(_other(str(path), message, help_text))


def _other(file: str, message: str, help_text: str) -> Diagnostic:
    return Diagnostic("ACT0396", message, place=Place(file), help=help_text)


def _compared_versions(one: Mapping[str, str], two: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "recorded": one.get(name), "here": two.get(name)}
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]


def _compared_files(recorded: Recorded, again: Recorded) -> list[dict[str, Any]]:
    rows = []
    for name in sorted({*recorded.files, *again.files}):
        one, two = recorded.files.get(name), again.files.get(name)
        result = "equal" if one == two else "differs"
        if one is None or two is None:
            result = "not recorded" if one is None else "not written again"
        row: dict[str, Any] = {"file": name, "result": result, "offset": None}
        if result == "differs" and _is_there(recorded, name):
            row["offset"] = _offset(recorded.path.parent / name, again.path.parent / name)
        rows.append(row)
    return rows


def _is_there(recorded: Recorded, name: str) -> bool:
    """Whether a recorded file lies beside the manifest; names may lead nowhere else."""
    parts = Path(name).parts
    inside = bool(parts) and not Path(name).is_absolute() and ".." not in parts
    return inside and (recorded.path.parent / name).is_file()


def _offset(one: Path, two: Path) -> int | None:
    """Of the first byte that differs; None where none does."""
    at = 0
    with one.open("rb") as first, two.open("rb") as second:
        while True:
            here, there = first.read(_CHUNK), second.read(_CHUNK)
            if here != there:
                pairs = enumerate(zip(here, there, strict=False))
                return at + next((k for k, (a, b) in pairs if a != b), min(len(here), len(there)))
            if not here:
                return None
            at += len(here)


def _changed(recorded: Recorded) -> list[str]:
    """Files beside the manifest that are not what it says; those that are not there are none."""
    folder = recorded.path.parent
    return [
        name
        for name, digest in sorted(recorded.files.items())
        if _is_there(recorded, name) and _sha256(folder / name) != digest
    ]


def _sha256(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def _diagnostics(
    recorded: Recorded,
    versions: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    changed: list[str],
    entries: list[str],
) -> list[Diagnostic]:
    folder = recorded.path.parent
    found = [
        Diagnostic(
            "ACT0398",
            f"{row['name']}: {row['here'] or 'none'} here, {row['recorded'] or 'none'} recorded",
            severity="warning",
            place=Place(str(recorded.path)),
            help="other versions may write other bytes; install the recorded ones to compare",
        )
        for row in versions
    ]
    found += [
        Diagnostic(
            "ACT0399",
            "the file is not what the manifest says: it was changed since",
            place=Place(str(folder / name)),
            help="compile again, or take the file from where it was built",
        )
        for name in changed
    ]
    found += [
        Diagnostic("ACT0397", _said(row), place=Place(str(folder / row["file"])))
        for row in rows
        if row["result"] != "equal"
    ]
    message = "the entry '{}' would be another"
    place = Place(str(folder / MANIFEST))
    return found + [Diagnostic("ACT0397", message.format(name), place=place) for name in entries]


def _said(row: Mapping[str, Any]) -> str:
    if row["result"] == "not recorded":
        return "a file is written that the manifest does not have"
    if row["result"] == "not written again":
        return "the file is not written again"
    where = "" if row["offset"] is None else f", first at byte {row['offset']}"
    return f"the file differs{where}"
