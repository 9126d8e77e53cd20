"""Pipelines: a readable list of passes, run under instruments."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import InternalError, Problems, UsageError
from actc.ir.context import attach, context_of
from actc.ir.verify import problems
from actc.passes import PASSES
from actc.passes.options import read_options

_PASS = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\{([^{}]*)\})?\s*(,|$)")

Observer = Callable[[str, ir.Model], None]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A sequence of passes.

    Attributes:
        passes: onnx_ir passes; actc's own are frozen dataclasses with a `name`.
    """

    passes: tuple[ir.passes.PassBase, ...]

    @classmethod
    def parse(cls, text: str) -> Pipeline:
        """Read the command line's spelling, e.g. ``recognize,approximate{form=pwl,segments=16}``.

        Raises:
            UsageError: bad syntax, unknown passes or options, and values of a wrong type; all
                of them.
        """
        found: list[ir.passes.PassBase] = []
        wrong = Problems()
        position = 0
        while position < len(text) or not position:
            match = _PASS.match(text, position)
            if match is None:
                message = f"cannot read the pass list at '{text[position:]}'"
                form = 'write it as "name,name{option=value}"'
                wrong.add(Diagnostic("ACT0223", message, help=form))
                break
            step = wrong.attempt(_make, match.group(1), match.group(2) or "")
            found += [] if step is None else [step]
            position = match.end()
        wrong.require_none()
        return cls(tuple(found))

    def __str__(self) -> str:
        return ",".join(spelling(step) for step in self.passes)

    def run(self, model: ir.Model, instruments: Iterable[Instrument] = ()) -> ir.Model:
        """Run all passes; instruments see the model before and after each.

        Raises:
            ActcError: whatever a pass raises.
            InternalError: a pass left an invalid model.
        """
        instruments = tuple(instruments)
        for number, step in enumerate(self.passes):
            for instrument in instruments:
                instrument.before(number, step, model)
            context = context_of(model)
            try:
                model = step(model).model
            except ir.passes.PassError as error:
                # onnx_ir wraps what a pass of a sequence raises; the cause is what matters.
                raise error.__cause__ or error from None
            attach(model, context)
            for instrument in instruments:
                instrument.after(number, step, model)
        return model


def pass_name(step: ir.passes.PassBase) -> str:
    """The name of a pass, of its class when it has none."""
    return str(getattr(step, "name", None) or type(step).__name__)


def spelling(step: ir.passes.PassBase) -> str:
    """A pass as the command line writes it, with the options that differ from the default."""
    options = [
        f"{name}={getattr(step, name)}"
        for name, default in _options(type(step)).items()
        if getattr(step, name) != default
    ]
    return pass_name(step) + ("{" + ",".join(options) + "}" if options else "")


def _options(factory: Any) -> dict[str, Any]:
    """The options of a pass class with their defaults; none unless it is a dataclass."""
    fields = dataclasses.fields(factory) if dataclasses.is_dataclass(factory) else ()
    return {f.name: f.default for f in fields if f.init}


def _make(name: str, options: str) -> ir.passes.PassBase:
    """The pass with its options; UsageError: all that is wrong with it."""
    factory = PASSES.get(name)
    given, wrong = read_options(name, _options(factory), options.split(","))
    if wrong:
        raise UsageError(wrong)
    made = factory(**given)
    if not isinstance(made, ir.passes.PassBase):
        raise UsageError(Diagnostic("ACT0223", f"'{name}' is not a pass"))
    return made


class Instrument:
    """Sees the model before and after every pass; the base class does nothing."""

    def before(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Called before pass `number`."""

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Called after pass `number`."""


@dataclass
class Timing(Instrument):
    """Seconds per pass, and a progress line for each."""

    progress: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)
    _start: float = 0.0

    def before(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Announce the pass."""
        self.progress(pass_name(step))
        self._start = time.perf_counter()

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Add up the time spent."""
        spent = time.perf_counter() - self._start
        self.seconds[pass_name(step)] = self.seconds.get(pass_name(step), 0.0) + spent


class Verify(Instrument):
    """Checks the model's structure after every pass."""

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Check the model.

        Raises:
            InternalError: the pass broke it.
        """
        found = problems(model)
        if found:
            raise InternalError(
                Diagnostic(
                    "ACT0902",
                    f"pass '{pass_name(step)}' left an invalid model: {found[0]}",
                    notes=tuple(found[1:4]),
                    help="please report this with the model, or leave the pass out",
                )
            )


@dataclass
class DumpIr(Instrument):
    """Writes the model as ONNX text after every pass: NN-name.onnxtxt."""

    directory: Path

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Write the model."""
        self.directory.mkdir(parents=True, exist_ok=True)
        text = ir.to_onnx_text(model, exclude_initializers=True)
        path = self.directory / f"{number + 1:02d}-{pass_name(step)}.onnxtxt"
        path.write_text(text, encoding="utf-8")


@dataclass
class Snapshot(Instrument):
    """Calls an observer after the passes of given names."""

    names: Sequence[str]
    observer: Observer

    def after(self, number: int, step: ir.passes.PassBase, model: ir.Model) -> None:
        """Call the observer."""
        if pass_name(step) in self.names:
            self.observer(pass_name(step), model)
