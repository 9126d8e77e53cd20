"""Float islands: operators without integer form, as they are, between conversions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.ir.context import Context
from actc.ir.dialect import DOMAIN
from actc.ir.graph import constant, has_graphs, is_op
from actc.ir.islands import KEY
from actc.ir.subgraphs import captured, copy_attributes
from actc.passes.integer.builder import Builder, MissingInput
from actc.passes.integer.reals import exact_value, from_codes

_VANISH = 1000.0
"""Beside numbers as large as this, the codes of a value say nothing of its other numbers."""
_KEPT = "kept"
_SHOWN = 10
_MOVES = (
    "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
FACTS = "islands"
"""Key of the context's facts about islands: number -> what the report says of it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operator has no integer form.

    Attributes:
        reason: what is in the way; "" where there is just no such form.
        help: what a user can do about it.
        ruined: the operands hold numbers so large that their codes say nothing of the
            others; they must be computed in float too.
    """

    reason: str
    help: str
    ruined: bool = False


class Islands:
    """Copies operators into the golden graph that stay float.

    What they give is held as the float tensor that it is: other islands and outputs of
    the model read it so, and the first integer operator that needs it quantizes it into
    the format that pass `quantize` chose.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._reals: dict[ir.Value, ir.Value] = {}
        self._refusals: dict[ir.Node, tuple[ir.Node, Refusal]] = {}
        self._origins: dict[ir.Node, ir.Node] = {}

    def keep(self, node: ir.Node, refusal: Refusal) -> None:
        """Keep `node` in float.

        Raises:
            MissingInput: nothing in the golden graph can stand for an input.
        """
        if refusal.ruined:
            for value in node.inputs:
                self._keep_source(value)
        copy = self._copy(node)
        copy.metadata_props[KEY] = ""
        self._refusals[copy] = (node, refusal)
        site = self._builder.context.sites.get(node.metadata_props.get("actc.site", ""))
        if site is not None:
            site.form, site.certificate = "float", None
            site.details["reason"] = _reason(refusal)

    def move(self, node: ir.Node) -> bool:
        """Let what an island gives be moved in float, too: its codes would be the same.

        Returns:
            whether `node` does nothing but that.
        """
        source = node.inputs[0] if is_op(node, *_MOVES) else None
        plain = None if source is None else self._builder.plain(source)
        producer = None if plain is None else plain.producer()
        if producer is None or KEY not in producer.metadata_props or not _is_float(node):
            return False
        self._copy(node)
        return True

    def value(self, value: ir.Value) -> ir.Value:
        """What stands for `value` as an island reads it.

        Raises:
            MissingInput: nothing does.
        """
        builder = self._builder
        plain = builder.plain(value)
        if plain is not None:
            return plain
        if value not in self._reals:
            array, accumulator = constant(value), builder.accumulator(value)
            if array is not None:
                self._reals[value] = builder.constant(str(value.name), array)
            elif accumulator is not None:
                self._reals[value] = exact_value(builder, value, accumulator)
            else:
                return self._from_codes(value)
        return self._reals[value]

    def _from_codes(self, value: ir.Value) -> ir.Value:
        """Codes as float; a value that nothing was made for yet is computed in float."""
        builder, node = self._builder, value.producer()
        if builder.has_codes(value):
            name = f"{value.name}.real"
            self._reals[value] = from_codes(builder, value, builder.codes(value), name)
            return self._reals[value]
        if node is None:
            raise MissingInput(value, "has no value in the golden graph")
        self._copy(node)
        result = builder.plain(value)
        assert result is not None
        return result

    def _keep_source(self, value: ir.Value | None) -> None:
        """Compute again in float what holds numbers beside which others vanish."""
        node = None if value is None else value.producer()
        if value is None or node is None or self._builder.plain(value) is not None:
            return
        seen = self._builder.context.ranges.get(str(value.name))
        if seen is not None and max(-seen.low, seen.high) > _VANISH:
            for source in node.inputs:
                self._keep_source(source)
            self._copy(node)

    def _copy(self, node: ir.Node) -> ir.Node:
        """The operator as it is, in the golden graph."""
        builder = self._builder
        shape_only = is_op(node, "Shape", "Size")
        inputs = [None if v is None else self._read(v, shape_only) for v in node.inputs]
        outer = {value: self.value(value) for value in captured(node)}
        attributes = copy_attributes(node, outer, builder.fresh)
        copy = ir.Node(
            node.domain,
            node.op_type,
            inputs,
            attributes.values(),
            overload=node.overload,
            num_outputs=len(node.outputs),
            name=builder.fresh(str(node.name)),
        )
        if not shape_only and _is_float(node):
            copy.metadata_props[KEY] = ""
        for old, new in zip(node.outputs, copy.outputs, strict=True):
            if old.name:  # an output without a name is one that is not wanted
                new.name = builder.fresh(f"{old.name}.f")
                new.type, new.shape = old.type, old.shape
                builder.set_plain(old, new)
        builder.nodes.append(copy)
        self._origins[copy] = node
        return copy

    def _read(self, value: ir.Value, shape_only: bool) -> ir.Value:
        """An input; of one whose shape alone matters, its integers do."""
        builder = self._builder
        if shape_only and builder.plain(value) is None:
            accumulator = builder.accumulator(value)
            if builder.has_codes(value):
                return builder.codes(value).value
            if accumulator is not None:
                return accumulator.value
        return self.value(value)

    def finish(self, graph: ir.Graph) -> bool:
        """Number the islands of the golden graph and say which there are; whether any is."""
        marked = [node for node in graph if KEY in node.metadata_props]
        context = self._builder.context
        found = context.facts.setdefault(FACTS, {})
        for number, island in enumerate(_connected(marked), 1):
            for node in island:
                node.metadata_props[KEY] = str(number)
            refused = [self._refusals[node] for node in island if node in self._refusals]
            refused = refused or [(island[0], Refusal("only shapes decide what it gives", ""))]
            found[str(number)] = _describe(island, refused)
            context.sink.add(_warning(context, number, refused))
        keep_nodes(context, (_name(self._origins[node]) for node in marked))
        return bool(marked)


def computes(graph: ir.Graph) -> bool:
    """Whether any operator of a golden graph computes on integers."""
    return any(node.domain == DOMAIN and KEY not in node.metadata_props for node in graph)


def keep_nodes(context: Context, names: Iterable[str]) -> None:
    """Note which nodes of the float model islands compute."""
    context.facts[_KEPT] = dict.fromkeys(names, True)


def knows_kept_nodes(context: Context) -> bool:
    """Whether it is known yet which nodes islands compute."""
    return _KEPT in context.facts


def kept_nodes(context: Context) -> frozenset[str]:
    """Names of the nodes of the float model that islands compute."""
    return frozenset(context.facts.get(_KEPT, {}))


def _is_float(node: ir.Node) -> bool:
    """Whether an operator has to do with floats, beyond their shapes."""
    kinds = [value.dtype for value in (*node.inputs, *node.outputs) if value is not None]
    return has_graphs(node) or any(kind is None or kind.is_floating_point() for kind in kinds)


def _connected(nodes: list[ir.Node]) -> list[list[ir.Node]]:
    """Nodes that read each other directly belong together; in the order of the graph."""
    group: dict[ir.Node, list[ir.Node]] = {node: [node] for node in nodes}
    for node in nodes:
        for value in [*(v for v in node.inputs if v is not None), *captured(node)]:
            other = group.get(producer) if (producer := value.producer()) is not None else None
            own = group[node]
            if other is None or other is own:
                continue
            other += own
            for member in own:
                group[member] = other
    position = {node: number for number, node in enumerate(nodes)}
    parts = {id(part): part for part in group.values()}
    ordered = [sorted(part, key=position.__getitem__) for part in parts.values()]
    return sorted(ordered, key=lambda part: position[part[0]])


Refused = tuple[ir.Node, Refusal]


def _describe(island: Iterable[ir.Node], refused: list[Refused]) -> dict[str, object]:
    """JSON-ready: the operators, and why those that were refused were."""
    return {
        "operators": [node.op_type for node in island],
        "nodes": [
            {
                "node": _name(node),
                "op": node.op_type,
                "reason": _reason(refusal),
                "help": refusal.help,
            }
            for node, refusal in refused
        ],
    }


def _warning(context: Context, number: int, refused: list[Refused]) -> Diagnostic:
    node, refusal = refused[0]
    rest = [f"so does {n.op_type} '{_name(n)}': {_reason(r)}" for n, r in refused[1:]]
    more = [f"and {len(rest) - _SHOWN} more"] if len(rest) > _SHOWN else []
    return Diagnostic(
        "ACT0343",
        f"operator {node.op_type} stays in float (island {number}): {_reason(refusal)}",
        severity="warning",
        place=Place(context.file, _name(node), node.op_type),
        notes=(*rest[:_SHOWN], *more),
        help=refusal.help,
    )


def _reason(refusal: Refusal) -> str:
    return refusal.reason or "it has no integer form"


def _name(node: ir.Node) -> str:
    return str(node.name or node.outputs[0].name)
