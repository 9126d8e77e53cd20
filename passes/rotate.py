"""Rotate what a matrix product reads, so that no channel stands out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx
import onnx_ir as ir
from scipy.linalg import hadamard

from actc.data import Dataset
from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.ir.context import context_of
from actc.ir.dialect import add_bodies
from actc.ir.execute import Session
from actc.ir.graph import add_constant, constant, dims, is_op, unique_name
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.weights import WeightFormat, nearest_weights
from actc.passes.base import Pass
from actc.passes.widths import is_rotation

Array = np.ndarray[Any, Any]

_LEAST_BLOCK = 8
"""Shorter sums flatten little."""


@dataclass(frozen=True, slots=True)
class Rotate(Pass):
    """Rules, for a tensor x [..., K] that constant matrices W read (MatMul):

    1. ``x W = (x R) (R^T W)`` for every orthogonal R. R is block diagonal of Hadamard
       matrices, their rows multiplied by signs: entries of one magnitude, so that
       ``x R`` are sums without multipliers, taken of x in `wide_bits`. A block has as
       many rows as the largest power of two that divides K, at most `block`. (Ashkboos et
       al., "QuaRot", NeurIPS 2024; Wang et al., "BitNet v2", 2025.)
    2. Of `tries` choices of signs (the first: all positive) the one counts with the
       least error in the products, measured on the data with x in `activation_bits` and
       the weights in `weight_bits`.
    3. All readers of x are rotated, or none: where the error does not fall below `gain`
       times that without a rotation, x stays as it is.
    """

    name: ClassVar[str] = "rotate"
    preserves: ClassVar[str] = "function"

    activation_bits: int = 8
    wide_bits: int = 16
    weight_bits: int = 8
    gain: float = 0.5
    block: int = 512
    tries: int = 4
    samples: int = 64
    rows: int = 2048

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Insert rotations where they help; the function stays.

        Raises:
            UsageError: ACT0222, there is no data.
        """
        context = context_of(model)
        if context.dataset is None:
            raise UsageError(Diagnostic("ACT0222", "rotations need data", help="pass --data D.npz"))
        found = _read_by_matrices(model)
        if not found:
            return ir.passes.PassResult(model, modified=False)
        add_bodies(model)
        dataset = context.dataset.take(self.samples)
        seen = _rows(ir.to_proto(model), [str(x.name) for x in found], dataset, self.rows)
        changed = False
        for x, readers in found.items():
            rotation = self._rotation(seen[str(x.name)], readers)
            if rotation is not None:
                _apply(model.graph, x, readers, rotation)
                changed = True
        return ir.passes.PassResult(model, modified=changed)

    def _rotation(self, x: Array, readers: list[ir.Node]) -> Array | None:
        """The matrix of a block, [B, B]; None where none helps enough."""
        size = min(self.block, x.shape[-1] & -x.shape[-1])
        if size < _LEAST_BLOCK:
            return None
        w = np.concatenate([_matrix(node) for node in readers], axis=1).astype(np.float64)
        exact, wide = x @ w, _rounded(x, self.wide_bits)
        best, least = None, self.gain * self._error(x, w, exact)
        for seed in range(self.tries):
            block = _signed_hadamard(size, seed)
            error = self._error(_turned(wide, block), _turned(w.T, block).T, exact)
            if error < least:
                best, least = block, error
        return best

    def _error(self, x: Array, w: Array, exact: Array) -> float:
        """Mean square difference of ``x w`` from `exact`, with both rounded."""
        weights = nearest_weights(w.T, WeightFormat(self.weight_bits)).real().T
        return float(np.mean((_rounded(x, self.activation_bits) @ weights - exact) ** 2))


def _rounded(x: Array, bits: int) -> Array:
    low, high = float(x.min()), float(x.max())
    parameters = QuantizationParameters.from_range(low, high, bits=bits)
    return np.asarray(parameters.dequantize(parameters.quantize(x)), np.float64)


def _read_by_matrices(model: ir.Model) -> dict[ir.Value, list[ir.Node]]:
    """Values that constant matrices read, and no other linear operator; with their readers."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in model.graph:
        x = node.inputs[0] if is_op(node, "MatMul") else None
        if x is None or constant(x) is not None or x in found:
            continue
        readers = [user for user in x.consumers() if is_op(user, "MatMul", "Conv", "Gemm")]
        extents = dims(x)
        if extents is None or len(extents) < 2 or None in extents[1:]:
            continue
        if all(_is_plain(user, x) for user in readers):
            found[x] = list(readers)
    return found


def _is_plain(node: ir.Node, x: ir.Value) -> bool:
    """Whether `node` is a product of x with a constant matrix that is no rotation itself."""
    if not is_op(node, "MatMul") or node.inputs[0] is not x or is_rotation(node):
        return False
    matrix = constant(node.inputs[1])
    return matrix is not None and matrix.ndim == 2


def _matrix(node: ir.Node) -> Array:
    matrix = constant(node.inputs[1])
    assert matrix is not None
    return matrix


def _rows(
    model: onnx.ModelProto, names: list[str], dataset: Dataset, most: int
) -> Mapping[str, Array]:
    """At most `most` rows of each value, float64 [rows, K], evenly from all samples."""
    session = Session(model, names)
    parts: dict[str, list[Array]] = {name: [] for name in names}
    share = -(-most // max(dataset.samples, 1))
    for feeds, real in dataset.batches(1):
        for name, array in session.run(feeds).items():
            rows = array[:real].reshape(-1, array.shape[-1])
            step = max(1, len(rows) // share)
            parts[name].append(rows[::step][:share].astype(np.float64))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _signed_hadamard(size: int, seed: int) -> Array:
    """An orthogonal matrix of entries of one magnitude, float64 [size, size]."""
    signs = np.ones(size)
    if seed:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size)
    return np.asarray(signs[:, None] * hadamard(size) / np.sqrt(size))


def _turned(x: Array, block: Array) -> Array:
    """``x R``, R block diagonal."""
    parts = x.reshape(*x.shape[:-1], -1, len(block))
    return np.asarray((parts @ block).reshape(x.shape))


def _apply(graph: ir.Graph, x: ir.Value, readers: list[ir.Node], block: Array) -> None:
    """Put the rotation between x and its readers, and its inverse into their weights."""
    turned = _inserted(graph, x, readers[0], block)
    for node in readers:
        matrix, weights = _matrix(node), node.inputs[1]
        assert weights is not None
        rotated = _turned(matrix.T.astype(np.float64), block).T.astype(matrix.dtype)
        node.replace_input_with(0, turned)
        node.replace_input_with(1, add_constant(graph, f"{weights.name}_rotated", rotated))


def _inserted(graph: ir.Graph, x: ir.Value, first: ir.Node, block: Array) -> ir.Value:
    """``x R`` in front of the first reader: a product in blocks, between two Reshape."""
    extents, size = dims(x), len(block)
    assert extents is not None
    assert x.shape is not None
    outer = [int(d) for d in x.shape[1:-1] if isinstance(d, int)]
    width = int(extents[-1] or 0)
    split = width != size
    value = x
    if split:
        value = _node(graph, first, "Reshape", value, [-1, *outer, width // size, size])
    name = f"{x.name}_rotation"
    matrix = add_constant(graph, name, block.astype(np.float32))
    node = ir.node("MatMul", [value, matrix], name=unique_name(graph, f"{x.name}_rotated"))
    shape = ir.Shape([*value.shape]) if value.shape is not None else None
    value = _placed(graph, first, node, x, shape)
    if split:
        value = _node(graph, first, "Reshape", value, [-1, *outer, width])
    value.shape = x.shape
    return value


def _node(graph: ir.Graph, first: ir.Node, op: str, value: ir.Value, target: list[int]) -> ir.Value:
    shape = add_constant(graph, f"{value.name}_shape", np.array(target, np.int64))
    node = ir.node(op, [value, shape], name=unique_name(graph, f"{value.name}_blocks"))
    assert value.shape is not None
    return _placed(graph, first, node, value, ir.Shape([value.shape[0], *target[1:]]))


def _placed(
    graph: ir.Graph, first: ir.Node, node: ir.Node, like: ir.Value, shape: ir.Shape | None
) -> ir.Value:
    graph.insert_before(first, [node])
    output = node.outputs[0]
    output.name, output.type, output.shape = node.name, like.type, shape
    return output
