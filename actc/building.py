"""build(): run vendors' tools on a compiled directory, and add what they say to its report."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actc.artifact import open_artifact
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.intact import read_intact
from actc.output import MANIFEST, amended, working_in, write_json
from actc.targets.vendor.build import build as run_flow

REPORT = "report.json"
MINUTES = 240.0
"""For all steps together, unless asked otherwise."""


def build(
    directory: str | Path,
    *,
    to: str | None = None,
    timeout: float = MINUTES,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Build an IP or a bitstream with the vendor's tools.

    Args:
        directory: what `actc compile` wrote, for hls4ml or bnn-hls.
        to: "ip", "fit" (placed and routed, or synthesized, without a bitstream) or "bitstream";
            None: as far as the scripts lead.
        timeout: minutes, for all steps together.
        progress: called with a line per step.

    Returns:
        JSON-ready: target; build: see `actc.targets.vendor.build.build`, also in report.json
        when `recorded` is true; seconds; diagnostics (ACT0434 timing is missed: not recorded;
        ACT0435, ACT0438 warnings).

    Raises:
        UsageError: ACT0067, ACT0203, ACT0204, ACT0205, ACT0433, ACT0590.
        MissingTool: tools are not installed.
        ToolFailed: a tool failed, took too long, has no licence, or left no results.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise UsageError(Diagnostic("ACT0203", f"{timeout:g} minutes are no time limit"))
    artifact = open_artifact(directory)
    path = Path(directory)
    flow = artifact.target.vendor_flow(path)
    if flow is None:
        raise UsageError(
            Diagnostic(
                "ACT0433",
                f"this runs no vendor's tool on what was compiled for {artifact.target.spec}",
                place=Place(str(path)),
                help="compile with --target hls4ml (any backend) or bnn-hls",
            )
        )
    start = time.monotonic()
    with working_in(path):
        artifact = open_artifact(directory)  # nobody replaces it any more
        names = read_intact(path, ())["files"]
        say = progress or (lambda line: None)
        section, found = run_flow(flow, path, to, 60 * timeout, say, names)
        recorded = all(item.severity != "error" for item in found)
        if recorded:
            _record(path, artifact.report, section)
    return {
        "target": artifact.target.spec,
        "build": section,
        "recorded": recorded,
        "seconds": time.monotonic() - start,
        "diagnostics": [item.to_json() for item in found],
    }


def _record(directory: Path, report: dict[str, Any], section: dict[str, Any]) -> None:
    """Put the section into report.json and its new digest into the manifest, both at once."""
    manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
    with amended(directory) as fresh:
        _write(fresh / REPORT, {**report, "build": section}, directory / REPORT)
        files = manifest.get("files")
        if isinstance(files, dict) and REPORT in files:
            files[REPORT] = hashlib.sha256((fresh / REPORT).read_bytes()).hexdigest()
            _write(fresh / MANIFEST, manifest, directory / MANIFEST)


def _write(path: Path, content: dict[str, Any], former: Path) -> None:
    write_json(path, content)
    path.chmod(former.stat().st_mode & 0o777)
