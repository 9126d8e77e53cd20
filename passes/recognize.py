"""Find the activation functions of a model, however they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc.approx.label import label
from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, VERSION
from actc.ir.elementwise import is_elementwise
from actc.ir.graph import channel_vector, constant, dims, is_op, rank, remove_dead
from actc.ir.sites import Site, SiteFunction
from actc.passes.affine import affine_coefficients
from actc.passes.base import Pass
from actc.passes.linear import linear_producer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Recognize(Pass):
    """Every maximal single-input elementwise region becomes one `actc::Activation`.

    1. Each value has one source: itself at inputs and behind operators that are
       not elementwise; an elementwise node whose non-constant inputs share a
       source, and whose constants are scalars or vectors along one common axis,
       passes that source on.
    2. Values of a region that something outside uses become sites; a site starts
       at the nearest value that another site gives anyway, if it needs no other.
    3. A region that is a*x + b is a scale and bias, not an activation.
    4. The bias Add behind a MatMul belongs to the MatMul.
    5. The function is the region's own sub-graph with the model's constants, as
       the body of `actc::Activation`; its name is only a label.
    """

    name: ClassVar[str] = "recognize"
    preserves: ClassVar[str] = "function"

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace every region by its site and record it in the context."""
        sources = _sources(model.graph)
        outputs = _region_outputs(sources)
        regions = [r for r in (_region(value, sources, outputs) for value in outputs) if r]
        context = context_of(model)
        found: list[tuple[str, _Region]] = []
        for region in regions:
            site = _make_site(model, region, f"a{len(context.sites) + 1}")
            context.sites[site.id] = site
            found.append((site.id, region))
        results: dict[ir.Value, ir.Value] = {}
        for site_id, region in found:
            results[region.output] = _replace(model, region, site_id, results)
        remove_dead(model.graph)
        return ir.passes.PassResult(model, modified=bool(regions))


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a value comes from, and the axis of the channel constants so far."""

    value: ir.Value
    axis: int | None = None
    channels: int = 1


@dataclass(frozen=True, slots=True)
class _Region:
    start: ir.Value
    output: ir.Value
    nodes: tuple[ir.Node, ...]
    axis: int | None
    channels: int


def _sources(graph: ir.Graph) -> dict[ir.Value, _Source]:
    sources: dict[ir.Value, _Source] = {value: _Source(value) for value in graph.inputs}
    for node in graph:
        passed = _passed_source(node, sources) if is_elementwise(node) else None
        for output in node.outputs:
            sources[output] = passed or _Source(output)
    return sources


def _is_bias(node: ir.Node) -> bool:
    """Rule 4."""
    if not is_op(node, "Add"):
        return False
    for data, other in ((0, 1), (1, 0)):
        value, bias = node.inputs[data], constant(node.inputs[other])
        producer = linear_producer(value)
        if producer is None or value is None or bias is None or producer.op_type != "MatMul":
            continue
        shape = dims(value)
        if shape and len(value.uses()) == 1 and not value.is_graph_output():
            return channel_vector(bias, len(shape), len(shape) - 1, shape[-1]) is not None
    return False


def _passed_source(node: ir.Node, sources: dict[ir.Value, _Source]) -> _Source | None:
    """The source of what `node` gives, None when it joins values of different sources.

    Where a vector of constants lies along another axis than those before it, a new
    region starts at the node's one input.
    """
    if _is_bias(node) or _rounds(node):
        return None
    variable = [v for v in node.inputs if v is not None and constant(v) is None]
    if not variable or any(v not in sources for v in variable):
        return None
    joined = _joined(node, [sources[v] for v in variable])
    if joined is None and len(set(variable)) == 1:
        return _joined(node, [_Source(variable[0])])
    return joined


def _rounds(node: ir.Node) -> bool:
    """Whether `node` computes in integers what `actc.ir.elementwise` does in reals."""
    dtype = node.outputs[0].dtype
    return is_op(node, "Div", "Pow") and dtype is not None and dtype.is_integer()


def _joined(node: ir.Node, found: list[_Source]) -> _Source | None:
    start = found[0].value
    if any(f.value is not start for f in found) or not _is_float(start):
        return None
    start_rank, shape = rank(start), dims(start)
    if start_rank is None or dims(node.outputs[0]) != shape:
        return None
    axis, channels = _common([(f.axis, f.channels) for f in found])
    for value in node.inputs:
        array = constant(value)
        if array is None or array.size == 1:
            continue
        vector_axis = _vector_axis(array, start_rank, shape)
        if vector_axis is None or axis not in (None, vector_axis):
            return None
        axis, channels = vector_axis, array.size
    return None if axis == -1 else _Source(start, axis, channels)


def _common(pairs: list[tuple[int | None, int]]) -> tuple[int | None, int]:
    """The one channel axis among `pairs`; axis -1 when they disagree."""
    given = {pair for pair in pairs if pair[0] is not None}
    if len(given) > 1:
        return -1, 1
    return given.pop() if given else (None, 1)


def _vector_axis(array: Array, value_rank: int, shape: tuple[int | None, ...] | None) -> int | None:
    if shape is None:
        return None
    for axis in range(1, value_rank):
        if channel_vector(array, value_rank, axis, shape[axis]) is not None:
            return axis
    return None


def _is_float(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.FLOAT


def _region_outputs(sources: dict[ir.Value, _Source]) -> list[ir.Value]:
    """Rule 2: float values inside regions that something outside uses."""
    outputs = []
    for value, source in sources.items():
        if source.value is value:
            continue
        used_outside = any(
            all(o not in sources or sources[o].value is not source.value for o in use.node.outputs)
            for use in value.uses()
        )
        if used_outside or value.is_graph_output():
            outputs.append(value)
    return outputs


def _region(
    output: ir.Value, sources: dict[ir.Value, _Source], outputs: list[ir.Value]
) -> _Region | None:
    if not _is_float(output):
        return None
    source = sources[output].value
    earlier = [
        v for v in outputs if sources[v].value is source and v is not output and _is_float(v)
    ]
    for start in [*reversed(earlier), source]:
        nodes = _between(start, output, source)
        if nodes is not None:
            axis, channels = _family(nodes, output)
            return _Region(start, output, nodes, axis, channels)
    return None


def _between(start: ir.Value, output: ir.Value, source: ir.Value) -> tuple[ir.Node, ...] | None:
    """The nodes from `start` to `output` in order; None if `source` is reached besides."""
    seen: dict[ir.Node, None] = {}
    waiting: list[ir.Value | ir.Node] = [output]  # a node: what it reads has been visited
    while waiting:
        item = waiting.pop()
        if isinstance(item, ir.Node):
            seen.setdefault(item)
            continue
        if item is start:
            continue
        if item is source:
            return None
        if constant(item) is not None:
            continue
        node = item.producer()
        if node is None:
            return None
        if node not in seen:
            waiting.append(node)
            waiting.extend(v for v in reversed(node.inputs) if v is not None)
    uses_start = any(v is start for node in seen for v in node.inputs)
    return tuple(seen) if uses_start else None


def _family(nodes: tuple[ir.Node, ...], output: ir.Value) -> tuple[int | None, int]:
    value_rank, shape = rank(output) or 0, dims(output)
    for node in nodes:
        for value in node.inputs:
            array = constant(value)
            if array is not None and array.size > 1:
                return _vector_axis(array, value_rank, shape), array.size
    return None, 1


def _make_site(model: ir.Model, region: _Region, site_id: str) -> Site:
    body = _function(model, region, site_id)
    channels = region.channels if region.axis is not None else 1
    value_rank = rank(region.output) or 1
    function = SiteFunction(
        body, region.axis if region.axis is not None else 1, value_rank, channels
    )
    affine = affine_coefficients(body) is not None
    return Site(
        site_id,
        "Affine" if affine else _label(function, region.nodes),
        tuple(str(node.name) for node in region.nodes),
        str(region.start.name),
        str(region.output.name),
        function,
        affine,
    )


def _label(function: SiteFunction, nodes: tuple[ir.Node, ...]) -> str:
    """The catalogue's name; without parameters for a family, whose channels differ in them."""
    found = label(function.channel(0), _constants(nodes))
    if function.channels == 1:
        return found
    name = found.partition("(")[0]
    return {"LeakyReLU": "PReLU"}.get(name, name)


def _constants(nodes: tuple[ir.Node, ...]) -> list[float]:
    """Numbers of a region (first channel of vectors, attributes), for the label."""
    numbers: dict[float, None] = {}
    for node in nodes:
        for value in node.inputs:
            array = constant(value)
            if array is not None and array.size and array.dtype != np.bool_:
                numbers[float(array.reshape(-1)[0])] = None
        for attribute in node.attributes.values():
            if isinstance(attribute, ir.Attr) and attribute.type == ir.AttributeType.FLOAT:
                numbers[attribute.as_float()] = None
    return list(numbers)


def _function(model: ir.Model, region: _Region, site_id: str) -> ir.Function:
    """Copy the region as a function body; constants become Constant nodes."""
    x = ir.Value(name="x", type=region.start.type, shape=None)
    values: dict[ir.Value, ir.Value] = {region.start: x}
    nodes: list[ir.Node] = []
    for number, node in enumerate(region.nodes):
        inputs: list[ir.Value | None] = []
        for value in node.inputs:
            if value is not None and value not in values:
                array = constant(value)
                assert array is not None
                name = f"c{len(values)}"
                held = ir.node("Constant", [], {"value": ir.tensor(array, name=name)}, name=name)
                held.outputs[0].name = name
                nodes.append(held)
                values[value] = held.outputs[0]
            inputs.append(None if value is None else values[value])
        copy = ir.node(node.op_type, inputs, dict(node.attributes), name=f"n{number}")
        copy.outputs[0].name = "y" if node.outputs[0] is region.output else f"v{number}"
        nodes.append(copy)
        values[node.outputs[0]] = copy.outputs[0]
    opset = model.opset_imports[""]
    graph = ir.Graph(
        [x], [values[region.output]], nodes=nodes, opset_imports={"": opset}, name="Activation"
    )
    function = ir.Function(DOMAIN, "Activation", site_id, graph=graph, attributes=[])
    model.functions[function.identifier()] = function
    model.opset_imports[DOMAIN] = VERSION
    return function


def _replace(
    model: ir.Model, region: _Region, site_id: str, results: dict[ir.Value, ir.Value]
) -> ir.Value:
    """Put one `actc::Activation` in the place of a region; returns its output."""
    last = region.nodes[-1]
    site = ir.Node(
        DOMAIN,
        "Activation",
        [results.get(region.start, region.start)],
        overload=site_id,
        name=str(last.name),
        num_outputs=1,
    )
    site.metadata_props["actc.site"] = site_id
    result, old = site.outputs[0], region.output
    result.type, result.shape = old.type, old.shape
    model.graph.insert_after(last, site)
    name = old.name
    # Nodes of the region itself keep reading the old value; they may serve other sites.
    inside = set(region.nodes)
    if old.is_graph_output():
        for position, output in enumerate(model.graph.outputs):  # it may be listed twice
            if output is old:
                model.graph.outputs[position] = result
    for use in list(old.uses()):
        if use.node not in inside and use.node is not site:
            use.node.replace_input_with(use.idx, result)
    old.name = f"{name}_inner" if old.uses() else None
    result.name = name
    return result
