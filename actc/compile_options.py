"""The options of a compilation, and what is wrong with them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from actc import toolchain
from actc.calibrate.histogram import METHODS
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.numerics.weights import SPELLINGS
from actc.passes.approximate import FORMS
from actc.passes.weights import ROUNDINGS, check_groups
from actc.passes.widths import AUTO, MIXED, WIDE_BITS, check_policy
from actc.targets.base import Target, Tool
from actc.targets.named import make_target

POWER_OF_TWO = "power-of-two"
SCALES = ("free", POWER_OF_TWO)
ISLANDS = ("auto", "never")
ARGMAX = "argmax"
ENDS = ("outputs", ARGMAX)


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


def checked_target(options: Options, dry_run: bool) -> Target:
    """The target of a compilation whose options have been checked.

    Raises:
        UsageError: an option has no such value, or has no meaning beside another.
        MissingTool: the target needs a tool that is not there (not for a dry run).
    """
    machine = make_target(options.target)
    capabilities = machine.capabilities()
    _one_of("precision", options.precision, capabilities.precisions)
    _one_of("approx", options.approx, FORMS)
    _one_of("calibration", options.calibration, METHODS)
    if options.activations != AUTO:
        check_policy(options.activations)
    _require_narrow(options, capabilities.widest)
    _one_of("weights", options.weights, SPELLINGS)
    _one_of("rounding", options.rounding, ROUNDINGS)
    _one_of("scales", options.scales, SCALES)
    check_groups(options.groups)
    _require_few_bits(options)
    _one_of("islands", options.islands, ISLANDS)
    _one_of("end", options.end, ENDS)
    _require_integers(options)
    if not 0 <= options.max_drop <= 1:
        raise UsageError(
            Diagnostic("ACT0224", f"--max-drop {options.max_drop} is not a fraction in 0..1")
        )
    if not dry_run:
        for tool in capabilities.tools:
            require_tool(tool)
    return machine


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
    """No tensor may have more bits than the target takes."""
    policy = {"--activations": options.activations}
    asked = {name: WIDE_BITS if text == MIXED else text for name, text in policy.items()}
    asked |= {f"tensor '{k}'": v for k, v in options.overrides.get("activations", {}).items()}
    wide = [name for name, bits in asked.items() if bits != AUTO and int(bits) > widest]
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
    given = options.overrides.get("weights", {})
    if options.groups and {options.weights, *given.values()} == {"8"} and options.budget is None:
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
        "islands": options.islands != "auto",
        "end": options.end != "outputs",
    }
    if options.precision != "int8" and any(chosen.values()):
        given = next(name for name, differs in chosen.items() if differs)
        message = f"--{given} has no meaning with --precision {options.precision}"
        help_text = f"leave --{given} out, or compile with --precision int8"
        raise UsageError(Diagnostic("ACT0229", message, help=help_text))


def require_unchosen(options: Options, passes: object) -> None:
    """A golden model is taken as it is: what would choose its formats has no meaning.

    Raises:
        UsageError: ACT0229, naming the options.
    """
    default = Options(options.target, max_drop=options.max_drop)
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


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        message = f"--{name} cannot be '{value}'"
        help_text = f"{hint}choose one of: {', '.join(known)}"
        raise UsageError(Diagnostic("ACT0224", message, help=help_text))
