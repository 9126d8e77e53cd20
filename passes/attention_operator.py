"""ONNX's Attention and RotaryEmbedding (opset 23) as MatMul, Softmax and what is around them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from actc.ir.context import is_whole
from actc.ir.graph import dims
from actc.passes.rewriter import Rewriter
from actc.passes.triangles import triangle

_LOWEST = float(np.finfo(np.float32).min)
_INPUTS = 4
"""Inputs of Attention that are taken: query, key, value, mask; not a cache of earlier keys."""


@dataclass(frozen=True, slots=True)
class _Heads:
    """Heads of queries and of keys and values, and the widths of a key and a value."""

    queries: int
    keys: int
    key_width: int
    value_width: int


def attention(model: ir.Model, node: ir.Node) -> None:
    """Attention -> softmax(scale * q @ k^T + mask) @ v; with a cache or a window it stays.

    Keys and values with fewer heads than the queries are repeated (grouped-query
    attention, Ainslie et al., 2023); a soft cap c gives c * tanh(scores / c).
    """
    later = [value for value in node.inputs[_INPUTS:] if value is not None]
    heads = _heads(node)
    if is_whole(model) and len(node.inputs) > 3:
        return  # rows may be masked as a whole: ONNX's own definition gives them zeros
    windows = [node.attributes.get(f"{side}_window_size") for side in ("left", "right")]
    if later or heads is None or any(a is not None and a.as_int() >= 0 for a in windows):
        return
    rewriter = Rewriter(model.graph, node)
    merged = len(dims(node.inputs[0]) or ()) == 3
    counts = (heads.queries, heads.keys, heads.keys)
    q, k, v = (
        _split(rewriter, value, count) if merged else value
        for value, count in zip(node.inputs[:3], counts, strict=True)
    )
    if heads.queries > heads.keys:
        k = _repeated(rewriter, k, heads, heads.key_width)
        v = _repeated(rewriter, v, heads, heads.value_width)
    turned = rewriter.emit("Transpose", [k], {"perm": [0, 1, 3, 2]})
    scores = _scaled(rewriter, rewriter.emit("MatMul", [q, turned]), node, heads.key_width)
    weights = rewriter.emit("Softmax", [_masked(rewriter, node, scores, q, k)], {"axis": -1})
    y = rewriter.emit("MatMul", [weights, v])
    rewriter.finish(_join(rewriter, y) if merged else y)


def _heads(node: ir.Node) -> _Heads | None:
    """None where a number is not known or does not fit."""
    shapes = [dims(value) for value in node.inputs[:3]]
    q, k, v = (shape or () for shape in shapes)
    if not (len(q) == len(k) == len(v)) or len(q) not in (3, 4):
        return None
    if len(q) == 4:
        queries, keys, key_width, value_width = q[1], k[1], k[3], v[3]
    else:
        given = [node.attributes.get(f"{name}_num_heads") for name in ("q", "kv")]
        queries, keys = (None if a is None else a.as_int() for a in given)
        key_width, value_width = ((x[2] or 0) // (keys or 1) for x in (k, v))
    if not queries or not keys or queries % keys or not key_width or not value_width:
        return None
    return _Heads(queries, keys, key_width, value_width)


def _split(rewriter: Rewriter, value: ir.Value | None, heads: int) -> ir.Value:
    """[N, T, H*D] -> [N, H, T, D]."""
    shape = rewriter.integers("split", [0, 0, heads, -1])
    return rewriter.emit(
        "Transpose", [rewriter.emit("Reshape", [value, shape])], {"perm": [0, 2, 1, 3]}
    )


def _join(rewriter: Rewriter, value: ir.Value) -> ir.Value:
    """[N, H, T, D] -> [N, T, H*D]."""
    turned = rewriter.emit("Transpose", [value], {"perm": [0, 2, 1, 3]})
    return rewriter.emit("Reshape", [turned, rewriter.integers("joined", [0, 0, -1])])


def _repeated(rewriter: Rewriter, value: ir.Value | None, heads: _Heads, width: int) -> ir.Value:
    """[N, Hk, T, width] -> [N, Hq, T, width]: each head as often as queries share it."""
    column = rewriter.emit("Unsqueeze", [value, rewriter.integers("axes", [2])])
    copies = rewriter.emit("Concat", [column] * (heads.queries // heads.keys), {"axis": 2})
    shape = rewriter.integers("shape", [0, heads.queries, -1, width])
    return rewriter.emit("Reshape", [copies, shape])


def _scaled(rewriter: Rewriter, scores: ir.Value, node: ir.Node, width: int) -> ir.Value:
    """Times the scale, within the soft cap."""
    given, cap = node.attributes.get("scale"), node.attributes.get("softcap")
    scale = 1 / math.sqrt(width) if given is None else given.as_float()
    limit = 0.0 if cap is None else cap.as_float()
    scores = _times(rewriter, scores, scale / limit if limit else scale)
    return _times(rewriter, rewriter.emit("Tanh", [scores]), limit) if limit else scores


def _times(rewriter: Rewriter, value: ir.Value, factor: float) -> ir.Value:
    number = rewriter.constant("factor", np.array(factor, np.float32))
    return rewriter.emit("Mul", [value, number])


def _masked(
    rewriter: Rewriter,
    node: ir.Node,
    scores: ir.Value,
    q: ir.Value | None,
    k: ir.Value | None,
) -> ir.Value:
    mask = node.inputs[3] if len(node.inputs) > 3 else None
    lowest = rewriter.constant("lowest", np.array(_LOWEST, np.float32))
    if mask is not None and mask.dtype == ir.DataType.BOOL:
        scores = rewriter.emit("Where", [mask, scores, lowest])
    elif mask is not None:
        scores = rewriter.emit("Add", [scores, mask])
    if "is_causal" not in node.attributes or not node.attributes["is_causal"].as_int():
        return scores
    lengths = [(dims(node.inputs[i]) or (None,) * 3)[-2] for i in (0, 1)]
    if None not in lengths:
        shown = np.tril(np.ones([length or 0 for length in lengths], np.bool_))
        return rewriter.emit("Where", [rewriter.constant("shown", shown), scores, lowest])
    parts = [rewriter.emit("Shape", [value], {"start": 2, "end": 3}) for value in (q, k)]
    extents = rewriter.emit("Concat", parts, {"axis": 0})
    shown_at = triangle(rewriter, extents, 0, upper=False)
    return rewriter.emit("Where", [shown_at, scores, lowest])


def rotary_embedding(model: ir.Model, node: ir.Node) -> None:
    """RotaryEmbedding (Su et al., 2021) -> products with its cosines and sines, joined.

    Pairs are the two halves of a head, or neighbours where `interleaved`; features
    beyond `rotary_embedding_dim` pass unchanged.
    """
    x, shape = node.inputs[0], dims(node.inputs[0])
    ids = node.inputs[3] if len(node.inputs) > 3 else None
    numbers = {
        key: node.attributes[key].as_int() if key in node.attributes else 0
        for key in ("num_heads", "rotary_embedding_dim", "interleaved")
    }
    if x is None or shape is None or shape[-1] is None:
        return
    merged = len(shape) == 3
    if merged and not numbers["num_heads"]:
        return
    rewriter = Rewriter(model.graph, node)
    width = shape[-1] // numbers["num_heads"] if merged else shape[-1]
    turned = numbers["rotary_embedding_dim"] or width
    x = _split(rewriter, x, numbers["num_heads"]) if merged else x
    caches = [
        value if ids is None else rewriter.emit("Gather", [value, ids], {"axis": 0})
        for value in node.inputs[1:3]
    ]
    one = rewriter.integers("axes", [1])
    cos, sin = (rewriter.emit("Unsqueeze", [value, one]) for value in caches)
    step = 2 if numbers["interleaved"] else 1
    half = turned // 2
    places = (0, 1) if step == 2 else (0, half)
    a, b = (
        _features(rewriter, x, start, turned if step == 2 else start + half, step)
        for start in places
    )
    real = rewriter.emit("Sub", [_product(rewriter, a, cos), _product(rewriter, b, sin)])
    imaginary = rewriter.emit("Add", [_product(rewriter, a, sin), _product(rewriter, b, cos)])
    y = _pairs(rewriter, [real, imaginary], turned, step == 2)
    if turned < width:
        y = rewriter.emit("Concat", [y, _features(rewriter, x, turned, width, 1)], {"axis": 3})
    rewriter.finish(_join(rewriter, y) if merged else y)


def _product(rewriter: Rewriter, a: ir.Value, b: ir.Value) -> ir.Value:
    return rewriter.emit("Mul", [a, b])


def _features(rewriter: Rewriter, x: ir.Value, start: int, end: int, step: int) -> ir.Value:
    numbers = {"starts": start, "ends": end, "axes": 3, "steps": step}
    return rewriter.emit("Slice", [x, *(rewriter.integers(k, [n]) for k, n in numbers.items())])


def _pairs(rewriter: Rewriter, parts: list[ir.Value], width: int, interleaved: bool) -> ir.Value:
    if not interleaved:
        return rewriter.emit("Concat", parts, {"axis": 3})
    axis = rewriter.integers("axes", [4])
    columns = [rewriter.emit("Unsqueeze", [part, axis]) for part in parts]
    joined = rewriter.emit("Concat", columns, {"axis": 4})
    return rewriter.emit("Reshape", [joined, rewriter.integers("shape", [0, 0, -1, width])])
