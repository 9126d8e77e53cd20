"""Models without some of their nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx
from onnx import helper

from actc.reduction import graphs
from actc.reduction.search import Search, minimize

_Types = Mapping[str, onnx.TypeProto]
_FILLS = (("bypass", "input"), ("bypass", "constant"), ("input",), ("constant",))
"""What may stand for the result of a removed node: what it reads, where that has the same
type; an input of the model; a constant."""
_INNER_FILLS = (("bypass", "constant"), ("constant",))


def fewer_outputs(search: Search) -> bool:
    """Leave out outputs, with all that only they need."""

    def without(start: int, stop: int) -> bool:
        candidate = graphs.copied(search.model)
        del candidate.graph.output[start:stop]
        return len(candidate.graph.output) > 0 and search.attempt(candidate)

    return minimize(lambda: len(search.model.graph.output), without)


def fewer_nodes(search: Search) -> bool:
    """Leave out nodes of the main graph, then those of sub-graphs."""
    changed = minimize(lambda: len(search.model.graph.node), lambda a, b: _try(search, 0, a, b))
    number = 1
    while number < len(list(graphs.all_graphs(search.model.graph))):
        changed |= _fewer_inside(search, number)
        number += 1
    return changed


def _fewer_inside(search: Search, number: int) -> bool:
    def size() -> int:
        found = list(graphs.all_graphs(search.model.graph))
        return len(found[number].node) if number < len(found) else 0

    return minimize(size, lambda start, stop: _try(search, number, start, stop))


def _try(search: Search, number: int, start: int, stop: int) -> bool:
    fills: tuple[tuple[str, ...], ...] = _INNER_FILLS if number else _FILLS
    fills = fills if stop - start == 1 else fills[:2]
    candidates = (without(search.model, search.types, number, start, stop, f) for f in fills)
    return any(search.attempt(candidate) for candidate in candidates)


def without(
    model: onnx.ModelProto,
    types: _Types,
    number: int,
    start: int,
    stop: int,
    fill: Sequence[str],
) -> onnx.ModelProto | None:
    """The model without the nodes start..stop of a graph.

    Where the main graph ended with one of them, it ends with what they read; other readers get
    what `fill` says.

    Args:
        model: stays as it is.
        types: of its values.
        number: of the graph, in the order of `graphs.all_graphs`; 0: the main graph.
        start: first node.
        stop: behind the last node.
        fill: what may stand for a result, most wanted first, see `_FILLS`.

    Returns:
        None where the model would have no output, or nothing can stand for a result.
    """
    result = graphs.copied(model)
    graph = list(graphs.all_graphs(result.graph))[number]
    gone = [graphs.copied_node(node) for node in graph.node[start:stop]]
    makers = {name: node for node in gone for name in node.output if name}
    del graph.node[start:stop]
    if number == 0 and not _end_earlier(graph, makers, types):
        return None
    needed = graphs.reads(graph.node)
    if number:
        needed |= {value.name for value in graph.output}
    aliases: dict[str, str] = {}
    for name, maker in makers.items():
        if name in needed and not _filled(graph, name, maker, types, fill, aliases):
            return None
    graphs.rename_reads(graph.node, aliases)
    if number:
        for value in graph.output:
            value.name = aliases.get(value.name, value.name)
    return result


def _end_earlier(
    graph: onnx.GraphProto, makers: Mapping[str, onnx.NodeProto], types: _Types
) -> bool:
    """Let outputs that are gone be what they were computed from; False if none is left."""
    outputs = [value.name for value in graph.output]
    if not makers.keys() & set(outputs):
        return True
    there = {name for node in graph.node for name in node.output}
    kept = {value.name: value.type for value in graph.output}
    names: dict[str, None] = {}
    for output in outputs:
        names.update(dict.fromkeys(_sources(output, makers)))
    ends = [name for name in names if name in there and (name in kept or name in types)]
    found = [onnx.ValueInfoProto(name=name, type=kept.get(name, types.get(name))) for name in ends]
    del graph.output[:]
    graph.output.extend(found)
    return bool(found)


def _sources(name: str, makers: Mapping[str, onnx.NodeProto]) -> Iterator[str]:
    """What remains of the values that `name` is computed from, nearest first."""
    waiting, seen = [name], {name}
    while waiting:
        name = waiting.pop(0)
        if name not in makers:
            yield name
            continue
        for source in [*makers[name].input, *sorted(graphs.reads([makers[name]]))]:
            if source and source not in seen:
                seen.add(source)
                waiting.append(source)


def _filled(
    graph: onnx.GraphProto,
    name: str,
    maker: onnx.NodeProto,
    types: _Types,
    fill: Sequence[str],
    aliases: dict[str, str],
) -> bool:
    """Let something stand for the value `name`; False where nothing of `fill` can."""
    kind = types.get(name)
    if kind is None:
        return False
    for way in fill:
        if way == "bypass":
            like = next((x for x in maker.input if x and _same(types.get(x), kind)), None)
            if like is not None:
                aliases[name] = aliases.get(like, like)
                return True
        elif way == "input":
            graph.input.append(helper.make_value_info(name, kind))
            return True
        elif (tensor := graphs.constant(name, kind)) is not None:
            graph.initializer.append(tensor)
            return True
    return False


def _same(one: onnx.TypeProto | None, other: onnx.TypeProto) -> bool:
    if one is None or one.tensor_type.elem_type != other.tensor_type.elem_type:
        return False
    shape = graphs.dims(one)
    return shape is not None and shape == graphs.dims(other)
