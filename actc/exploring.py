"""explore(): how fast a network can be on a board, and what of the device that takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actc.compile_options import Options, checked_target
from actc.compiler import default_pipeline
from actc.data import DataLike
from actc.diagnostics import Diagnostic
from actc.emission import require_place, write_files
from actc.errors import UsageError
from actc.fit_options import require_choice
from actc.ir.golden import is_golden
from actc.ir.load import ModelLike
from actc.passes.take_golden import TakeGolden
from actc.passes.widths import AUTO
from actc.pipeline import Pipeline, Timing
from actc.prepare import prepare
from actc.targets.base import Progress, quiet

if TYPE_CHECKING:
    from actc.targets.fpga.options import FpgaOptions

PLOTS = ("png", "svg")


def explore(
    model: ModelLike,
    target: str,
    *,
    data: DataLike | None = None,
    activations: str = AUTO,
    weights: str = "8",
    end: str = "outputs",
    plot: str | Path | None = None,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Find all foldings of a network on a board of which none is faster and smaller.

    Nothing is synthesized: areas are estimates.

    Args:
        model: path of an .onnx file, or a model in memory; a golden.onnx is taken as it is.
        target: a board or device of `actc targets`, with options behind a colon
            ("ecp5-25k:clock=50").
        data: path of an .npz file or arrays by input name; None: synthetic samples.
        activations, weights, end: as of :func:`actc.compile`.
        plot: a file whose ending (.png, .svg) says what to draw.
        progress: called with the name of each stage as it starts.

    Returns:
        JSON-ready: ``model``, ``target``, ``device``, ``clock_mhz``, ``available`` and
        ``reserved`` {luts, ffs, brams, dsps}, ``stages`` [name], ``points`` [{samples_per_second,
        interval, latency, latency_us, share, luts, ffs, brams, dsps, entry_words, foldings,
        engine}], the fastest first, ``diagnostics``; `engine` are the stages that share one.

    Raises:
        UsageError: ACT0535 the target, ACT0334 and ACT0337 the plot, and as of
            :func:`actc.compile`.
        ModelError: ACT0605, the model cannot be folded; ACT0606, no folding fits.
    """
    ending = None if plot is None else Path(plot).suffix.lower().removeprefix(".")
    if plot is not None and ending is not None:
        require_choice("the ending of --plot", ending, PLOTS)
        require_place(Path(plot))
    options = Options(target, activations=activations, weights=weights, end=end)
    machine = checked_target(options, dry_run=True)
    from actc.targets.fpga.target import FpgaTarget  # loads much that others do not need

    if not isinstance(machine, FpgaTarget):
        raise UsageError(_no_board(target))
    if problems := _meaningless(machine.settings):
        raise UsageError(problems)
    progress("load")
    prepared = prepare(model, data)
    if activations == AUTO:
        options = replace(options, activations=machine.capabilities().activations)
    pipeline = (
        Pipeline((TakeGolden(),))
        if is_golden(prepared.model)
        else default_pipeline(
            "int8",
            options.approx,
            options.calibration,
            options.activations,
            options.weights,
            end=end,
        )
    )
    golden = pipeline.run(prepared.model, [Timing(progress)])
    progress("explore")
    from actc.targets.fpga.folded.explore import explore_golden

    name = prepared.source.stem
    found = explore_golden(golden, name, machine.board, machine.settings).to_json()
    document = {
        "model": prepared.source.name,
        "target": target,
        **found,
        "diagnostics": [item.to_json() for item in prepared.context.sink.items],
    }
    if plot is not None and ending is not None:
        from actc.report.front_plot import render_front  # matplotlib is slow to load

        write_files({Path(plot): render_front(document, ending)})
    return document


def _meaningless(settings: FpgaOptions) -> list[Diagnostic]:
    """Options of a board that change no estimate of a folded network."""
    default = type(settings)()
    found = [
        name
        for name in ("latency", "effort", "tables", "seeds", "seed", "throughput")
        if getattr(settings, name) != getattr(default, name)
    ]
    if settings.architecture == "unrolled":
        found.append("architecture=unrolled")
    return [
        Diagnostic(
            "ACT0535",
            f"{name} has no meaning where foldings are explored",
            help="leave it out: clock and interface are what an exploration depends on; "
            "`actc compile` takes the others",
        )
        for name in found
    ]


def _no_board(target: str) -> Diagnostic:
    return Diagnostic(
        "ACT0535",
        f"{target!r} is no board or FPGA device",
        help="networks are folded for FPGAs: give a board or device of `actc targets`",
    )
