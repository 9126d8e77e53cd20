"""What exporters write around attention: transposed keys, class tokens, absent token types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from integer_models import compiled, ops
from models import network, normal, operators, proto_of, random_data, run, transformed

from actc.ir.graph import is_op
from actc.passes.normalize import Normalize

Array = np.ndarray[Any, Any]

X = "float[N,2,5,4] x => float[N,a,b,c] y"
CHAINS: dict[str, tuple[str, dict[str, Array], list[int] | None]] = {
    # name: a chain of moves, its shapes, the permutation that it is (None: it is none)
    "keys, as dynamo writes them": (
        "r = Reshape (x, merged)\nt = Transpose <perm = [0,2,1]> (r)\ny = Reshape (t, split)",
        {"merged": np.array([-1, 5, 4]), "split": np.array([-1, 2, 4, 5])},
        [0, 1, 3, 2],
    ),
    "with the batch inside": (
        "t = Transpose <perm = [2,0,1,3]> (x)\nr = Reshape (t, merged)\n"
        "s = Transpose <perm = [1,0,2]> (r)\ny = Reshape (s, split)",
        {"merged": np.array([5, -1, 4]), "split": np.array([-1, 2, 5, 4])},
        [0, 1, 2, 3],
    ),
    "another split": (
        "r = Reshape (x, merged)\nt = Transpose <perm = [0,2,1]> (r)\ny = Reshape (t, split)",
        {"merged": np.array([-1, 5, 4]), "split": np.array([-1, 4, 2, 5])},
        None,
    ),
    "axes cut in two": (
        "r = Reshape (x, merged)\nt = Transpose <perm = [0,2,1]> (r)\ny = Reshape (t, split)",
        {"merged": np.array([-1, 10, 4]), "split": np.array([-1, 2, 4, 5])},
        None,
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chain_of_moves(name: str) -> None:
    body, shapes, order = CHAINS[name]
    model = network(X, body, shapes)
    result = transformed(model, Normalize())
    feeds = random_data(model)
    np.testing.assert_array_equal(run(proto_of(result), feeds)["y"], run(model, feeds)["y"])
    if order is None:
        assert "Reshape" in operators(result)
    else:
        (node,) = result.graph
        assert is_op(node, "Transpose")
        assert list(node.attributes["perm"].as_ints()) == order


def test_class_token_in_front() -> None:
    """Expanded to the batch by its shape; golden has no batch size to expand it to."""
    body = "s = Shape <start = 0, end = 1> (x)\nt = Concat <axis = 0> (s, rest)\n"
    body += "e = Expand (token, t)\nc = Concat <axis = 1> (e, x)\nd = Add (c, places)\n"
    body += "y = MatMul (d, w)"
    weights = {
        "rest": np.array([2, 6]),
        "token": normal(1, 2, 6, seed=1),
        "places": normal(1, 7, 6, seed=2),
        "w": normal(6, 4, seed=3, scale=0.4),
    }
    model = network("float[N,5,6] x => float[N,7,4] y", body, weights)
    found = ops(compiled(model, noise=0.02))
    assert not {"Expand", "Shape"} & set(found)
    assert "Concat" in found


def test_one_token_type_for_all() -> None:
    body = "s = Shape (i)\nz = ConstantOfShape (s)\nk = Cast <to = 7> (z)\nt = Gather (types, k)\n"
    body += "e = Gather (words, i)\nc = Add (e, t)\ny = LayerNormalization <axis = -1> (c, g)"
    weights = {
        "types": normal(2, 6, seed=1),
        "words": normal(5, 6),
        "g": np.ones(6, np.float32),
    }
    model = network("int64[N,7] i => float[N,7,6] y", body, weights)
    found = ops(compiled(model, noise=0.03))
    assert found.count("IntEmbed") == 1
    assert "Gather" not in found


def test_a_batch_that_is_not_repeated_stays() -> None:
    """A range over the batch depends on its size: there is no one row."""
    body = "s = Shape <start = 0, end = 1> (x)\nn = Squeeze (s)\nr = Range (zero, n, one)\n"
    body += "f = Cast <to = 1> (r)\nu = Unsqueeze (f, axes)\ny = Add (x, u)"
    weights = {"zero": np.array(0), "one": np.array(1), "axes": np.array([1])}
    model = network("float[N,3] x => float[N,3] y", body, weights)
    feeds = random_data(model)
    kept = proto_of(transformed(model, Normalize()))
    np.testing.assert_array_equal(run(kept, feeds)["y"], run(model, feeds)["y"])
    assert "Range" in [node.op_type for node in kept.graph.node]
