"""The float model with its activations approximated: approximated.onnx."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from actc.ir.context import context_of
from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.formats import parameters_of
from actc.ir.graph import add_constant, replace_node
from actc.ir.sites import Site


def approximated(model: ir.Model) -> onnx.ModelProto:
    """A copy of `model` in which sites of integer forms are written in float.

    A table becomes actc::QuantizedTable (the function at the codes of its input), a
    piecewise-linear function actc::PiecewiseLinear. What this model loses against the
    float one is what the activations alone cost. Families stay as they are.
    """
    sites = context_of(model).sites
    copy = ir.from_proto(ir.to_proto(model))
    for node in list(copy.graph):
        site = sites.get(node.metadata_props.get("actc.site", ""))
        if site is None or node.op_type != "Activation" or site.function.channels > 1:
            continue
        if site.approximation is not None and "pwl" in site.details:
            put_piecewise_linear(copy, node, site)
        elif site.form == "table" and not site.affine:
            seen = context_of(model).ranges[site.output]
            _put_table(copy, node, site, seen.low, seen.high)
    add_bodies(copy)
    return ir.to_proto(copy)


def put_piecewise_linear(model: ir.Model, node: ir.Node, site: Site) -> None:
    """Replace a site by its piecewise-linear form."""
    form, name = site.details["pwl"], node.name or site.id
    # onnxruntime cannot sum over the no breakpoints of a single piece: it is given twice.
    breakpoints = form.breakpoints if len(form.breakpoints) else np.zeros(1)
    pieces = len(breakpoints) + 1
    arrays = (
        ("breakpoints", breakpoints),
        ("slopes", np.resize(form.slopes, pieces)),
        ("intercepts", np.resize(form.intercepts, pieces)),
    )
    constants = [
        add_constant(model.graph, f"{name}_{what}", array.astype(np.float32))
        for what, array in arrays
    ]
    _replace(node, "PiecewiseLinear", constants, site)


def _put_table(model: ir.Model, node: ir.Node, site: Site, low: float, high: float) -> None:
    """Replace a site by its table; where the function is infinite, the table saturates.

    An exponential is that in float32 already one code beyond the data.
    """
    source = node.inputs[0]
    parameters = None if source is None else parameters_of(source)
    if parameters is None:
        return
    name = node.name or site.id
    exact = site.function(parameters.values())
    with np.errstate(over="ignore"):
        infinite = np.isinf(exact.astype(np.float32))
    values = np.where(infinite, np.clip(exact, low, high), exact)
    arrays = (
        ("scale", np.array(parameters.scale, np.float32)),
        ("zero", np.array(parameters.zero_point, parameters.dtype)),
        ("values", values.astype(np.float32)),
    )
    constants = [add_constant(model.graph, f"{name}_{what}", array) for what, array in arrays]
    _replace(node, "QuantizedTable", constants, site)


def _replace(node: ir.Node, op: str, constants: list[ir.Value], site: Site) -> None:
    new = ir.node(op, [node.inputs[0], *constants], domain=DOMAIN, name=node.name)
    new.metadata_props["actc.site"] = site.id
    replace_node(node, [new], new.outputs[0])
