"""A BERT encoder as an ONNX graph, node for node as torch's TorchScript exporter writes it.

Transformers' BertModel with eager attention at opset 17: GELU in five nodes around Erf,
LayerNormalization and Softmax as operators, an additive mask from the int64 attention
mask, shapes computed in the graph, batch and sequence dynamic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper, parser

Array = npt.NDArray[Any]

SIGNATURE = (
    "int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask"
    " => float[batch, sequence, {hidden}] last_hidden_state"
)

EMBEDDINGS = """
  ids_shape = Shape(input_ids)
  batch = Gather<axis=0>(ids_shape, index0)
  length = Gather<axis=0>(ids_shape, index1)
  batch1 = Unsqueeze(batch, axis0)
  length1 = Unsqueeze(length, axis0)
  heads_shape = Concat<axis=0>(batch1, length1, head_count, head_size)
  hidden_shape = Concat<axis=0>(batch1, length1, hidden_size)
  mask_row = Unsqueeze(attention_mask, axis1)
  mask_rows = Unsqueeze(mask_row, axis2)
  mask_float = Cast<to=1>(mask_rows)
  mask_off = Sub(one, mask_float)
  mask = Mul(mask_off, lowest)
  words = Gather(word_table, input_ids)
  positions = Slice(position_ids, begin0, length1, axis1, step1)
  places = Gather(position_table, positions)
  with_type = Add(words, type_row)
  embedded = Add(with_type, places)
  x0 = LayerNormalization<axis=-1, epsilon={epsilon}>(embedded, embedding_gamma, embedding_beta)
"""

LAYER = """
  L.q_product = MatMul(IN, L.q_weight)
  L.q_flat = Add(L.q_bias, L.q_product)
  L.k_product = MatMul(IN, L.k_weight)
  L.k_flat = Add(L.k_bias, L.k_product)
  L.v_product = MatMul(IN, L.v_weight)
  L.v_flat = Add(L.v_bias, L.v_product)
  L.q_heads = Reshape(L.q_flat, heads_shape)
  L.k_heads = Reshape(L.k_flat, heads_shape)
  L.v_heads = Reshape(L.v_flat, heads_shape)
  L.q = Transpose<perm=[0,2,1,3]>(L.q_heads)
  L.k = Transpose<perm=[0,2,3,1]>(L.k_heads)
  L.v = Transpose<perm=[0,2,1,3]>(L.v_heads)
  L.products = MatMul(L.q, L.k)
  L.scaled = Div(L.products, head_root)
  L.scores = Add(L.scaled, mask)
  L.weights = Softmax<axis=-1>(L.scores)
  L.mixed = MatMul(L.weights, L.v)
  L.mixed_rows = Transpose<perm=[0,2,1,3]>(L.mixed)
  L.mixed_flat = Reshape(L.mixed_rows, hidden_shape)
  L.o_product = MatMul(L.mixed_flat, L.o_weight)
  L.o = Add(L.o_bias, L.o_product)
  L.o_residual = Add(L.o, IN)
  L.a = LayerNormalization<axis=-1, epsilon={epsilon}>(L.o_residual, L.a_gamma, L.a_beta)
  L.up_product = MatMul(L.a, L.up_weight)
  L.up = Add(L.up_bias, L.up_product)
  L.up_root = Div(L.up, root2)
  L.up_erf = Erf(L.up_root)
  L.up_plus = Add(L.up_erf, one)
  L.up_times = Mul(L.up, L.up_plus)
  L.gelu = Mul(L.up_times, half)
  L.down_product = MatMul(L.gelu, L.down_weight)
  L.down = Add(L.down_bias, L.down_product)
  L.down_residual = Add(L.down, L.a)
  OUT = LayerNormalization<axis=-1, epsilon={epsilon}>(L.down_residual, L.y_gamma, L.y_beta)
"""

# The checkpoint's names of a layer's parameters, by ours; a matrix is stored transposed.
LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "up": "intermediate.dense",
    "down": "output.dense",
}
NORMS = {"a": "attention.output.LayerNorm", "y": "output.LayerNorm"}


def make_encoder(tensors: Mapping[str, Array], config: Mapping[str, Any]) -> onnx.ModelProto:
    """Build the encoder.

    Args:
        tensors: a BertModel's parameters under transformers' names, float32.
        config: its config.json.

    Returns:
        a model with inputs input_ids and attention_mask int64 [batch, sequence] and output
        last_hidden_state float32 [batch, sequence, hidden].

    Raises:
        KeyError: a parameter or setting is missing.
    """
    layers = int(config["num_hidden_layers"])
    text = EMBEDDINGS + "".join(_layer(i, i == layers - 1) for i in range(layers))
    text = text.replace("{epsilon}", repr(float(config["layer_norm_eps"])))
    signature = SIGNATURE.format(hidden=config["hidden_size"])
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17], producer_name: "bert">\n'
        f"encoder ({signature.split(' => ')[0]}) => ({signature.split(' => ')[1]})"
        f" {{\n{text}\n}}"
    )
    for node in model.graph.node:
        node.name = node.output[0]
    arrays = _constants(config) | _embedding_parameters(tensors)
    for index in range(layers):
        arrays |= _layer_parameters(tensors, index)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.copy(array, order="C"), name) for name, array in arrays.items()
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _layer(index: int, last: bool) -> str:
    result = "last_hidden_state" if last else f"x{index + 1}"
    text = LAYER.replace("OUT", result).replace("IN", f"x{index}")
    return text.replace("L.", f"layer{index}_")


def _constants(config: Mapping[str, Any]) -> dict[str, Array]:
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    longest = int(config["max_position_embeddings"])
    integers = {
        "index0": 0,
        "index1": 1,
        "axis0": [0],
        "axis1": [1],
        "axis2": [2],
        "begin0": [0],
        "step1": [1],
        "head_count": [heads],
        "head_size": [hidden // heads],
        "hidden_size": [hidden],
        "position_ids": [list(range(longest))],
    }
    numbers = {
        "one": 1.0,
        "half": 0.5,
        "root2": math.sqrt(2.0),
        "head_root": math.sqrt(hidden // heads),
        "lowest": float(np.finfo(np.float32).min),
    }
    return {name: np.array(value, np.int64) for name, value in integers.items()} | {
        name: np.array(value, np.float32) for name, value in numbers.items()
    }


def _embedding_parameters(tensors: Mapping[str, Array]) -> dict[str, Array]:
    return {
        "word_table": tensors["embeddings.word_embeddings.weight"],
        "position_table": tensors["embeddings.position_embeddings.weight"],
        # One segment only: the row of token type 0.
        "type_row": tensors["embeddings.token_type_embeddings.weight"][0],
        "embedding_gamma": tensors["embeddings.LayerNorm.weight"],
        "embedding_beta": tensors["embeddings.LayerNorm.bias"],
    }


def _layer_parameters(tensors: Mapping[str, Array], index: int) -> dict[str, Array]:
    here, there = f"layer{index}_", f"encoder.layer.{index}."
    result: dict[str, Array] = {}
    for name, stored in LINEAR.items():
        result[f"{here}{name}_weight"] = tensors[f"{there}{stored}.weight"].T
        result[f"{here}{name}_bias"] = tensors[f"{there}{stored}.bias"]
    for name, stored in NORMS.items():
        result[f"{here}{name}_gamma"] = tensors[f"{there}{stored}.weight"]
        result[f"{here}{name}_beta"] = tensors[f"{there}{stored}.bias"]
    return result
