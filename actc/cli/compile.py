"""actc compile: a model to integers and to an artefact, with what that cost."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import actc
from actc.cli.cache import NoCache, caching
from actc.cli.chosen import Chosen, choose
from actc.cli.console import progress
from actc.cli.options import Debug, Json, Model
from actc.cli.outcome import Outcome, judged
from actc.cli.ranking import allocation_text
from actc.cli.summary import summary
from actc.errors import ExitStatus


def run(
    context: typer.Context,
    model: Model,
    target: Annotated[
        str, typer.Option("--target", "-t", metavar="T", help="what to compile for: `actc targets`")
    ] = "cpu",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="default: MODEL-TARGET, here"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA.npz",
            help="one array per model input, first axis = samples; optionally `labels`",
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="int8|float32|float16", help="arithmetic")
    ] = "int8",
    approx: Annotated[
        str, typer.Option(metavar="auto|exact|pwl|table", help="form of the activations")
    ] = "auto",
    max_drop: Annotated[
        float,
        typer.Option(metavar="FRACTION", help="accuracy that may be lost; more: exit status 1"),
    ] = 0.01,
    calibration: Annotated[
        str,
        typer.Option(metavar="minmax|percentile|mse|entropy", help="how ranges are chosen"),
    ] = "minmax",
    activations: Annotated[
        str,
        typer.Option(
            metavar="auto|BITS|mixed|binary",
            help="bits of tensors, 2..16; mixed: 8 into multipliers, 12 into tables, 16 elsewhere;"
            " binary: 1 for what inner layers read; auto: best for the target",
        ),
    ] = "auto",
    weights: Annotated[
        str,
        typer.Option(
            metavar="8..2|ternary|binary",
            help="bits of weights; first, last and depthwise layers: 8",
        ),
    ] = "8",
    rounding: Annotated[
        str,
        typer.Option(
            metavar="auto|nearest|optimal|sequential",
            help="of weights; auto: sequential below 8 bits and in recurrent networks",
        ),
    ] = "auto",
    scales: Annotated[
        str,
        typer.Option(
            metavar="free|power-of-two", help="of tensors and weights; the latter rescale by shifts"
        ),
    ] = "free",
    groups: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="inputs whose weights share an integer factor, below 8 bits; default: none",
        ),
    ] = 0,
    islands: Annotated[
        str,
        typer.Option(
            metavar="auto|never",
            help="operators without integer form stay in float, where the target runs them, "
            "or are refused",
        ),
    ] = "auto",
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="rms=E|size=BYTES|drop=F|luts=N@FAMILY",
            help="choose bits of tensors and weights: relative RMS error of the outputs, bytes "
            "of weights and tables (200KB), accuracy lost, or logic cells of the unrolled "
            "network on an FPGA family (luts=20000@ecp5)",
        ),
    ] = None,
    end: Annotated[
        str,
        typer.Option(
            metavar="outputs|argmax|probabilities",
            help="what the network gives; argmax: the index of the largest output; "
            "probabilities: those of the last softmax as codes of 16 bits",
        ),
    ] = "outputs",
    binarize: Annotated[
        str | None,
        typer.Option(
            metavar="auto|all|LAYERS",
            help="make layers binary: as many as keep to --max-drop, all but the first and "
            "last, or names and patterns by commas; with options: auto,weights=ternary,last=4",
        ),
    ] = None,
    tune: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="cpu: time N schedules of each distinct kernel here, and take the fastest",
        ),
    ] = 0,
    tune_seconds: Annotated[
        float, typer.Option(metavar="S", help="cpu: after which no more are timed")
    ] = 300,
    clock: Annotated[
        float | None,
        typer.Option(
            metavar="MHZ", help="FPGA: clock to reach; default: what is usual there", min=0.1
        ),
    ] = None,
    latency: Annotated[
        int | None,
        typer.Option(
            metavar="CLOCKS",
            help="FPGA: pipeline stages, instead of --clock; of a folded network, clocks at most",
            min=0,
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="auto|unrolled|folded",
            help="FPGA: a result every clock, or layers that take a few elements per clock; "
            "default: unrolled where that fits",
        ),
    ] = None,
    throughput: Annotated[
        float | None,
        typer.Option(
            metavar="SAMPLES", help="FPGA: samples per second of a folded network", min=0.001
        ),
    ] = None,
    interface: Annotated[
        str | None, typer.Option(metavar="uart|spi|stream", help="FPGA: what the pins speak")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="FPGA: placements to try, in parallel", min=1)
    ] = None,
    effort: Annotated[
        int | None,
        typer.Option(metavar="0..3", help="FPGA: of the search for adders; default: 2", min=0),
    ] = None,
    tables: Annotated[
        str | None,
        typer.Option(
            metavar="auto|logic|memory",
            help="FPGA: tables of functions in logic or in block memories; default: auto",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="xc7|xcup|ecp5|ice40|gowin",
            help="--target verilog: FPGA family that it is built for, and whose cells are counted",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="options and bits of tensors and layers; default: actc.toml there"
        ),
    ] = None,
    passes: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="passes to run, e.g. 'recognize,approximate{form=pwl}'"),
    ] = None,
    dump_ir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write the model after each pass")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="plan only: show files and commands")
    ] = False,
    no_cache: NoCache = False,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Compile a trained model and measure what it cost."""
    chosen = chosen_of(context, model, config, locals())
    given = chosen.arguments()
    with caching(no_cache), progress() as show:
        if chosen.file is not None:
            show(f"options of {chosen.file.path}")
        artifact = actc.compile(model, dump_ir=dump_ir, dry_run=dry_run, progress=show, **given)
    if artifact.path is None:  # a dry run
        plan = _plan(artifact.plan)
        document = {**artifact.report, "plan": plan}
        return judged(document, _plan_view(plan), ExitStatus.BUDGET_MISSED)
    view = summary(artifact.report, artifact.path)
    if artifact.report["allocation"] is not None:
        view.append("\n\n").append(allocation_text(artifact.report["allocation"]))
    return judged(artifact.report, view, ExitStatus.BUDGET_MISSED)


_HARDWARE = (
    "clock",
    "latency",
    "architecture",
    "throughput",
    "interface",
    "seeds",
    "effort",
    "tables",
    "device",
)
_OTHERS = ("context", "model", "config", "dump_ir", "dry_run", "no_cache", "json", "debug")


def chosen_of(
    context: typer.Context, model: Path, config: Path | None, parsed: Mapping[str, Any]
) -> Chosen:
    """The options of a compilation, from the parsed ones of this command and from actc.toml."""
    names = [name for name in parsed if name not in (*_HARDWARE, *_OTHERS)]
    options = {name: parsed[name] for name in names}
    return choose(context, model, config, options, {name: parsed[name] for name in _HARDWARE})


def _plan(plan: Any) -> dict[str, Any]:
    """A BuildPlan as JSON values."""
    return {
        "target": plan.target,
        "digest": plan.digest(),
        "files": [
            {"path": path, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in sorted(plan.files.items())
        ],
        "commands": [list(command) for command in plan.commands],
    }


def _plan_view(plan: dict[str, Any]) -> Text:
    lines = [f"plan for {plan['target']}, digest {plan['digest']}", "files:"]
    lines += [f"  {file['path']}  {file['bytes']} bytes" for file in plan["files"]]
    lines += ["commands:", *(f"  {shlex.join(c)}" for c in plan["commands"] or [["(none)"]])]
    return Text("\n".join(lines))
