"""How long one run of a user's model may take: the rounds of its loops can depend on data.

onnxruntime looks at the flag of its run options before every operator, inside of loops too; one
operator by itself is not interrupted. The onnx package's evaluator is asked once per graph, and so
once per round of a loop.
"""

from __future__ import annotations

import _thread
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import onnx
from onnx.reference import ReferenceEvaluator

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError, UsageError

VARIABLE = "ACTC_RUN_SECONDS"
DEFAULT_SECONDS = 600.0
"""A batch of a large network takes minutes on few cores."""
_END: ContextVar[float] = ContextVar("actc_run_end", default=math.inf)
_LOOPS = ("Loop", "Scan")
_SHOWN = 10
_GONE_SECONDS = 1.0
"""That a thread gets to end, which may never have begun."""


def seconds() -> float:
    """Seconds that a run may take: ``$ACTC_RUN_SECONDS``, 600 by default; infinite for 0.

    Raises:
        UsageError: ACT0064, the variable holds no such number.
    """
    given = os.environ.get(VARIABLE, "")
    try:
        found = float(given) if given else DEFAULT_SECONDS
    except ValueError:
        found = math.nan
    if not 0 <= found < threading.TIMEOUT_MAX:
        message = f"{VARIABLE} is '{given}', which is no time"
        help_text = f"give seconds, {DEFAULT_SECONDS:g} say, or 0 for no limit"
        raise UsageError(Diagnostic("ACT0064", message, help=help_text))
    return found or math.inf


class _Watch:
    """Acts after a time, from a thread of its own, unless it is ended before.

    A `threading.Timer` waits until its thread has begun: for ever, where the thread finds no memory
    to begin with.

    Raises:
        MemoryError: there can be no thread.
    """

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._ended, self._gone = _thread.allocate_lock(), _thread.allocate_lock()
        self._ended.acquire()
        self._gone.acquire()
        try:
            _thread.start_new_thread(self._watch, (seconds, act))
        except RuntimeError as error:
            raise MemoryError("no room for a thread") from error

    def _watch(self, seconds: float, act: Callable[[], None]) -> None:
        try:
            if not self._ended.acquire(timeout=seconds):
                act()
        finally:
            self._gone.release()

    def end(self) -> None:
        """End it: whoever forks next does so without the thread."""
        self._ended.release()
        self._gone.acquire(timeout=_GONE_SECONDS)


class Clock:
    """The time of one run.

    Args:
        limit: seconds.
        options: onnxruntime's options of the run; None: another library runs it.
    """

    def __init__(self, limit: float, options: Any = None) -> None:
        self.limit = limit
        self._options = options
        self._end = time.monotonic() + limit

    @property
    def over(self) -> bool:
        """Whether the run took too long."""
        return time.monotonic() >= self._end

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ends what runs within when the time is over, by an error of its library."""
        if math.isinf(self.limit):
            yield
            return
        outer = _END.set(self._end)
        watch = _Watch(self.limit, self._terminate) if self._options is not None else None
        try:
            yield
        finally:
            _END.reset(outer)
            if watch is not None:
                watch.end()

    def _terminate(self) -> None:
        self._options.terminate = True

    def error(self, loops: Sequence[str], node: str, op: str) -> ModelError:
        """What to raise for a run that took too long.

        Args:
            loops: names of those in the model.
            node, op: where it was, as far as the library says.
        """
        notes = (f"loops of the model: {', '.join(loops[:_SHOWN])}",) if loops else ()
        return ModelError(
            Diagnostic(
                "ACT0063",
                f"the model was stopped: one run of it took longer than {self.limit:g} seconds",
                place=Place("", node, op),
                notes=notes,
                help="look for a loop that never ends; for a network that takes so long, set"
                f" {VARIABLE} to more seconds, or to 0 for no limit",
            )
        )


class Evaluator(ReferenceEvaluator):
    """The onnx package's evaluator, which ends when the time of :class:`Clock` is over."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """As that of the package; the bodies of loops come here once per round.

        Raises:
            TimeoutError: the time is over.
        """
        if time.monotonic() >= _END.get():
            raise TimeoutError("the time of the run is over")
        return super().run(*args, **kwargs)


def loops(model: onnx.ModelProto) -> list[str]:
    """Names of a model's loops, or their operators where they have none."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    return [node.name or node.op_type for node in nodes if node.op_type in _LOOPS]


def interruptible(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, or a copy in which the body of every loop holds an operator.

    onnxruntime runs a body without one for ever: it looks at the flag before operators only, and
    constants are none of them when it runs.
    """
    if not any(True for _ in _idle_bodies(model)):
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for body in _idle_bodies(changed):
        output = body.output[0]
        names = {name for node in body.node for name in node.output}
        names |= {value.name for value in (*body.input, *body.initializer)}
        fresh = output.name
        while fresh in names:
            fresh += "_"
        body.node.append(onnx.helper.make_node("Identity", [output.name], [fresh]))
        output.name = fresh
    return changed


def _idle_bodies(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node, graph in _bodies(nodes):
            idle = all(inner.op_type == "Constant" for inner in graph.node)
            if idle and node.op_type in _LOOPS and graph.output:
                yield graph


def _bodies(nodes: Iterable[onnx.NodeProto]) -> Iterator[tuple[onnx.NodeProto, onnx.GraphProto]]:
    for node in nodes:
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield node, graph
                yield from _bodies(graph.node)
