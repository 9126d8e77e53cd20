"""The options of a compilation, and what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from actc import toolchain
from actc.calibrate.histogram import METHODS
from actc.diagnostics import Diagnostic
from actc.errors import MissingTool, Problems, UsageError
from actc.numerics.weights import SPELLINGS
from actc.passes.binarize import ALL, BINARY, NONE, TERNARY, Binarize, parse_binarize
from actc.passes.binary.plan import KEEP
from actc.passes.site_choices import FORMS
from actc.passes.weights import ROUNDINGS, check_groups
from actc.passes.widths import AUTO, MIXED, WIDE_BITS, check_policy
from actc.targets.base import Target, Tool
from actc.targets.named import make_target

POWER_OF_TWO = "power-of-two"
SCALES = ("free", POWER_OF_TWO)
ISLANDS = ("auto", "never")
HALF_PRECISION = "float16"
PRECISIONS = ("int8", "float32", HALF_PRECISION)
TUNE_SECONDS = 300.0
MOST_TUNED = 1000
"""Candidates of a kernel, at most."""
ARGMAX = "argmax"
PROBABILITIES = "probabilities"
ENDS = {"outputs": "", ARGMAX: "choose", PROBABILITIES: "probabilities"}
"""What a network may give, and the pass that makes it so."""
ONE_BIT = (BINARY, "1")
"""What --activations may be for tensors of one bit."""
_CHOICES = {
    "approx": FORMS,
    "calibration": METHODS,
    "weights": SPELLINGS,
    "rounding": ROUNDINGS,
    "scales": SCALES,
    "islands": ISLANDS,
    "end": tuple(ENDS),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a compilation, as manifest.json records them."""

    target: str
    precision: str = "int8"
    approx: str = "auto"
    calibration: str = "minmax"
    max_drop: float = 0.01
    activations: str = AUTO
    weights: str = "8"
    rounding: str = "auto"
    scales: str = "free"
    budget: str | None = None
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    islands: str = "auto"
    groups: int = 0
    end: str = "outputs"
    binarize: str | None = None
    tune: int = 0
    tune_seconds: float = TUNE_SECONDS


def binarizer(options: Options) -> Binarize | None:
    """The pass that makes layers and tensors binary, None where none shall be.

    Raises:
        UsageError: ACT0223, --binarize cannot be read.
    """
    found = None
    if options.binarize is not None:
        found = parse_binarize(options.binarize, options.max_drop)
    elif options.activations in ONE_BIT:
        narrow = options.weights in (BINARY, TERNARY)
        found = Binarize(ALL, weights=options.weights if narrow else KEEP)
    tensors = one_bit_tensors(options)
    if tensors:
        found = replace(found or Binarize(NONE), tensors=";".join(tensors))
    return found


def one_bit_tensors(options: Options) -> list[str]:
    """Names of the tensors that the configuration gives one bit."""
    return [name for name, bits in options.overrides.get("activations", {}).items() if bits == 1]


def wider_overrides(options: Options) -> dict[str, dict[str, Any]]:
    """The overrides without tensors of one bit, which are no matter of widths."""
    binary = set(one_bit_tensors(options))
    found = {name: dict(table) for name, table in options.overrides.items()}
    found["activations"] = {k: v for k, v in found["activations"].items() if k not in binary}
    return found


def checked_target(options: Options, dry_run: bool) -> Target:
    """The target of a compilation whose options have been checked.

    Raises:
        UsageError: options have no such value, or no meaning beside others; all of them.
        MissingTool: the target needs tools that are not there (not for a dry run); all of them.
    """
    problems = Problems()
    machine = problems.attempt(make_target, options.target)
    capabilities = machine.capabilities() if machine is not None else None
    precisions = (options.precision,) if capabilities is None else capabilities.precisions
    problems.attempt(_precision_of, options, precisions)
    for name, known in _CHOICES.items():
        problems.attempt(_one_of, name, getattr(options, name), known)
    widest = WIDE_BITS if capabilities is None else capabilities.widest
    problems.attempt(_require_narrow, options, widest)
    problems.attempt(check_groups, options.groups)
    problems.attempt(_require_few_bits, options)
    problems.attempt(_require_integers, options)
    problems.attempt(_require_binary, options)
    if machine is not None:
        machine = problems.attempt(_tuned, machine, options)
    if not 0 <= options.max_drop <= 1:
        message = f"--max-drop {options.max_drop} is not a fraction in 0..1"
        problems.add(Diagnostic("ACT0224", message, help="0.01 allows one point of accuracy"))
    if problems.found or machine is None or capabilities is None:
        raise UsageError(problems.found)
    if not dry_run:
        _require_tools(capabilities.tools)
    return machine


def _require_tools(tools: Sequence[Tool]) -> None:
    missing: list[Diagnostic] = []
    for tool in tools:
        try:
            require_tool(tool)
        except MissingTool as error:
            missing += error.diagnostics
    if missing:
        raise MissingTool(missing)


def require_tool(tool: Tool) -> None:
    """See that a tool, or one of its alternatives, is installed.

    Raises:
        MissingTool: it is not, or a variable ACTC_<TOOL> names no program.
    """
    if any(toolchain.locate(command) is not None for command in tool.alternatives):
        return
    if tool.kind == "command":
        toolchain.find(tool.probe, tool.how)
    else:
        toolchain.require_package(tool.probe, tool.how)


def _require_narrow(options: Options, widest: int) -> None:
    """Tensors have a number of bits, and none more than the target takes."""
    if options.activations not in (AUTO, *ONE_BIT):
        check_policy(options.activations)
    policy = {"--activations": options.activations}
    asked = {name: WIDE_BITS if text == MIXED else text for name, text in policy.items()}
    asked |= {f"tensor '{k}'": v for k, v in options.overrides.get("activations", {}).items()}
    sites = options.overrides.get("sites", {})
    asked |= {f"site '{k}'": v["bits"] for k, v in sites.items() if "bits" in v}
    fixed = {name: bits for name, bits in asked.items() if bits not in (AUTO, *ONE_BIT)}
    wide = [name for name, bits in fixed.items() if int(bits) > widest]
    if wide:
        raise UsageError(
            Diagnostic(
                "ACT0224",
                f"{name} asks for more than {widest} bits, the most that target "
                f"'{options.target}' takes",
                help="give fewer bits; `--target onnx` takes up to 16",
            )
            for name in wide
        )


def _require_few_bits(options: Options) -> None:
    """Groups have factors below 8 bits only; those of single layers and of a budget count."""
    if options.groups <= 0 or options.budget is not None:
        return
    if {options.weights, *options.overrides.get("weights", {}).values()} == {"8"}:
        raise UsageError(
            Diagnostic(
                "ACT0244",
                f"--groups {options.groups} has no meaning with weights of 8 bits",
                help="give fewer bits too, with --weights 4 say, or leave --groups out",
            )
        )


def _require_integers(options: Options) -> None:
    """Options of integers say nothing in float32."""
    chosen = {
        "activations": options.activations != AUTO,
        "weights": options.weights != "8",
        "rounding": options.rounding != "auto",
        "scales": options.scales != "free",
        "groups": options.groups != 0,
        "binarize": options.binarize is not None,
        "islands": options.islands != "auto",
        "end": options.end != "outputs",
    }
    given = [name for name, differs in chosen.items() if differs]
    if options.precision != "int8" and given:
        raise UsageError(
            Diagnostic(
                "ACT0229",
                f"--{name} has no meaning with --precision {options.precision}",
                help=f"leave --{name} out, or compile with --precision int8",
            )
            for name in given
        )


def _tuned(machine: Target, options: Options) -> Target:
    """The target, tuned if it shall be."""
    wrong = {}
    if not 0 <= options.tune <= MOST_TUNED:
        message = f"--tune {options.tune} is not a number of candidates, 0 to {MOST_TUNED}"
        wrong[message] = "give how many schedules of each kernel to time, 16 say; 0 times none"
    if not 0 <= options.tune_seconds < float("inf"):
        message = f"--tune-seconds {options.tune_seconds:g} is not a time"
        wrong[message] = f"give seconds, {TUNE_SECONDS:g} say"
    if wrong:
        raise UsageError(Diagnostic("ACT0224", text, help=todo) for text, todo in wrong.items())
    if not options.tune:
        if options.tune_seconds != TUNE_SECONDS:
            message = "--tune-seconds has no meaning without --tune"
            help = "say how many candidates to time: --tune 16"
            raise UsageError(Diagnostic("ACT0490", message, help=help))
        return machine
    return machine.tuned(options.tune, options.tune_seconds)


def _require_binary(options: Options) -> None:
    """What makes layers binary chooses their bits and scales itself."""
    if binarizer(options) is None:
        return
    given = "--binarize" if options.binarize is not None else "--activations binary"
    given = given if options.binarize or options.activations in ONE_BIT else "a tensor of one bit"
    clashes = {
        f"--budget {options.budget}": options.budget is not None,
        "--scales power-of-two": options.scales == POWER_OF_TWO,
        f"--activations {options.activations}": options.binarize is not None
        and options.activations in ONE_BIT,
    }
    wrong = [name for name, holds in clashes.items() if holds]
    if wrong:
        raise UsageError(
            Diagnostic(
                "ACT0245",
                f"{given} cannot be joined with {' and '.join(wrong)}",
                help="leave one of them out; --binarize goes with --activations mixed, --weights "
                "of the other layers, and bits of single ones in actc.toml",
            )
        )


def require_no_binarizer(options: Options) -> None:
    """Where the user lists the passes, `binarize` is one of them or there is none.

    Raises:
        UsageError: ACT0245.
    """
    if binarizer(options) is not None:
        at = f" {options.binarize}" if options.binarize else " and tensors of one bit"
        raise UsageError(
            Diagnostic(
                "ACT0245",
                f"--binarize{at} has no meaning beside --passes",
                help="put binarize{layers=...} into the list, in front of recognize",
            )
        )


def require_unchosen(options: Options, passes: object) -> None:
    """A golden model is taken as it is: what would choose its formats has no meaning.

    Raises:
        UsageError: ACT0229, naming the options.
    """
    default = Options(
        options.target,
        max_drop=options.max_drop,
        tune=options.tune,
        tune_seconds=options.tune_seconds,
    )
    names = [
        f.name for f in fields(Options) if getattr(options, f.name) != getattr(default, f.name)
    ]
    names += [] if passes is None else ["passes"]
    names = [name for name in names if name != "overrides" or any(options.overrides.values())]
    if names:
        given = " and ".join(f"--{name}" for name in names)
        message = f"{given} can change nothing: the model is golden, integers already"
        help_text = "leave it out, or compile the float model"
        raise UsageError(Diagnostic("ACT0229", message, help=help_text))


def _precision_of(options: Options, known: tuple[str, ...]) -> None:
    """A precision is known, and the target has it."""
    if options.precision in known or options.precision not in PRECISIONS:
        _one_of("precision", options.precision, known)
        return
    others = {
        HALF_PRECISION: "`--target cuda` has it",
        "float32": "`--target cpu`, cuda and onnx have it",
    }.get(options.precision, "the target has it without these options")
    raise UsageError(
        Diagnostic(
            "ACT0486",
            f"target '{options.target}' has no --precision {options.precision}",
            help=f"{others}; here choose one of: {', '.join(known)}",
        )
    )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        message = f"--{name} cannot be '{value}'"
        help_text = f"{hint}choose one of: {', '.join(known)}"
        raise UsageError(Diagnostic("ACT0224", message, help=help_text))
