"""Runs of the flow's programs whose results are kept, and taken from the cache where nothing
that they depend on has changed.

What a program writes depends on the program, its arguments and the files in its folder, and on
nothing else: a key holds all three. Programs from PyPI are known to the last byte, by the digests
of their packages' files. Native ones read data and libraries that nobody lists, so their results
are not kept.

Only what verification checks again is kept: netlists, placements, bitstreams. What verification
itself runs is not.
"""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from actc.cache import default, distributions, key_of
from actc.targets.fpga.flow.execute import Limits, execute, require
from actc.targets.fpga.flow.programs import Program

_LOG = "log"
"""The part of an entry that is no file of the folder."""


def execute_cached(
    kind: str,
    program: Program,
    arguments: Sequence[str],
    folder: Path,
    results: Sequence[str],
    *,
    limits: Limits,
    log: Path,
    valid: Callable[[], object],
) -> None:
    """As :func:`~actc.targets.fpga.flow.execute.execute`, unless the results are known.

    Args:
        kind: of entry in the cache.
        program, arguments, limits, log: as there.
        folder: flat; all its files are what the results depend on, besides the arguments.
        results: names of the files that the program writes there and that are kept.
        valid: raises if the results cannot be read: such are not kept.

    Raises:
        ToolFailed: as there; ACT0510, ACT0585, a result is missing or empty; what `valid` raises.
    """
    cache = default()
    key = _key(kind, program, arguments, folder, results) if cache is not None else None
    if cache is None or key is None:
        execute(program, arguments, folder, limits=limits, log=log)
        require(folder, results, program, log)
        valid()
        return
    found = cache.read(kind, key)
    if found is not None and set(found) == {_LOG, *results}:
        log.write_bytes(found[_LOG])
        for name in results:
            (folder / name).write_bytes(found[name])
        valid()
        return
    execute(program, arguments, folder, limits=limits, log=log)
    require(folder, results, program, log)
    valid()
    with contextlib.suppress(OSError):  # the next step says what has become of them
        parts = {name: (folder / name).read_bytes() for name in results}
        cache.write(kind, key, {**parts, _LOG: log.read_bytes()})


def _key(
    kind: str, program: Program, arguments: Sequence[str], folder: Path, results: Sequence[str]
) -> str | None:
    """What the results of a run depend on; None: nobody can say."""
    packages = _packages(program)
    if packages is None:
        return None
    facts = {
        "program": program.name,
        "packages": packages,
        "call": list(program.argv[1:]),
        "arguments": list(arguments),
        "results": list(results),
        "machine": "" if program.wasm else f"{sys.platform} {platform.machine()}",
    }
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return key_of(kind, facts, files)


def _packages(program: Program) -> dict[str, str] | None:
    """Digests of all that a program consists of."""
    if program.wasm:
        return distributions((program.package.replace("_", "-"), "yowasp-runtime", "wasmtime"))
    if program.name == "yosys" and program.argv[0] == sys.executable:
        return distributions(("pyosys",))
    return None
