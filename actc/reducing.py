"""Shrinking a model that shows a fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import checker

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import ModelError, Problems, UsageError
from actc.ir.load import read_file
from actc.reduction import graphs, nodes, simplify, sizes
from actc.reduction.command import Command
from actc.reduction.saving import save
from actc.reduction.search import Check, Exhausted, Search

_STEPS: tuple[Callable[[Search], bool], ...] = (
    simplify.constants_lifted,
    nodes.fewer_outputs,
    nodes.fewer_nodes,
    simplify.branches_inlined,
    simplify.functions_inlined,
    simplify.fewer_inputs,
    simplify.fewer_attributes,
    simplify.fewer_operands,
    sizes.shorter_axes,
    simplify.simpler_constants,
    simplify.no_remarks,
)
_MOST_BYTES = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Reduction:
    """What `reduce` found.

    Attributes:
        model: the smallest interesting model.
        tests: how often the check was asked.
        complete: no step makes it smaller; else the tests ran out.
        sizes: what was counted, and how many of it the model had and has.
        diagnostics: a check that did not answer the same again.
    """

    model: onnx.ModelProto
    tests: int
    complete: bool
    sizes: dict[str, tuple[int, int]]
    diagnostics: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result without the model, as JSON-ready values."""
        return {
            "tests": self.tests,
            "complete": self.complete,
            "sizes": {name: {"before": a, "after": b} for name, (a, b) in self.sizes.items()},
            "diagnostics": [item.to_json() for item in self.diagnostics],
        }


def reduce(
    model: str | Path | onnx.ModelProto,
    check: Check | str | Sequence[str],
    *,
    output: str | Path | None = None,
    status: int = 0,
    text: str | None = None,
    timeout: float = 60.0,
    tests: int = 1000,
    progress: Callable[[str], None] | None = None,
) -> Reduction:
    """Make a model smaller as long as it stays interesting.

    Outputs, nodes (also of sub-graphs and functions), inputs, sizes of axes, values of constants,
    attributes and optional operands are left out or made simpler, until no single one can be.
    Every model that is tried is valid ONNX. The same model and the same answers give the same
    result.

    Args:
        model: an .onnx file, or a model in memory (stays as it is).
        check: says whether a model is interesting: a function, or a command (a line, which no
            shell reads, or an argument list) in which `{model}` stands for a file.
        output: file for the smallest model; it is written whenever there is a smaller one.
        status: exit status of the command for interesting models; -N: killed by signal N.
        text: what the command prints for interesting models.
        timeout: seconds for the command; a model that takes longer is not interesting.
        tests: how often to ask at most.
        progress: told what was found so far.

    Raises:
        UsageError: ACT0202, the model cannot be read; ACT0224, a number is out of range; ACT0235,
            the command cannot run; ACT0236, the model is not interesting; ACT0237, the command
            takes too long for it; ACT0241, the output cannot be written.
        ModelError: ACT0001, not a model; ACT0238, not valid ONNX.
    """
    asked = _asked(check, status, text, timeout, tests)
    first = _read(model)
    file = None if output is None else Path(output)
    before = _counted(first)

    def accepted(smaller: onnx.ModelProto, count: int) -> None:
        if file is not None:
            save(file, smaller.SerializeToString(deterministic=True))
        if progress is not None:
            now = len(smaller.graph.node)
            progress(f"{now} of {before['nodes']} nodes after {count} tests")

    _require_interesting(first, asked, status, text)
    accepted(first, 1)
    search = Search(first, asked, tests, accepted)
    search.tests = 1
    complete = _run(search)
    remark = _doubt(search, asked)
    after = _counted(search.model)
    found = {name: (before[name], after[name]) for name in before}
    return Reduction(search.model, search.tests, complete, found, remark)


def _run(search: Search) -> bool:
    """Take all steps until none changes anything; False if the tests ran out."""
    try:
        search.tidy_always(graphs.without_dead_nodes)
        search.tidy_always(graphs.without_unused_inputs)
        changed = True
        while changed:
            changed = False
            for step in _STEPS:
                changed |= step(search)
    except Exhausted:
        return False
    return True


def _asked(
    check: Check | str | Sequence[str], status: int, text: str | None, timeout: float, tests: int
) -> Check:
    problems = Problems()
    if not (math.isfinite(timeout) and timeout > 0):
        problems.add(Diagnostic("ACT0224", f"--timeout cannot be {timeout}", help="give seconds"))
    if tests < 1:
        problems.add(Diagnostic("ACT0224", f"--tests cannot be {tests}", help="give 1 or more"))
    chosen: Check | None
    if isinstance(check, (str, Sequence)):
        chosen = problems.attempt(Command.parse, check, status, text, timeout)
    else:
        chosen = check
    problems.require_none()
    assert chosen is not None  # or there was a problem
    return chosen


def _read(model: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """A valid model with its weights inside."""
    if isinstance(model, onnx.ModelProto):
        proto, name = graphs.copied(model), "<model>"
    else:
        path = Path(model)
        proto, name = _parsed(path), path.name
    if proto.ByteSize() > _MOST_BYTES:
        message = "models of more than 2 GB cannot be checked"
        raise ModelError(Diagnostic("ACT0238", message, place=Place(name)))
    try:
        checker.check_model(proto)
    except (checker.ValidationError, ValueError) as error:
        notes = tuple(line for line in str(error).splitlines() if line.strip())[:5]
        message = "the model is not valid ONNX, so nothing can be left out of it"
        raise ModelError(Diagnostic("ACT0238", message, place=Place(name), notes=notes)) from error
    return proto


def _parsed(path: Path) -> onnx.ModelProto:
    sink = DiagnosticSink()
    proto = read_file(path, sink)[1]
    if sink.errors:
        raise ModelError(sink.items)
    return proto


def _require_interesting(
    model: onnx.ModelProto, check: Check, status: int, text: str | None
) -> None:
    if not isinstance(check, Command):
        if not check(graphs.copied(model)):
            message = "the model is not interesting: the check is false for it"
            raise UsageError(Diagnostic("ACT0236", message))
        return
    ended = check.run(model)
    if check.accepts(ended):
        return
    tail = tuple(line.rstrip() for line in ended.output.splitlines() if line.strip())[-10:]
    if ended.status is None:
        message = f"the check of the model itself took longer than {check.timeout:g} seconds"
        help_text = "give it more with --timeout"
        raise UsageError(Diagnostic("ACT0237", message, notes=tail, help=help_text))
    wanted = f"status {status}" + (f" and the text '{text}'" if text is not None else "")
    raise UsageError(
        Diagnostic(
            "ACT0236",
            f"the model is not interesting: its check ended with status {ended.status}, not "
            f"with {wanted}",
            notes=tail,
            help="let the check end with status 0 where the fault shows, or say with --status "
            "and --text how it ends then",
        )
    )


def _doubt(search: Search, check: Check) -> tuple[Diagnostic, ...]:
    """A warning, if the smallest model is not interesting when asked again."""
    search.tests += 1
    if check(graphs.copied(search.model)):
        return ()
    message = "the check does not hold for the smallest model when it is run again"
    help_text = "make it deterministic: fix seeds and threads, give it more time"
    return (Diagnostic("ACT0239", message, "warning", help=help_text),)


def _counted(model: onnx.ModelProto) -> dict[str, int]:
    every = list(graphs.all_graphs(model.graph))
    return {
        "nodes": sum(len(graph.node) for graph in every),
        "inputs": len(model.graph.input),
        "outputs": len(model.graph.output),
        "constants": sum(len(graph.initializer) for graph in every),
        "bytes": model.ByteSize(),
    }
