"""Generic kernels on a GPU: the loop nests of the target `cpu`, cut into launches with threads.

The statements of a kernel are executed in order. A loop nest whose iterations share nothing
becomes a launch with a thread for every iteration of the loops that may run at the same time;
everything between such nests becomes a launch of one thread. What several launches use lies in
memory of its own (`Parts.scratch`).

Iterations of a loop over ``v`` share nothing if, for every buffer that the nest writes and does
not allocate itself, some axis is indexed with ``v`` itself wherever the nest reads or writes that
buffer: each iteration then has a slice of its own. Importing this module imports TVM.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import tirx
from tvm.ir.expr import TensorLoad
from tvm_ffi import structural_walk

from actc.targets.tvm.cuda.kernels.generic_statements import Flat, Statement, number
from actc.targets.tvm.cuda.kernels.thread import THREADS
from actc.targets.tvm.entry import symbolic_batch
from actc.targets.tvm.generic.kernel import generic_prim_func
from actc.targets.tvm.generic.spec import Generic

_BLOCK_AXIS = 1  # TVM's kind of an iteration variable that is a thread's index


@dataclass(frozen=True, slots=True)
class Scratch:
    """Memory that launches of one call share.

    Attributes:
        dtype: element type.
        size: elements.
    """

    dtype: str
    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """A generic kernel as launches.

    Attributes:
        functions: PrimFuncs in order, all with the same parameters: the batch, the inputs that
            are there, the output, then `scratch`.
        scratch: the memory behind the output.
    """

    functions: tuple[Any, ...]
    scratch: tuple[Scratch, ...]


@dataclass(eq=False, slots=True)
class _Phase:
    """Statements of one launch, and the loops around them that become threads."""

    body: list[Statement]
    loops: tuple[Any, ...] = ()
    uses: set[int] = field(default_factory=set)


def generic(name: str, spec: Generic) -> Parts:
    """The launches of a generic kernel.

    Args:
        name: of the device functions; the part's number follows.
        spec: what is computed.
    """
    function = generic_prim_func(name, spec, frozenset())
    views = _views(function.body)
    statements = _flattened(function.body)
    allocated = [s.buffer for s in statements if isinstance(s, tirx.AllocBuffer)]
    declarations = (tirx.AllocBuffer, tirx.DeclBuffer)
    phases = _phases([s for s in statements if not isinstance(s, declarations)], views)
    for phase in phases:
        for part in phase.body:
            phase.uses |= set(_accesses(part, views)[0])
    shared = [buffer for buffer in allocated if not _is_local(buffer, phases)]
    for phase in phases:
        if not phase.loops:
            own = [b for b in allocated if hash(b) in phase.uses and b not in _Members(shared)]
            phase.body = [*(tirx.AllocBuffer(buffer) for buffer in own), *phase.body]
    functions = tuple(
        _device_function(f"{name}_{i}", function, phase, shared, views)
        for i, phase in enumerate(phases)
    )
    return Parts(functions, tuple(Scratch(str(b.dtype), _size(b)) for b in shared))


def _views(statement: Statement) -> dict[int, Any]:
    """Buffers that are other shapes of a buffer's memory, and that buffer."""
    found: dict[int, Any] = {}

    def visit(node: Any) -> None:
        if isinstance(node, tirx.DeclBuffer):
            source = node.data.args[0]
            found[hash(node.buffer)] = found.get(hash(source), source)

    structural_walk(statement, visit)
    return found


class _Members:
    """Whether a variable is one of several; TVM's own comparison makes an expression."""

    def __init__(self, variables: Iterable[Any]) -> None:
        self._known = {hash(variable) for variable in variables}

    def __contains__(self, variable: object) -> bool:
        return hash(variable) in self._known


def _is_local(buffer: Any, phases: Sequence[_Phase]) -> bool:
    """Whether a single launch of one thread uses a buffer."""
    users = [phase for phase in phases if hash(buffer) in phase.uses]
    return len(users) < 2 and not any(phase.loops for phase in users)


def _size(buffer: Any) -> int:
    return math.prod(int(extent) for extent in buffer.shape)


def _flattened(statement: Statement) -> list[Statement]:
    if isinstance(statement, tirx.SeqStmt):
        return [part for inner in statement.seq for part in _flattened(inner)]
    return [statement]


def _phases(statements: Iterable[Statement], views: dict[int, Any]) -> list[_Phase]:
    """Launches, in order: a loop nest with threads, or statements for one thread."""
    phases: list[_Phase] = []
    for statement in statements:
        loops = _independent(statement, views)
        if loops:
            phases.append(_Phase([statement], loops))
        elif phases and not phases[-1].loops:
            phases[-1].body.append(statement)
        else:
            phases.append(_Phase([statement]))
    return phases


def _nest(statement: Statement) -> tuple[Any, ...]:
    """The loops of a nest with nothing between them, outermost first."""
    found = []
    while isinstance(statement, tirx.For):
        found.append(statement)
        statement = statement.body
    return tuple(found)


def _independent(statement: Statement, views: dict[int, Any]) -> tuple[Any, ...]:
    """The loops of a nest whose iterations share nothing; none where that would be one thread."""
    loops = _nest(statement)
    if any(number(loop.extent) == 0 for loop in loops):
        return ()
    accesses, written = _accesses(statement, views)
    return tuple(
        loop
        for loop in loops
        if number(loop.extent) != 1
        and all(_slices(accesses[buffer], loop.loop_var) for buffer in written)
    )


Access = tuple[int, Any]
"""The buffer as it is written there, a view or the buffer itself, and the indices."""


def _accesses(
    statement: Statement, views: dict[int, Any]
) -> tuple[dict[int, list[Access]], set[int]]:
    """All accesses of buffers from outside of a statement, and those of them that it writes."""
    accesses: dict[int, list[Access]] = {}
    written: set[int] = set()
    inner: set[int] = set()

    def note(buffer: Any, indices: Any) -> int:
        key = hash(views.get(hash(buffer), buffer))
        accesses.setdefault(key, []).append((hash(buffer), indices))
        return key

    def visit(node: Any) -> None:
        if isinstance(node, tirx.AllocBuffer):
            inner.add(hash(node.buffer))
        elif isinstance(node, TensorLoad):
            note(node.source, node.indices)
        elif isinstance(node, tirx.BufferStore):
            written.add(note(node.buffer, node.indices))

    structural_walk(statement, visit)
    return {key: found for key, found in accesses.items() if key not in inner}, written - inner


def _slices(accesses: Sequence[Access], variable: Any) -> bool:
    """Whether one axis is `variable` in all accesses, which see the buffer in one shape."""
    if len({view for view, _ in accesses}) > 1:
        return False
    return any(
        all(indices[axis].same_as(variable) for _, indices in accesses)
        for axis in range(len(accesses[0][1]))
    )


# ---- from statements to a device function --------------------------------------------------


def _device_function(
    name: str, function: Any, phase: _Phase, shared: Sequence[Any], views: dict[int, Any]
) -> Any:
    """A PrimFunc with threads over flat buffers."""
    n = tirx.Var("n", "int32")
    batch = symbolic_batch(function)
    given = [*function.params, *shared]
    names = [*(str(p.name) for p in function.params), *(f"scratch{i}" for i in range(len(shared)))]
    changed = Flat(None if batch is None else (batch, tirx.Cast("int64", n)), views)
    flat = [changed.argument(b, name) for b, name in zip(given, names, strict=True)]
    body, chosen = phase.body, phase.loops
    if chosen:
        body = [_without(phase.body[0], _Members(loop.loop_var for loop in chosen))]
    inner = changed(tirx.SeqStmt(body) if len(body) > 1 else body[0])
    whole = _with_threads(n, batch, chosen, inner)
    attributes = tvm.ir.make_node("ir.DictAttrs", **{"tirx.noalias": True, "global_symbol": name})
    return tirx.PrimFunc([n, *flat], whole, None, attributes)


def _without(statement: Statement, variables: _Members) -> Statement:
    """A loop nest less the loops over `variables`."""
    if not isinstance(statement, tirx.For):
        return statement
    body = _without(statement.body, variables)
    if statement.loop_var in variables:
        return body
    return tirx.For(statement.loop_var, statement.min, statement.extent, statement.kind, body)


def _with_threads(n: Any, batch: Any, loops: Sequence[Any], body: Statement) -> Statement:
    """`body` for each iteration of `loops`, whose indices are taken from the thread's."""
    extents = [loop.extent for loop in loops]
    fixed = math.prod(found for e in extents if (found := number(e)) is not None)
    symbolic = any(number(extent) is None for extent in extents)
    total: Any = tirx.const(fixed, "int64")
    threads = THREADS if loops else 1
    blocks: Any = tirx.const(-(-fixed // threads), "int32")
    if symbolic:
        total = total * tirx.Cast("int64", n)
        rounding = tirx.const(threads - 1, "int32")
        blocks = n * blocks if fixed >= threads else _quotient(n * fixed + rounding, threads)
    block, thread = tirx.Var("block", "int32"), tirx.Var("thread", "int32")
    if loops:
        item = tirx.Var("item", "int64")
        place = tirx.Cast("int64", block) * threads + tirx.Cast("int64", thread)
        inner = _indexed(item, loops, extents, n, body)
        inner = tirx.IfThenElse(item < total, inner, None)
        body = tirx.SeqStmt([tirx.Bind(item, place), inner])
    for variable, extent, tag in (
        (thread, tirx.const(threads, "int32"), "threadIdx.x"),
        (block, blocks, "blockIdx.x"),
    ):
        axis = tirx.IterVar((0, extent), variable, _BLOCK_AXIS, tag)
        body = tirx.AttrStmt(axis, "thread_extent", extent, body)
    return body


def _quotient(value: Any, divisor: int) -> Any:
    return tirx.truncdiv(value, tirx.const(divisor, "int32"))


def _indexed(
    item: Any, loops: Sequence[Any], extents: Sequence[Any], n: Any, body: Statement
) -> Statement:
    """The loops' variables from the number of the iteration; the last one runs fastest."""
    bound: list[Statement] = []
    rest: Any = item
    for place in reversed(range(len(loops))):
        count = number(extents[place])
        extent = tirx.Cast("int64", n) if count is None else tirx.const(count, "int64")
        last = place == 0
        index = rest if last else tirx.truncmod(rest, extent)
        bound.append(tirx.Bind(loops[place].loop_var, index))
        rest = rest if last else tirx.truncdiv(rest, extent)
    return tirx.SeqStmt([*bound, body])
