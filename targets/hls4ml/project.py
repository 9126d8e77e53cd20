"""hls4ml's project of a network, as files."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

from actc import toolchain
from actc.errors import ToolFailed
from actc.targets.hls4ml.document import configuration, network_model
from actc.targets.hls4ml.layers import HlsNetwork
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.vendor import set_to_ip
from actc.targets.hls4ml.versions import remark
from actc.targets.hls4ml.worker import MODEL, PROJECT, SETTINGS, UNITS

HELP = "pip install 'actc[hls4ml]'"
_SECONDS = 600.0
_MEMORY = 8 << 30
_LEFT_OUT = frozenset({"pdfdocs", "tests", "lutgen", "gdb"})
"""Folders of the libraries that hls4ml copies for Catapult which no compiler reads."""
_COPYLEFT = b"GNU General Public License"
_EMPTY = b"""\
// hls4ml's header is under the GNU GPL; nothing of this project uses it.
#pragma once
"""
_WORKER = "actc.targets.hls4ml.worker"


def settings(network: HlsNetwork, options: Options) -> dict[str, object]:
    """Arguments of hls4ml's converter."""
    return {
        "backend": options.backend,
        "io_type": f"io_{options.io}",
        "project_name": network.name,
        "part": options.device or None,
        "clock_period": options.period,
        "hls_config": configuration(network, options),
    }


def project_files(network: HlsNetwork, options: Options) -> dict[str, bytes]:
    """Relative path -> content of the project that hls4ml writes, and of what it was made from.

    Raises:
        MissingTool: hls4ml is not installed. ToolFailed: it failed.
    """
    toolchain.require_package("hls4ml", HELP)
    model = network_model(network).SerializeToString(deterministic=True)
    given = json.dumps(settings(network, options), indent=1) + "\n"
    with tempfile.TemporaryDirectory(prefix="actc-hls4ml-") as work:
        folder = Path(work)
        (folder / MODEL).write_bytes(model)
        (folder / SETTINGS).write_text(given, "utf-8")
        _convert(folder)
        found = _unstamped(set_to_ip(_collected(folder / PROJECT), network.name, options))
        units = (folder / UNITS).read_bytes()
    return {MODEL: model, SETTINGS: given.encode(), UNITS: units, **found}


def _convert(folder: Path) -> None:
    argv = [sys.executable, "-m", _WORKER]
    try:
        toolchain.run(argv, timeout=_SECONDS, memory=_MEMORY, cwd=folder)
    except ToolFailed as problem:
        version = remark()
        raise ToolFailed([*problem.diagnostics, *([version] if version else [])]) from problem


def _collected(project: Path) -> dict[str, bytes]:
    """Its files, but for documents and tests of libraries.

    Some have the folder that hls4ml wrote to, which is no more: they are run in the project's.
    A header of products with compressed weights, which actc never asks for, is under the GPL,
    would be included all the same, and is empty here: a simulation that needed it would not
    compile.
    """
    own = str(project.resolve()).encode()

    def content(path: Path) -> bytes:
        found = path.read_bytes()
        return _EMPTY if _COPYLEFT in found else found.replace(own, b".")

    return {
        f"{PROJECT}/{path.relative_to(project).as_posix()}": content(path)
        for path in sorted(project.rglob("*"))
        if path.is_file() and not _LEFT_OUT.intersection(path.relative_to(project).parts)
    }


def _unstamped(files: dict[str, bytes]) -> dict[str, bytes]:
    """hls4ml's random stamp replaced: equal networks give equal files."""
    configured = files[f"{PROJECT}/hls4ml_config.yml"]
    found = re.search(rb"^Stamp: '?([0-9a-fA-F]{8})'?$", configured, re.MULTILINE)
    if found is None:
        return files
    stamp = found[1]
    # one that looks like a number is in quotes, which ours needs not
    plain = configured[: found.start()] + b"Stamp: " + stamp + configured[found.end() :]
    files = {**files, f"{PROJECT}/hls4ml_config.yml": plain}
    state = hashlib.sha256()
    for name, content in files.items():
        state.update(name.encode() + b"\0" + content.replace(stamp, b""))
    # letters only, so that YAML does not take it for a number
    own = state.hexdigest()[:8].translate(str.maketrans("0123456789", "ghijklmnop")).encode()
    return {
        name: content.replace(stamp, own) if stamp in content else content
        for name, content in files.items()
    }
