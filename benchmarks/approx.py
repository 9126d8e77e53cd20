"""Compare the approximation engine with its peers, in one run.

    python benchmarks/approx.py [--json FILE] [--slow-peers]
    python benchmarks/approx.py --catalogue [--json FILE]

Largest errors over the 65,536 samples of [-8, 8), for exp(-x) of [0, 16). Exits with 1
if a fit is worse than its reference optimum, if a certified ratio (lower bound over
attained error) is below 0.9999 or the independent checker refuses a certificate, or if
the mean squared error is above a bar of GQA-LUT's protocol. With --catalogue it times
fits of the whole catalogue instead, and exits with 1 if these take too long.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from approx_peers import (
    Array,
    fit_pwlf,
    hls4ml_table,
    i_exp,
    i_gelu,
    uniform_interpolation,
    uniform_minimax,
)
from rich.console import Console
from rich.table import Table

from actc.approx import CATALOGUE, CatalogueEntry, ScalarFunction, check_certificate
from actc.approx.catalogue import find
from actc.approx.float_tree import fit_tree
from actc.approx.least_squares import fit_least_squares
from actc.approx.pwl import fit_piecewise_linear, sample_points
from actc.errors import ModelError

POINTS = 65536
TOLERANCE = 2e-5
LEAST_RATIO = 0.9999
SEGMENTS = (4, 8, 16, 32, 64)

# Reference optima, exhaustive: the least error of N segments, N as in SEGMENTS, over all
# samples, from an independent program that was checked against exhaustive search. Four
# digits: an error that rounds to the same number is as good.
REFERENCE = {
    "GELU": (4.891e-02, 7.512e-03, 2.106e-03, 5.050e-04, 1.235e-04),
    "SiLU": (4.970e-02, 9.744e-03, 3.233e-03, 7.857e-04, 1.928e-04),
    "Mish": (4.221e-02, 1.021e-02, 2.449e-03, 6.145e-04, 1.563e-04),
    "Tanh": (6.039e-02, 1.281e-02, 2.977e-03, 7.194e-04, 1.768e-04),
    "Sigmoid": (2.530e-02, 5.673e-03, 1.358e-03, 3.334e-04, 8.268e-05),
    "exp(-x)": (1.715e-02, 4.076e-03, 9.948e-04, 2.457e-04, 6.097e-05),
    "Snake": (5.000e-01, 2.845e-01, 6.546e-02, 1.372e-02, 4.092e-03),
    "GoLU": (3.881e-02, 9.605e-03, 2.253e-03, 5.469e-04, 1.348e-04),
    "Erf": (5.636e-02, 1.132e-02, 2.563e-03, 6.113e-04, 1.489e-04),
    "Softplus": (4.100e-02, 9.555e-03, 2.328e-03, 5.764e-04, 1.436e-04),
}

GQA_STEP = 2.0**-6


@dataclass(frozen=True)
class Protocol:
    """GQA-LUT's: mean squared error on arange(lo, hi, 0.01).

    Attributes:
        shipped: published, not run here: the best of the tables in the repository of
            GQA-LUT (arXiv 2403.19591), which have coefficients on a grid of 2**-6.
        bar, grid_bar: what our errors must be below, with real coefficients and on the
            grid; None: not set.
    """

    function: str
    lo: float
    hi: float
    entries: int
    shipped: float
    bar: float | None = None
    grid_bar: float | None = None


PROTOCOLS = (
    Protocol("GELU", -4, 4, 8, 7.21e-05, 1.2e-05, 7.2e-05),
    Protocol("GELU", -4, 4, 16, 1.60e-05, 8.3e-07, 1.6e-05),
    Protocol("HardSwish", -4, 4, 8, 3.30e-04),
    Protocol("HardSwish", -4, 4, 16, 1.84e-05),
    Protocol("Exp", -8, 0, 8, 1.93e-05),
    Protocol("Exp", -8, 0, 16, 2.08e-05),
)

MEDIAN_BAR, WORST_BAR = 0.05, 0.5
"""Seconds of processor time per fit of the catalogue."""


@dataclass(frozen=True)
class Row:
    """One function at one number of segments: largest errors, and times in seconds."""

    function: str
    segments: int
    error: float
    ratio: float
    certified: bool
    seconds: float
    reference: float
    tree: float
    uniform: float
    interpolated: float
    pwlf: float | None
    pwlf_seconds: float | None


@dataclass(frozen=True)
class Match:
    """A fixed peer, and how many optimal segments are as good."""

    peer: str
    function: str
    error: float
    segments: int


@dataclass(frozen=True)
class SquaredError:
    """Mean squared errors by GQA-LUT's protocol."""

    function: str
    entries: int
    real: float
    grid: float
    shipped: float


def subject(name: str) -> tuple[ScalarFunction, float, float]:
    """A function of the table with its domain [lo, hi)."""
    if name == "exp(-x)":
        return ScalarFunction(name, lambda x: np.exp(-x)), 0.0, 16.0
    return find(name).function(), -8.0, 8.0


def compare(name: str, segments: int, reference: float, slow_peers: bool) -> Row:
    """Fit a function and run its peers."""
    f, lo, hi = subject(name)
    last = hi - (hi - lo) / POINTS
    start = time.process_time()
    # real coefficients, as the reference optima: float32 ones cost up to 3e-4 of an error
    fit = fit_piecewise_linear(
        f, lo, last, segments=segments, tolerance=TOLERANCE, precision="float64"
    )
    seconds = time.process_time() - start
    x = sample_points(lo, last, POINTS, "float64")
    y = f(x)
    tree = fit_tree(f, lo, hi, leaves=segments, precision="float64")
    pwlf = fit_pwlf(f, x, segments) if segments <= (16 if slow_peers else 8) else None
    return Row(
        function=name,
        segments=segments,
        error=fit.max_error,
        ratio=fit.lower_bound / fit.max_error,
        certified=not check_certificate(fit.certificate, f),
        seconds=seconds,
        reference=reference,
        tree=tree.max_error,
        uniform=uniform_minimax(x, y, segments),
        interpolated=uniform_interpolation(f, x, lo, hi, segments),
        pwlf=None if pwlf is None else pwlf[0],
        pwlf_seconds=None if pwlf is None else pwlf[1],
    )


def match(peer: str, name: str, approximation: Callable[[Array], Array]) -> Match:
    """How many segments a peer's error takes."""
    f, lo, hi = subject(name)
    last = hi - (hi - lo) / POINTS
    x = sample_points(lo, last, POINTS, "float64")
    error = float(np.abs(approximation(x) - f(x)).max())
    fit = fit_piecewise_linear(f, lo, last, max_error=error, precision="float64")
    return Match(peer, name, error, fit.form.segments)


def matches() -> list[Match]:
    """The peers whose size is fixed."""
    found = []
    for name in REFERENCE:
        f, lo, hi = subject(name)
        if name == "Tanh":
            lo, hi = -4.0, 4.0
        found.append(match("hls4ml table of 1024", name, hls4ml_table(f, lo, hi)))
    return [*found, match("I-BERT i-GELU", "GELU", i_gelu), match("I-BERT i-exp", "exp(-x)", i_exp)]


def squared_error(protocol: Protocol) -> SquaredError:
    """Least mean squared errors by GQA-LUT's protocol."""
    f = find(protocol.function).function()
    x = np.arange(protocol.lo, protocol.hi, 0.01)
    even, entries = np.ones_like(x), protocol.entries
    real = fit_least_squares(f, x, even, entries).mse
    grid = fit_least_squares(f, x, even, entries, step=GQA_STEP).mse
    return SquaredError(protocol.function, entries, real, grid, protocol.shipped)


def failures(rows: list[Row], squares: list[SquaredError]) -> list[str]:
    """What misses its bar, one sentence each."""
    found = []
    for row in rows:
        where = f"{row.function} at {row.segments} segments"
        if float(f"{row.error:.3e}") > row.reference:
            found.append(f"{where}: {row.error:.4g} is worse than {row.reference:.4g}")
        if row.ratio < LEAST_RATIO:
            found.append(f"{where}: the certified ratio is only {row.ratio:.6f}")
        if not row.certified:
            found.append(f"{where}: the checker refuses the certificate")
    for protocol, square in zip(PROTOCOLS, squares, strict=True):
        for kind, error, bar in (
            ("real", square.real, protocol.bar),
            ("2^-6", square.grid, protocol.grid_bar),
        ):
            if bar is not None and not error < bar:
                where = f"{square.function} at {square.entries} entries, {kind} coefficients"
                found.append(f"{where}: mean squared error {error:.3g}, not below {bar:.3g}")
    return found


@dataclass(frozen=True)
class Timing:
    """Processor seconds of one fit of the catalogue."""

    function: str
    lo: float
    hi: float
    seconds: float


def time_catalogue() -> list[Timing]:
    """Fit every function with 16 segments; the median of three turns counts."""
    found = []
    for entry in CATALOGUE:
        f = entry.function()
        lo, hi = usual_domain(entry, f)
        turns = []
        for _ in range(3):
            start = time.process_time()
            fit_piecewise_linear(f, lo, hi, segments=16, points=POINTS, tolerance=1e-3)
            turns.append(time.process_time() - start)
        found.append(Timing(entry.name, lo, hi, median(turns)))
    return sorted(found, key=lambda timing: timing.seconds)


def usual_domain(entry: CatalogueEntry, f: ScalarFunction) -> tuple[float, float]:
    """[-8, 8), or the part of it that lies inside the function's domain and is finite."""
    lo, hi = max(-8.0, entry.domain[0]), min(8.0 - 2.0**-12, entry.domain[1])
    for low, high in ((lo, hi), (lo + 2**-4, hi - 2**-4), (2**-4, hi)):
        try:
            f.finite(sample_points(low, high, POINTS, "float32"))
        except ModelError:
            continue
        return low, high
    raise SystemExit(f"{entry.name} is not finite on any part of [-8, 8) that was tried")


def processor() -> str:
    """The name of the machine's processor."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    """A table for the terminal; all columns but the first to the right."""
    found = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        found.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        found.add_row(*row)
    return found


def show_fits(console: Console, rows: list[Row]) -> None:
    """Print our errors, and the peers' as multiples of them."""

    def times(error: float | None, row: Row) -> str:
        return "-" if error is None else f"{error / row.error:.2f}"

    columns = ["function", "N", "error", "bound/error", "ms"]
    columns += ["tree", "uniform", "interpolated", "pwlf", "pwlf s"]
    cells = [
        [
            *(row.function, str(row.segments), f"{row.error:.3e}", f"{row.ratio:.6f}"),
            f"{1e3 * row.seconds:.0f}",
            *(times(value, row) for value in (row.tree, row.uniform, row.interpolated, row.pwlf)),
            "-" if row.pwlf_seconds is None else f"{row.pwlf_seconds:.1f}",
        ]
        for row in rows
    ]
    console.print(table("Largest error; the peers' as multiples of it", columns, cells))


def show_rest(console: Console, found: list[Match], squares: list[SquaredError]) -> None:
    """Print peers of fixed size, and mean squared errors."""
    cells = [[m.peer, m.function, f"{m.error:.3e}", str(m.segments)] for m in found]
    columns = ["peer", "function", "error", "segments as good"]
    console.print(table("Peers of fixed size", columns, cells))
    cells = [
        [s.function, str(s.entries), f"{s.real:.3e}", f"{s.grid:.3e}", f"{s.shipped:.2e}"]
        for s in squares
    ]
    columns = ["function", "entries", "real", "2^-6", "GQA-LUT, 2^-6 (published)"]
    console.print(table("Mean squared error, GQA-LUT's protocol", columns, cells))


def run_comparison(console: Console, slow_peers: bool) -> tuple[dict[str, Any], list[str]]:
    """Compare with the peers.

    Returns:
        JSON-ready results, and what misses its bar.
    """
    rows = [
        compare(name, segments, reference, slow_peers)
        for name, optima in REFERENCE.items()
        for segments, reference in zip(SEGMENTS, optima, strict=True)
    ]
    if all(row.pwlf is None for row in rows):
        console.print("pwlf is not installed: pip install pwlf==2.7.0 brings its column")
    found, squares = matches(), [squared_error(protocol) for protocol in PROTOCOLS]
    show_fits(console, rows)
    show_rest(console, found, squares)
    parts: dict[str, list[Any]] = {"fits": rows, "fixed_peers": found, "squared_errors": squares}
    document = {key: [asdict(row) for row in part] for key, part in parts.items()}
    return document, failures(rows, squares)


def run_catalogue(console: Console) -> tuple[dict[str, Any], list[str]]:
    """Time the catalogue.

    Returns:
        JSON-ready results, and what misses its bar.
    """
    timings = time_catalogue()
    middle, worst = median(t.seconds for t in timings), timings[-1]
    console.print(
        f"{len(timings)} functions, 16 segments, {POINTS} points, tolerance 1e-3, processor time: "
        f"median {1e3 * middle:.1f} ms, worst {1e3 * worst.seconds:.1f} ms ({worst.function})"
    )
    missed = []
    if middle >= MEDIAN_BAR:
        missed.append(f"the median fit takes {1e3 * middle:.1f} ms, not below 50 ms")
    if worst.seconds >= WORST_BAR:
        missed.append(f"{worst.function} takes {1e3 * worst.seconds:.1f} ms, not below 500 ms")
    return {"catalogue": [asdict(timing) for timing in timings], "median": middle}, missed


def main() -> int:
    """Run the benchmark; the exit status."""
    parser = argparse.ArgumentParser(description="compare the approximation engine with its peers")
    parser.add_argument("--catalogue", action="store_true", help="time fits of all functions")
    parser.add_argument("--slow-peers", action="store_true", help="pwlf at 16 segments too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    machine = {"processor": processor(), "python": platform.python_version()}
    console.print(f"{machine['processor']}, Python {machine['python']}")
    if options.catalogue:
        document, missed = run_catalogue(console)
    else:
        document, missed = run_comparison(console, options.slow_peers)
    if options.json is not None:
        text = json.dumps({**machine, **document, "missed": missed}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")
    for sentence in missed:
        console.print(f"MISSED: {sentence}", markup=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
