"""compile(): from a trained model to an artefact, with what that cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from actc.allocation import allocate, parse_budget
from actc.artifact import Artifact
from actc.checked_options import checked_options
from actc.checks.equivalence import FunctionKept
from actc.compile_options import (
    ARGMAX,
    ENDS,
    ONE_BIT,
    POWER_OF_TWO,
    PROBABILITIES,
    TUNE_SECONDS,
    Options,
    binarizer,
    require_no_binarizer,
    require_unchosen,
    wider_overrides,
)
from actc.data import DataLike
from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError
from actc.ir.context import context_of
from actc.ir.golden import is_golden
from actc.ir.load import ModelLike
from actc.measured import Measured
from actc.numerics.blas import one_thread
from actc.outcome import build_report, write_documents
from actc.output import require_place, staged
from actc.overrides import KnownNames, Overrides, put
from actc.passes.approximate import Approximate
from actc.passes.binarize import Binarize
from actc.passes.calibrate import Calibrate
from actc.passes.choose import Choose
from actc.passes.integerize import Integerize
from actc.passes.normalize import Normalize
from actc.passes.probabilities import Probabilities
from actc.passes.quantize import Quantize
from actc.passes.read_quantized import Quantizers, ReadQuantized
from actc.passes.recognize import Recognize
from actc.passes.snapshot import approximated
from actc.passes.structure import Structure
from actc.passes.take_golden import TakeGolden
from actc.passes.weights import QuantizeWeights
from actc.passes.widths import AUTO
from actc.pipeline import DumpIr, Instrument, Pipeline, Snapshot, Timing, Verify, pass_name
from actc.prepare import Prepared, prepare
from actc.provenance import inputs_of
from actc.stages import Stages, measure, running, verify, write_models
from actc.targets.base import Progress, Target


@one_thread()
def compile(
    model: ModelLike,
    target: str = "cpu",
    *,
    data: DataLike | None = None,
    output: str | Path | None = None,
    precision: str = "int8",
    approx: str = "auto",
    max_drop: float = 0.01,
    passes: str | Pipeline | Sequence[ir.passes.PassBase] | None = None,
    dump_ir: str | Path | None = None,
    dry_run: bool = False,
    calibration: str = "minmax",
    activations: str = AUTO,
    weights: str = "8",
    rounding: str = "auto",
    scales: str = "free",
    groups: int = 0,
    islands: str = "auto",
    budget: str | None = None,
    end: str = "outputs",
    binarize: str | None = None,
    tune: int = 0,
    tune_seconds: float = TUNE_SECONDS,
    overrides: Overrides | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Compile a trained ONNX model for a target and measure what that cost.

    Args:
        model: path of an .onnx file, or a model in memory. A golden.onnx is taken as it
            is, to compile it for another target.
        target: name of a target, with an option behind a colon ("cpu:znver4").
        data: path of an .npz file or arrays by input name (see `actc.data`); None
            calibrates on synthetic samples, with a warning.
        output: directory to write; default ``<model>-<target>``. It is written
            completely or not at all.
        precision: "int8", "float32", or "float16" (cuda): stored so, computed in float32.
        approx: form of the activations: "auto", "exact", "pwl" or "table".
        max_drop: accuracy that may be lost before the report holds an error.
        passes: a pipeline, its passes or its spelling, instead of the default one.
        dump_ir: directory for the model after each pass, as text.
        dry_run: plan only; nothing is written.
        calibration: how ranges are chosen: "minmax", "percentile", "mse", "entropy".
        activations: bits of the integers that stand for tensors: a number, 2..16,
            "mixed" (8 bits into multipliers, 12 into tables, 16 elsewhere), "auto"
            (what is best for the target), or "binary": one bit for what layers inside of the
            network read, the others as with "auto".
        weights: bits of the integers that stand for weights, "8" ... "2", "ternary" or "binary";
            the first and last layers and depthwise ones keep 8, unless they hold most
            weights.
        rounding: how weights become integers: "nearest", "optimal" (least error in each
            layer's output on the data), "sequential" (the same one layer after the other,
            for inputs as the layers before leave them), or "auto": sequential below 8 bits
            and in recurrent networks.
        scales: of tensors and weights: "free", or "power-of-two", so that rescaling is a
            shift, but for averages over other counts.
        groups: inputs (channels of a Conv) whose weights share an integer factor below
            their channel's scale, for weights of fewer than 8 bits; 0: none.
        islands: operators without integer form: "auto" keeps them in float, as islands,
            where the target can run them; "never" refuses them.
        budget: chooses the bits of tensors and weights: "rms=0.02" (relative RMS error
            of the outputs) or "drop=0.01" (accuracy lost on labelled data) at the
            fewest bytes, or at the least error "size=200KB" (bytes of weights and tables)
            or "luts=20000@ecp5" (logic cells of the unrolled network on an FPGA family).
        end: what the network gives: its "outputs", or "argmax", the index of the largest
            along axis 1 in place of each float output, or "probabilities", those of the
            softmax that ends it as codes of 16 bits, dequantized behind them.
        binarize: layers that become binary: "auto" (as many as lose at most `max_drop`), "all",
            or names and patterns, by commas, with options of pass `binarize`:
            "auto,weights=ternary".
        tune: schedules of each distinct kernel that are timed on this machine, beside the one
            that is modelled to be fastest (target cpu); 0: none.
        tune_seconds: after which no more are timed.
        overrides: bits of single tensors and layers, above every other choice:
            ``{"activations": {value: bits}, "weights": {node: bits}}``.
        progress: called with the name of each stage as it starts.

    Returns:
        the artefact with its report. A missed accuracy budget is an error-severity
        diagnostic ACT0601 in the report, not an exception.

    Raises:
        UsageError, ModelError, MissingTool, ToolFailed: see `actc.errors`.
        BudgetMissed: the artefact differs from golden; nothing is written.
        InternalError: a pass broke the model, or golden disagrees with its
            specification; nothing is written.
    """
    options = Options(
        target,
        precision,
        approx,
        calibration,
        max_drop,
        activations,
        weights,
        rounding,
        scales,
        budget,
        overrides or {},
        islands,
        groups,
        end,
        binarize,
        tune,
        tune_seconds,
    )
    say = progress or (lambda name: None)
    options, machine = checked_options(options, passes, dry_run)
    stages = Stages()
    with stages.timed("load", say):
        prepared = prepare(model, data, any_real=precision != "int8")
    directory = (
        Path(output)
        if output is not None
        else Path(f"{prepared.source.stem}-{Path(machine.name).stem}")
    )
    if not dry_run:
        require_place(directory)
    golden = is_golden(prepared.model)
    if golden:
        require_unchosen(options, passes)
    asked = options
    if activations == AUTO:
        options = replace(options, activations=machine.capabilities().activations)
    pipeline = Pipeline((TakeGolden(),)) if golden else _pipeline(passes, options, machine)
    overrides = wider_overrides(options)
    put(prepared.model, overrides)
    if budget is not None:
        with stages.timed("allocate", say):
            _allocate(prepare(model, data), pipeline, options, prepared, machine, say)
    with running(prepared.source.name):
        compiled = _run_passes(pipeline, prepared, stages, say, dump_ir, overrides)
    _require_valid(machine, compiled, precision)
    with stages.timed("plan", say):
        plan = machine.plan(compiled, precision)
    if dry_run:
        report = build_report(prepared, compiled, options, machine, pipeline, stages, Measured())
        return Artifact(None, report, machine, plan)
    with staged(directory) as stage:
        write_models(stage, prepared, compiled, stages, precision)
        with stages.timed("build", say):
            machine.build(plan, stage, say)
        with stages.timed("check", say), running(prepared.source.name):
            measured = measure(prepared, compiled, machine, stage, stages, precision)
        with stages.timed("verify", say):
            verify(prepared, machine, stage, measured, say)
        report = build_report(
            prepared, compiled, options, machine, pipeline, stages, measured, stage
        )
        given = None if passes is None else str(pipeline)
        inputs = inputs_of(asked, given, data, prepared.dataset)
        with stages.timed("report", say):
            write_documents(stage, report, prepared, compiled, machine, stages.seconds, inputs)
        report = {
            **report,
            "timings": dict(stages.seconds),
            "seconds": sum(stages.seconds.values()),
        }
    return Artifact(directory, report, machine, plan)


def _allocate(
    again: Prepared,
    pipeline: Pipeline,
    options: Options,
    prepared: Prepared,
    machine: Target,
    say: Progress,
) -> None:
    """Choose bits on a copy of the model, for the passes that will run on `prepared`."""
    assert options.budget is not None
    given = wider_overrides(options)
    known = KnownNames(given, prepared.source.name)
    widest = machine.capabilities().widest
    budget = parse_budget(options.budget)
    # errors are those of the outputs, whatever the network ends with
    pipeline = Pipeline(tuple(step for step in pipeline.passes if not isinstance(step, Choose)))
    found = allocate(again, pipeline, budget, given, say, [known], widest)
    put(
        prepared.model,
        {
            "activations": {**found.widths, **given["activations"]},
            "weights": {**found.weight_bits, **given["weights"]},
        },
    )
    prepared.context.facts["allocation"] = dict(found.document)
    if found.doubt is not None:
        prepared.context.sink.add(found.doubt)


def default_pipeline(
    precision: str,
    approx: str,
    calibration: str,
    activations: str = "8",
    weights: str = "8",
    rounding: str = "auto",
    scales: str = "free",
    islands: bool = False,
    groups: int = 0,
    end: str = "outputs",
    binary: Binarize | None = None,
) -> Pipeline:
    """The passes of a compilation, in order."""
    int8, shifts = precision == "int8", scales == POWER_OF_TWO
    common: tuple[ir.passes.PassBase, ...] = (
        *((ReadQuantized(), Normalize(), Quantizers()) if int8 else (Normalize(),)),
        *((Choose(),) if end == ARGMAX else ()),
        Structure(),
        *((Probabilities(),) if end == PROBABILITIES else ()),
        *(() if binary is None else (binary,)),
        Recognize(),
        Calibrate(any_real=not int8),
        Approximate(
            form=approx,
            precision="int8" if int8 else "float32",
            method=calibration,
            activations=activations,
            power_of_two=shifts,
        ),
    )
    integers: tuple[ir.passes.PassBase, ...] = (
        Quantize(method=calibration, activations=activations, power_of_two=shifts),
        QuantizeWeights(bits=weights, rounding=rounding, power_of_two=shifts, groups=groups),
        Integerize(power_of_two=shifts, islands=islands),
    )
    return Pipeline(common + integers if precision == "int8" else common)


def _pipeline(
    passes: str | Pipeline | Sequence[ir.passes.PassBase] | None,
    options: Options,
    machine: Target,
) -> Pipeline:
    one_bit = options.activations in ONE_BIT
    default = default_pipeline(
        options.precision,
        options.approx,
        options.calibration,
        machine.capabilities().activations if one_bit else options.activations,
        options.weights,
        options.rounding,
        options.scales,
        options.islands == "auto" and machine.capabilities().float_islands,
        options.groups,
        options.end,
        binarizer(options),
    )
    if passes is None:
        return default
    require_no_binarizer(options)
    if isinstance(passes, str):
        pipeline = Pipeline.parse(passes)
    else:
        pipeline = passes if isinstance(passes, Pipeline) else Pipeline(tuple(passes))
    if options.precision == "int8" and "integerize" not in map(pass_name, pipeline.passes):
        raise UsageError(
            Diagnostic(
                "ACT0225",
                "the pass list has no 'integerize', so it gives no int8 model",
                help=f"the default is: {default}; or use --precision float32 (onnx, cpu)",
            )
        )
    made = {pass_name(step) for step in pipeline.passes} & set(ENDS.values())
    if made != {ENDS[options.end]} - {""}:
        raise UsageError(
            Diagnostic(
                "ACT0225",
                f"the pass list and --end {options.end} do not agree on what the network gives",
                help="'choose' in the list makes it the index of the largest: --end argmax; "
                "'probabilities' makes them codes: --end probabilities",
            )
        )
    return pipeline


def _run_passes(
    pipeline: Pipeline,
    prepared: Prepared,
    stages: Stages,
    say: Progress,
    dump_ir: str | Path | None,
    overrides: Overrides,
) -> ir.Model:
    def keep(name: str, model: ir.Model) -> None:
        if name == "recognize":
            stages.normalized = ir.to_proto(model)
        elif name == "approximate":
            stages.approximated = approximated(model)
        else:
            copy = ir.from_proto(ir.to_proto(model))
            context_of(model).facts["quantized"] = {"model": copy}

    instruments: list[Instrument] = [
        Timing(say, stages.seconds),
        Verify(),
        FunctionKept(prepared.dataset),
        KnownNames(overrides, prepared.source.name),
        Snapshot(("recognize", "approximate", "quantize"), keep),
    ]
    if dump_ir is not None:
        instruments.append(DumpIr(Path(dump_ir)))
    context_of(prepared.model).facts["progress"] = {"say": say}
    result = pipeline.run(prepared.model, instruments)
    if stages.approximated is None and not is_golden(result):
        stages.approximated = ir.to_proto(result)
    return result


def _require_valid(machine: Target, model: ir.Model, precision: str) -> None:
    file = context_of(model).file
    problems = [problem.in_file(file) for problem in machine.validate(model, precision)]
    if any(problem.severity == "error" for problem in problems):
        raise ModelError(problems)
    context_of(model).sink.extend(problems)
