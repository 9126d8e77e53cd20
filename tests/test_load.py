"""Reading models: what is broken is said, with all problems at once; what is old is converted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from models import network, normal, random_data, run
from onnx import TensorProto, helper, numpy_helper

from actc.errors import ModelError, UsageError
from actc.ir.load import IR_VERSION, MINIMUM_OPSET, load


def small(opset: int = 21) -> onnx.ModelProto:
    return network(
        "float[N,6] x => float[N,3] y",
        "h = MatMul(x, w)\n y = Add(h, b)",
        {"w": normal(6, 3), "b": normal(3)},
        opset=opset,
    )


def codes(error: ModelError | UsageError) -> list[str]:
    return [d.code for d in error.diagnostics]


def external(path: Path, location: str = "w.bin") -> Path:
    """The small model with its weights in a file beside it."""
    onnx.save(small(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    if location != "w.bin":
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            entry = next(e for e in tensor.external_data if e.key == "location")
            entry.value = location
        path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path) -> list[str]:
    with pytest.raises(ModelError) as caught:
        load(path)
    assert all(d.place.file == path.name for d in caught.value.diagnostics)
    return codes(caught.value)


def test_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "good.onnx"
    onnx.save(small(), path)
    loaded = load(path)
    assert (loaded.name, loaded.stem, loaded.opset) == ("good.onnx", "good", 21)
    assert loaded.size == path.stat().st_size
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.proto.ir_version == IR_VERSION


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text, not a model\n", b"\x08\x0a" * 40])
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    assert refused(path) == ["ACT0001"]


def test_truncated_anywhere(tmp_path: Path) -> None:
    """Whatever part is cut off, the file is refused or complete in itself; never a traceback."""
    whole = small().SerializeToString()
    path = tmp_path / "cut.onnx"
    for size in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError) as caught:
            load(path)
        assert codes(caught.value)[0] in {"ACT0001", "ACT0005"}


def test_missing_file_and_directory(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.onnx", tmp_path):
        with pytest.raises(UsageError) as caught:
            load(path)
        assert codes(caught.value) == ["ACT0202"]


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    loaded = load(external(tmp_path / "m.onnx"))
    feeds = random_data(small())
    np.testing.assert_array_equal(run(loaded.proto, feeds)["y"], run(small(), feeds)["y"])
    everything = (tmp_path / "m.onnx").read_bytes() + (tmp_path / "w.bin").read_bytes()
    assert loaded.size >= (tmp_path / "m.onnx").stat().st_size + 21 * 4
    assert loaded.size <= len(everything)


def test_external_weights_are_part_of_the_hash(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx")
    before = load(path).sha256
    weights = bytearray((tmp_path / "w.bin").read_bytes())
    weights[0] ^= 1
    (tmp_path / "w.bin").write_bytes(bytes(weights))
    assert load(path).sha256 != before


def test_external_data_missing_names_every_tensor(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx")
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError) as caught:
        load(path)
    assert codes(caught.value) == ["ACT0002", "ACT0002"]
    assert {d.place.node for d in caught.value.diagnostics} == {"w", "b"}


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "sub/../../w.bin", ""])
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = external(folder / "m.onnx", location)
    (tmp_path / "w.bin").write_bytes((folder / "w.bin").read_bytes())
    assert set(refused(path)) == {"ACT0003"}


def test_external_data_behind_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = external(folder / "m.onnx")
    (folder / "w.bin").rename(tmp_path / "w.bin")
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    assert set(refused(path)) == {"ACT0003"}


def test_external_data_truncated(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx")
    whole = (tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(whole[:10])
    assert set(refused(path)) == {"ACT0002"}


@pytest.mark.parametrize("key", ["offset", "length"])
@pytest.mark.parametrize("value", ["-1", "x", str(2**62)])
def test_external_data_with_senseless_numbers(tmp_path: Path, key: str, value: str) -> None:
    path = external(tmp_path / "m.onnx")
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    kept = [e for e in tensor.external_data if e.key != key]
    del tensor.external_data[:]
    tensor.external_data.extend(kept)
    tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    assert refused(path) in (["ACT0002"], ["ACT0004"])


def test_external_data_that_claims_more_than_the_memory(tmp_path: Path) -> None:
    path = external(tmp_path / "m.onnx")
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    tensor.dims[:] = [2**20, 2**20]
    next(e for e in tensor.external_data if e.key == "length").value = str(2**42)
    path.write_bytes(model.SerializeToString())
    assert refused(path) == ["ACT0060"]


def test_external_four_bit_weights(tmp_path: Path) -> None:
    """Two values to a byte: the length that the file states must be taken as right."""
    packed = helper.make_tensor("q", TensorProto.INT4, [6], bytes([0x21, 0x43, 0x65]), raw=True)
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["q", "s"], ["d"]),
            helper.make_node("Mul", ["x", "d"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 6])],
        [packed, numpy_helper.from_array(np.array(0.5, np.float32), "s")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    x = np.ones((1, 6), np.float32)
    np.testing.assert_array_equal(
        run(load(path).proto, {"x": x})["y"], [[0.5, 1.0, 1.5, 2.0, 2.5, 3.0]]
    )


def test_unknown_operators_all_at_once() -> None:
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], name="first", domain="com.example"),
        helper.make_node("Relu", ["a"], ["b"], name="fine"),
        helper.make_node("NoSuchThing", ["b"], ["c"], name="second"),
        helper.make_node("Gelu", ["c"], ["y"], name="too new for this opset"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    with pytest.raises(ModelError) as caught:
        load(helper.make_model(graph, opset_imports=imports, ir_version=8))
    found = [(d.code, d.place.node, d.place.op) for d in caught.value.diagnostics]
    assert found == [
        ("ACT0101", "first", "Foo"),
        ("ACT0101", "second", "NoSuchThing"),
        ("ACT0101", "too new for this opset", "Gelu"),
    ]


def test_unknown_operator_inside_a_branch() -> None:
    def branch(name: str, op: str, domain: str) -> onnx.GraphProto:
        node = helper.make_node(op, ["x"], [f"{name}_y"], name=name, domain=domain)
        out = helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, ["N", 2])
        return helper.make_graph([node], name, [], [out])

    choice = helper.make_node(
        "If",
        ["c"],
        ["y"],
        then_branch=branch("good", "Relu", ""),
        else_branch=branch("bad", "Foo", "com.example"),
    )
    graph = helper.make_graph(
        [choice],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("c", TensorProto.BOOL, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.example", 1)]
    with pytest.raises(ModelError) as caught:
        load(helper.make_model(graph, opset_imports=imports, ir_version=10))
    assert [(d.code, d.place.node) for d in caught.value.diagnostics] == [("ACT0101", "bad")]


def test_local_functions_are_known_and_converted() -> None:
    """A function of the model's own is no unknown operator, at old opsets too."""
    model = network(
        "float[N,2] x => float[N,2] y",
        "y = local.Twice(x)",
        opset=17,
        functions='<domain: "local", opset_import: ["" : 17]> Twice (x) => (y) { y = Add(x, x) }',
    )
    loaded = load(model)
    feeds = random_data(model)
    np.testing.assert_array_equal(run(loaded.proto, feeds)["y"], 2 * feeds["x"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(value: float) -> None:
    weights = normal(6, 3)
    weights[1, 2] = value
    model = network(
        "float[N,6] x => float[N,3] y",
        "h = MatMul(x, w)\n y = Add(h, b)",
        {"w": weights, "b": np.full(3, np.nan, np.float32)},
    )
    with pytest.raises(ModelError) as caught:
        load(model)
    found = [(d.code, d.place.node) for d in caught.value.diagnostics]
    assert found == [("ACT0006", "w"), ("ACT0006", "b")]


def test_nan_in_a_constant_node_is_a_weight_too() -> None:
    model = network(
        "float[N,2] x => float[N,2] y",
        "c = Constant <value = float[2] {1.0, 2.0}> ()\n y = Mul(x, c)",
    )
    model.graph.node[0].attribute[0].t.CopyFrom(
        numpy_helper.from_array(np.array([1.0, np.nan], np.float32), "c")
    )
    with pytest.raises(ModelError) as caught:
        load(model)
    assert codes(caught.value) == ["ACT0006"]


def test_a_scalar_infinity_is_a_constant() -> None:
    model = network(
        "float[N,2] x => float[N,2] y", "y = Max(x, low)", {"low": np.array(-np.inf, np.float32)}
    )
    assert load(model).opset == 21


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_weight_bytes_that_do_not_fit_the_shape(dtype: type) -> None:
    model = network("float[N,6] x => float[N,3] y", "y = MatMul(x, w)", {"w": normal(6, 3)})
    spare = numpy_helper.from_array(np.zeros(5, dtype), "spare")
    spare.dims[:] = [7]
    model.graph.initializer.append(spare)
    with pytest.raises(ModelError) as caught:
        load(model)
    assert [(d.code, d.place.node) for d in caught.value.diagnostics] == [("ACT0004", "spare")]


def test_invalid_graph() -> None:
    model = small()
    model.graph.node[1].input[0] = "nobody"
    with pytest.raises(ModelError) as caught:
        load(model)
    assert codes(caught.value) == ["ACT0007"]
    assert "nobody" in str(caught.value)


def test_no_opset() -> None:
    model = small()
    del model.opset_import[:]
    model.opset_import.add(domain="com.example", version=1)
    with pytest.raises(ModelError) as caught:
        load(model)
    assert codes(caught.value) == ["ACT0005"]


def test_opset_11_is_converted() -> None:
    """Attributes that later became inputs (Squeeze, ReduceSum, Clip as in 11, Softmax in 2-D)."""
    body = """
      a = Unsqueeze <axes = [1]> (x)
      r = ReduceSum <axes = [1], keepdims = 0> (a)
      c = Clip (r, low, high)
      s = Softmax <axis = 1> (c)
      p = Pad (s, widths)
      q = Unsqueeze <axes = [2]> (p)
      y = Squeeze <axes = [2]> (q)
    """
    model = network(
        "float[N,4] x => float[N,5] y",
        body,
        {
            "low": np.array(-1, np.float32),
            "high": np.array(1, np.float32),
            "widths": np.array([0, 1, 0, 0]),
        },
        opset=11,
    )
    loaded = load(model)
    assert loaded.opset == 11
    assert [o.version for o in loaded.proto.opset_import if o.domain == ""] == [MINIMUM_OPSET]
    feeds = random_data(model)
    expected, found = run(model, feeds)["y"], run(loaded.proto, feeds)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_newer_opsets_stay() -> None:
    loaded = load(small(23))
    assert [o.version for o in loaded.proto.opset_import if o.domain == ""] == [23]


def test_models_in_memory() -> None:
    model = small()
    feeds = random_data(model)
    expected = run(model, feeds)["y"]
    for given in (model, ir.from_proto(model)):
        loaded = load(given)
        assert (loaded.name, loaded.stem) == ("<model>", "model")
        np.testing.assert_array_equal(run(loaded.proto, feeds)["y"], expected)
    before = model.SerializeToString()
    load(model)
    assert model.SerializeToString() == before, "the caller's model must not change"


def test_model_in_memory_with_its_weights_on_disk(tmp_path: Path) -> None:
    """onnx_ir knows where the weights are and brings them; a bare proto does not."""
    path = external(tmp_path / "m.onnx")
    feeds = random_data(small())
    loaded = load(ir.load(path))
    np.testing.assert_array_equal(run(loaded.proto, feeds)["y"], run(small(), feeds)["y"])
    with pytest.raises(ModelError) as caught:
        load(onnx.load(path, load_external_data=False))
    assert set(codes(caught.value)) == {"ACT0002"}


def test_references_to_attributes_that_no_function_has() -> None:
    """onnxruntime takes the attribute as not given, and others as 0."""
    model = network("float[N,6] x => float[N,3] y", "y = Gemm(x, w)", {"w": normal(6, 3)}, opset=21)
    attribute = model.graph.node[0].attribute.add(name="transA", type=onnx.AttributeProto.INT)
    load(model)
    attribute.ref_attr_name = "flag"
    with pytest.raises(ModelError) as error:
        load(model)
    assert codes(error.value) == ["ACT0007"]
    assert "'transA' stands for the attribute 'flag'" in str(error.value)
