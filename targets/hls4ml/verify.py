"""The ladder of verification: program, C simulation, units on all inputs, constants."""

from __future__ import annotations

import tempfile
from pathlib import Path

from actc.targets.base import Progress, Rung
from actc.targets.fpga.folded.samples import Samples, compared, program_rung
from actc.targets.hls4ml.assembly import Assembly
from actc.targets.hls4ml.simulation import run_bench
from actc.targets.hls4ml.units.check import check_units
from actc.targets.hls4ml.units.constants import check_constants

RANDOM = 256
"""Random samples beside those of the data."""
MOST = 10_000
"""Samples of the data that go up the ladder."""
WORK = 1 << 31
"""Products and elements of all samples together, about: half a minute of C simulation."""


def climb(
    assembly: Assembly, project: Path, program: Path, samples: Samples, say: Progress
) -> list[Rung]:
    """Compare all forms with golden.

    Args:
        project: folder of hls4ml's project.
        program: the compiled simulation.
    """
    say("verify: program and C simulation")
    with tempfile.TemporaryDirectory(prefix="actc-hls4ml-") as work:
        found = run_bench(assembly.network, project, program, samples.words, Path(work))
    rung = compared("C simulation", found, samples, f"compiled with g++ and run; {samples.kind}")
    units = check_units(assembly.network, project, program, say)
    return [program_rung(assembly.folded, samples), rung, units, *check_constants(project)]
