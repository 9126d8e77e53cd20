"""One model compiled in two environments that differ in all that must not matter.

`compile_twice` runs two processes side by side: folders (also of the model and the data, with a
longer name that holds spaces), home, locale, time zone, umask, hash seed, number of threads and of
cores, terminal, temporary folder, and the order in which folders list their files. `difference`
compares what they wrote, byte by byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREDICTIONS = "predictions"
"""Folder beside the artefact."""
_LOCALE = "tr_TR"
"""Its dotless i breaks what changes case by locale, its comma what prints numbers by it."""
_SHOWN = 60


@dataclass(frozen=True)
class Surroundings:
    """What a compilation finds around itself.

    Attributes:
        folder: where it runs, below the test's own; the model lies in `inputs` below it.
        inputs: folder of model and data, below `folder`.
        output: folder of the artefact, below `folder`.
        variables: of the environment.
        umask: what files are made with.
        cores: how many it may use; 0: all.
        backwards: folders list their files in descending order, not in ascending.
    """

    folder: str
    inputs: str
    output: str
    variables: dict[str, str]
    umask: int
    cores: int
    backwards: bool


def _threads(count: int) -> dict[str, str]:
    return {f"{library}_NUM_THREADS": str(count) for library in ("OMP", "OPENBLAS", "MKL", "TVM")}


PLAIN = Surroundings(
    "a",
    "in",
    "out",
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "COLUMNS": "80", **_threads(1)},
    0o022,
    1,
    False,
)
STRANGE = Surroundings(
    "another folder, whose name is longer",
    "models/of mine",
    "results/of a run",
    {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "77",
        "COLUMNS": "173",
        "USER": "somebody",
        **_threads(3),
    },
    0o077,
    0,
    True,
)


def turkish(folder: Path) -> dict[str, str]:
    """Variables of a locale with another case and another decimal sign, where one can be made."""
    localedef = shutil.which("localedef")
    if localedef is None:
        return {}
    # warnings about rare characters end with status 1
    command = [localedef, "--no-archive", "-c", "-i", _LOCALE, "-f", "UTF-8"]
    made = folder / f"{_LOCALE}.UTF-8"
    done = subprocess.run([*command, str(made)], capture_output=True, check=False, timeout=60)
    there = done.returncode in (0, 1) and (made / "LC_NUMERIC").is_file()
    return {"LOCPATH": str(folder), "LC_ALL": f"{_LOCALE}.UTF-8"} if there else {}


def compile_twice(
    folder: Path, model: Path, data: Path, options: Sequence[str], timeout: float = 900
) -> tuple[Path, Path]:
    """Compile copies of a model and its data at the same time in two surroundings.

    Args:
        folder: an empty one.
        model: an .onnx file.
        data: an .npz file.
        options: of `actc compile`.
        timeout: of either, seconds.

    Returns:
        the two artefacts; in `predictions` of each is what it computes.
    """
    locale = turkish(folder)
    running = [
        (where, _start(folder, where, extra, model, data, options))
        for where, extra in ((PLAIN, {}), (STRANGE, locale))
    ]
    try:
        for where, process in running:
            _, errors = process.communicate(timeout=timeout)
            assert process.returncode == 0, f"{where.folder}:\n{errors}"
    finally:
        for _, process in running:
            process.kill()
            process.wait()
    one, two = (folder / where.folder / where.output for where in (PLAIN, STRANGE))
    return one, two


def predictions(artifact: Path) -> Path:
    """The folder with what an artefact computes on the data, and what `actc check` says."""
    return artifact.parent / PREDICTIONS


def _start(
    folder: Path,
    where: Surroundings,
    extra: dict[str, str],
    model: Path,
    data: Path,
    options: Sequence[str],
) -> subprocess.Popen[str]:
    place = folder / where.folder
    inputs = place / where.inputs
    home, temporary = place / "home", place / "tmp"
    for made in (inputs, home, temporary):
        made.mkdir(parents=True)
    shutil.copy(model, inputs)
    shutil.copy(data, inputs)
    order = {
        "model": f"{where.inputs}/{model.name}",
        "data": f"{where.inputs}/{data.name}",
        "output": where.output,
        "options": list(options),
        "umask": where.umask,
        "cores": where.cores,
        "backwards": where.backwards,
    }
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    own = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(home / "cache"),
        "ACTC_CACHE": str(home / "kept"),
        # programs in WebAssembly, which are translated once, and that takes a minute
        "YOWASP_CACHE_DIR": os.environ.get("YOWASP_CACHE_DIR", str(cache / "YoWASP")),
    }
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve()), json.dumps(order)],
        cwd=place,
        env={**os.environ, **where.variables, **extra, **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def difference(one: Path, two: Path, without: Iterable[str] = ()) -> str:
    """The first file that differs, and where; "" where two folders hold the same bytes.

    Args:
        one: a folder.
        two: another.
        without: files, and folders with all that is in them, that may differ.
    """
    allowed = set(without)
    names, others = (_names(folder, allowed) for folder in (one, two))
    if names != others:
        return f"only in one of them: {', '.join(sorted(names ^ others))}"
    for name in sorted(names):
        found = first_byte((one / name).read_bytes(), (two / name).read_bytes())
        if found:
            return f"{name}: {found}"
    return ""


def _names(folder: Path, allowed: set[str]) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        file.as_posix()
        for file in files
        if file.as_posix() not in allowed and allowed.isdisjoint(file.parts)
    }


def first_byte(one: bytes, two: bytes) -> str:
    """The offset of the first byte that differs, with what stands there; "" for equal ones."""
    if one == two:
        return ""
    equal = min(len(one), len(two))
    at = next((k for k in range(equal) if one[k] != two[k]), equal)
    here = slice(max(0, at - _SHOWN // 2), at + _SHOWN)
    return f"byte {at} of {len(one)} and {len(two)}: {one[here]!r} and {two[here]!r}"


def declared(folder: Path) -> list[str]:
    """What the manifest of an artefact says may differ between runs."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return [str(name) for name in manifest["not_reproducible"]]


def _backwards() -> None:
    """Make folders list their files from last to first, as some file systems might."""
    listdir, scandir = os.listdir, os.scandir

    class Entries:
        def __init__(self, *arguments: Any) -> None:
            with scandir(*arguments) as found:
                self.entries = iter(sorted(found, key=lambda entry: entry.name, reverse=True))

        def __iter__(self) -> Any:
            return self.entries

        def __next__(self) -> Any:
            return next(self.entries)

        def __enter__(self) -> Entries:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            self.entries = iter(())

    os.listdir = lambda *arguments: sorted(listdir(*arguments), reverse=True)  # type: ignore[assignment]
    os.scandir = Entries  # type: ignore[assignment,misc]


def _child(order: dict[str, Any]) -> None:
    """What runs in each of the two processes."""
    os.umask(order["umask"])
    if order["cores"]:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order["cores"]])
    if order["backwards"]:
        _backwards()
    import numpy as np

    import actc
    from actc import cli
    from actc.artifact import open_artifact

    command = ["compile", order["model"], "--data", order["data"], "-o", order["output"]]
    status = cli.main([*command, "--max-drop", "1", *order["options"]])
    assert status == 0, status
    folder = predictions(Path(order["output"]))
    folder.mkdir()
    checked = actc.check(order["output"], order["data"])
    (folder / "check.json").write_text(json.dumps(checked, sort_keys=True), "utf-8")
    artifact = open_artifact(order["output"])
    if artifact.path is None or artifact.target.not_run(artifact.path):
        return
    names = [entry["name"] for entry in artifact.report["model"]["inputs"]]
    with np.load(order["data"]) as content:
        first = next(name for name in content.files if name != "labels")
        feeds = {name: content[name if name in content else first][:8] for name in names}
    for name, array in artifact.run(feeds).items():
        np.save(folder / f"{name}.npy", array)


if __name__ == "__main__":
    _child(json.loads(sys.argv[1]))
