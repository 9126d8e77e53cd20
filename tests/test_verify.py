"""`actc verify`: what holds, what was tampered with, and what is no certificate at all."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from certificate_files import Document, scaled, two_sites
from command_line import CommandLine
from models import network
from onnx import numpy_helper
from sealed import sealed

import actc
from actc.approx.channel_table import certify_channel_table, fit_channel_table
from actc.errors import UsageError
from actc.numerics import QuantizationParameters
from actc.verifying import certificate_problems


def family() -> onnx.ModelProto:
    weights = {
        "w": np.random.default_rng(0).standard_normal((3, 2, 1, 1)).astype(np.float32),
        "slope": np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1),
    }
    body = "a = Sigmoid(x)\n b = Conv(a, w)\n c = PRelu(b, slope)\n y = Conv(c, u)"
    weights["u"] = np.random.default_rng(1).standard_normal((2, 3, 1, 1)).astype(np.float32)
    return network("float[N,2,4,4] x => float[N,2,4,4] y", body, weights)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One compilation each: int8 tables or lines, float lines or tables, a family."""
    base = tmp_path_factory.mktemp("compiled")
    x = {"x": np.random.default_rng(1).standard_normal((32, 6)).astype(np.float32) * 2}
    images = {"x": np.random.default_rng(1).standard_normal((8, 2, 4, 4)).astype(np.float32)}
    chosen: tuple[tuple[str, onnx.ModelProto, Any, Document], ...] = (
        ("table", two_sites(), x, {}),
        ("lines", two_sites(), x, {"approx": "pwl"}),
        ("float", two_sites(), x, {"approx": "pwl", "precision": "float32"}),
        ("steps", two_sites(), x, {"approx": "table", "precision": "float32"}),
        ("family", family(), images, {}),
    )
    for name, model, data, options in chosen:
        actc.compile(model, "onnx", data=data, output=base / name, max_drop=1.0, **options)
    return {path.name: path for path in base.iterdir()}


@pytest.fixture
def copied(compiled: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A compilation of one's own to change."""

    def copy_of(name: str) -> Path:
        return Path(shutil.copytree(compiled[name], tmp_path / name))

    return copy_of


def edit(path: Path, change: Callable[[Document], object]) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def edit_certificates(directory: Path, change: Callable[[list[Document]], object]) -> None:
    edit(directory / "certificates.json", lambda document: change(document["certificates"]))


def problems_of(directory: Path, site: str) -> str:
    found = actc.verify(sealed(directory))
    assert not found["holds"]
    (row,) = (row for row in found["certificates"] if row["id"] == site)
    assert not row["holds"]
    assert [d["code"] for d in found["diagnostics"]] == [
        "ACT0340" for row in found["certificates"] if not row["holds"]
    ]
    return "; ".join(row["problems"])


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("table", ["table"] * 2),
        ("lines", ["pwl"] * 2),
        ("float", ["pwl"] * 2),
        ("steps", ["table"] * 2),
        ("family", ["table"] * 2),
    ],
)
def test_what_compile_writes_holds(
    compiled: dict[str, Path], name: str, forms: list[str], actc_cli: CommandLine
) -> None:
    done = actc_cli("verify", compiled[name], "--json")
    assert done.status == 0, done.stdout
    assert done.document["holds"] is True
    assert [row["form"] for row in done.document["certificates"]] == forms
    assert all(row["holds"] and row["problems"] == [] for row in done.document["certificates"])
    assert done.document["diagnostics"] == []
    by_file = actc.verify(compiled[name] / "certificates.json")
    assert by_file == actc.verify(compiled[name]) == done.document
    assert "2 of 2 certificates hold" in actc_cli("verify", compiled[name]).stdout


def other_values(certificate: Document, redigest: bool) -> None:
    values = bytearray(bytes.fromhex(certificate["values"]))
    middle = (certificate["input"]["low"] + certificate["input"]["high"]) // 2
    values[middle] ^= 1
    certificate["values"] = values.hex()
    if redigest:
        certificate["digest"] = hashlib.sha256(values).hexdigest()


TABLES: dict[str, tuple[Callable[[Document], object], str]] = {
    "error lowered": (lambda c: c.update(max_error=scaled(c["max_error"], 0.9)), "above the claim"),
    "error raised": (lambda c: c.update(max_error=scaled(c["max_error"], 1.1)), "is only"),
    "bound raised": (lambda c: c.update(lower_bound=scaled(c["lower_bound"], 1.1)), "floor"),
    "digest": (lambda c: c.update(digest="0" * 64), "digest"),
    "value": (lambda c: other_values(c, False), "digest"),
    "value and digest": (lambda c: other_values(c, True), ""),
    "input format": (lambda c: c["input"].update(scale=scaled(c["input"]["scale"], 2)), ""),
    "fewer codes": (lambda c: c["input"].update(low=c["input"]["low"] + 100), ""),
    "unknown kind": (lambda c: c.update(kind="magic"), "unknown certificate"),
    "kind of a wrong type": (lambda c: c.update(kind=["table"]), "malformed"),
    "no values": (lambda c: c.pop("values"), "malformed"),
}


@pytest.mark.parametrize("change", TABLES)
def test_tampered_table(change: str, copied: Callable[[str], Path]) -> None:
    directory = copied("table")
    edit_certificates(directory, lambda rows: TABLES[change][0](rows[1]["certificate"]))
    assert TABLES[change][1] in problems_of(directory, "a2")


def test_every_code_of_a_table_is_tied(copied: Callable[[str], Path]) -> None:
    """Also an entry whose change leaves every claim about the error true."""
    directory = copied("table")
    path = directory / "golden.onnx"
    golden = onnx.load(path)
    changed = tables(golden)["a1"]
    values = numpy_helper.to_array(changed).copy()
    values[0] ^= 1
    changed.CopyFrom(numpy_helper.from_array(values, changed.name))
    onnx.save(golden, path)
    assert "1 entries differ, the first at code 0" in problems_of(directory, "a1")


def tables(golden: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """The table of each site."""
    held = {tensor.name: tensor for tensor in golden.graph.initializer}
    sites = {
        value.name: prop.value
        for value in golden.graph.value_info
        for prop in value.metadata_props
        if prop.key == "actc.site"
    }
    return {
        sites[node.output[0]]: held[node.input[1]]
        for node in golden.graph.node
        if node.op_type in ("Table", "ChannelTable") and node.output[0] in sites
    }


def claim(certificate: Document, key: str, channel: int, factor: float) -> None:
    """Scale the claim of one channel, and keep the largest one consistent."""
    claims = certificate[f"{key}s"]
    claims[channel] = scaled(claims[channel], factor)
    certificate[key] = max(claims, key=float.fromhex)


FAMILY: dict[str, tuple[Callable[[Document], object], str]] = {
    "error lowered": (
        lambda c: claim(c, "max_error", 0, 0.9),
        "error is above the claimed one in 1 channels, the first is 0",
    ),
    "error raised": (
        lambda c: claim(c, "max_error", 2, 1.0001),
        "error is below the claimed one in 1 channels, the first is 2",
    ),
    "bound raised": (
        lambda c: claim(c, "lower_bound", 1, 1.0001),
        "rounding floor is below the claimed one in 1 channels, the first is 1",
    ),
    "largest error": (lambda c: c.update(max_error=scaled(c["max_error"], 2)), "not the largest"),
    "channels swapped": (lambda c: c["table"].reverse(), "digest"),
    "channel left out": (lambda c: c["table"].pop(), "not every channel has a table"),
    "table left out": (lambda c: c["tables"].pop(), "the table of a channel is not"),
    "table cut": (lambda c: c["tables"].__setitem__(0, c["tables"][0][2:]), "not every table has"),
    "table of the wrong type": (lambda c: c["tables"].__setitem__(0, 3), "malformed"),
    "fewer channels": (lambda c: c.update(channels=2), "as many tables as channels"),
    "many channels": (lambda c: c.update(channels=10**9), "channels is not a whole number"),
    "endless channels": (lambda c: c.update(channels="inf"), "malformed"),
    "format": (lambda c: c["output"].update(scale=scaled(c["output"]["scale"], 2)), "error is"),
    "input": (lambda c: c["input"].update(zero_point=c["input"]["zero_point"] + 9), "error is"),
    "kind of one function": (lambda c: c.update(kind="table"), "is a family"),
}


@pytest.mark.parametrize("change", FAMILY)
def test_tampered_family(change: str, copied: Callable[[str], Path]) -> None:
    directory = copied("family")
    edit_certificates(directory, lambda rows: FAMILY[change][0](rows[1]["certificate"]))
    assert FAMILY[change][1] in problems_of(directory, "a2")


def test_every_table_of_a_family_is_tied(copied: Callable[[str], Path]) -> None:
    directory = copied("family")

    def forge(rows: list[Document]) -> None:
        """Exchange two channels that both hold: the functions tell them apart."""
        certificate = rows[1]["certificate"]
        for key in ("table", "max_errors", "lower_bounds"):
            certificate[key][:2] = reversed(certificate[key][:2])
        held = b"".join(bytes.fromhex(certificate["tables"][k]) for k in certificate["table"])
        certificate["digest"] = hashlib.sha256(held).hexdigest()

    path = directory / "golden.onnx"
    genuine = path.read_bytes()
    golden = onnx.load(path)
    table = tables(golden)["a2"]
    values = numpy_helper.to_array(table).copy()
    values[256] ^= 1
    table.CopyFrom(numpy_helper.from_array(values, table.name))
    onnx.save(golden, path)
    assert "1 entries differ, the first at code 256" in problems_of(directory, "a2")
    path.write_bytes(genuine)
    (node,) = (n for n in golden.graph.node if n.op_type == "ChannelTable")
    golden = onnx.load(path)
    (offset,) = (t for t in golden.graph.initializer if t.name == node.input[2])
    offset.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(offset)[:, ::-1].copy(), offset.name)
    )
    onnx.save(golden, path)
    assert "its own table" in problems_of(directory, "a2")
    path.write_bytes(genuine)
    assert actc.verify(sealed(directory))["holds"]
    edit_certificates(directory, forge)
    assert problems_of(directory, "a2")


def test_equal_channels_share_their_table() -> None:
    """512 channels of few kinds stay small, and each channel keeps its own claim."""
    p = QuantizationParameters.from_range(-4.0, 4.0)
    slopes = np.resize([0.1, 0.25, 0.1, 0.5], 512)

    def leaky(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.maximum(x[:, None], x[:, None] * slopes))

    exact = leaky(p.values())
    table = fit_channel_table(exact, p)
    certificate = json.loads(json.dumps(certify_channel_table("PReLU", exact, table, p, p)))
    assert len(certificate["tables"]) == 3
    assert len(json.dumps(certificate)) < 40_000
    assert certificate_problems(certificate, leaky) == []
    slopes[5] = 0.26
    assert "in 1 channels, the first is 5" in certificate_problems(certificate, leaky)[0]


def test_infinite_families_are_certified_as_such() -> None:
    p = QuantizationParameters.from_range(-4.0, 4.0)

    def reciprocal(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.array([1.0, 2.0]) / x[:, None])

    exact = reciprocal(p.values())
    made = certify_channel_table("1/x", exact, fit_channel_table(exact, p), p, p)
    assert made["max_errors"] == ["inf", "inf"]
    assert certificate_problems(json.loads(json.dumps(made)), reciprocal) == []


@pytest.mark.parametrize("name", ["table", "lines", "float", "steps"])
def test_swapped_sites(name: str, copied: Callable[[str], Path]) -> None:
    directory = copied(name)

    def swap(rows: list[Document]) -> None:
        rows[0]["id"], rows[1]["id"] = rows[1]["id"], rows[0]["id"]

    edit_certificates(directory, swap)
    found = actc.verify(sealed(directory))
    assert [row["holds"] for row in found["certificates"]] == [False, False]


@pytest.mark.parametrize("name", ["table", "lines", "float", "steps"])
def test_another_float_model(name: str, copied: Callable[[str], Path]) -> None:
    directory = copied(name)
    onnx.save(two_sites("Softplus"), directory / "float.onnx")
    assert problems_of(directory, "a1")
    assert [row["holds"] for row in actc.verify(sealed(directory))["certificates"]] == [False, True]


@pytest.mark.parametrize("name", ["table", "lines", "float", "steps", "family"])
def test_removed_certificate(name: str, copied: Callable[[str], Path]) -> None:
    directory = copied(name)
    edit_certificates(directory, lambda rows: rows.pop())
    assert problems_of(directory, "a2") == "the certificate of this site is missing"


def test_repeated_and_invented_sites(copied: Callable[[str], Path]) -> None:
    directory = copied("table")

    def invent(rows: list[Document]) -> None:
        rows += [{**rows[0], "id": "a9"}, copy.deepcopy(rows[0])]

    edit_certificates(directory, invent)
    found = [(row["id"], row["problems"]) for row in actc.verify(sealed(directory))["certificates"]]
    assert found == [
        ("a1", []),
        ("a2", []),
        ("a9", ["the model has no site 'a9'"]),
        ("a1", ["site a1 has two certificates"]),
    ]


def test_lines_are_tied_to_the_golden_table(copied: Callable[[str], Path]) -> None:
    directory = copied("lines")
    path = directory / "golden.onnx"
    golden = onnx.load(path)
    table = tables(golden)["a2"]
    values = numpy_helper.to_array(table).copy()
    values[128] ^= 4
    table.CopyFrom(numpy_helper.from_array(values, table.name))
    onnx.save(golden, path)
    assert "is not that of the certified lines: 1 entries differ" in problems_of(directory, "a2")


@pytest.mark.parametrize("name", ["lines", "float"])
def test_lines_are_tied_to_the_approximated_model(name: str, copied: Callable[[str], Path]) -> None:
    directory = copied(name)
    path = directory / "approximated.onnx"
    model = onnx.load(path)
    (node,) = (n for n in model.graph.node if n.op_type == "PiecewiseLinear" and "c" in n.output)
    (held,) = (t for t in model.graph.initializer if t.name == node.input[2])
    values = numpy_helper.to_array(held) * np.float32(1.01)
    held.CopyFrom(numpy_helper.from_array(values, held.name))
    onnx.save(model, path)
    assert "the slopes in approximated.onnx" in problems_of(directory, "a2")


@pytest.mark.parametrize(("position", "what"), [(1, "scale"), (2, "zero point"), (3, "values")])
def test_steps_are_tied_to_the_approximated_model(
    position: int, what: str, copied: Callable[[str], Path]
) -> None:
    directory = copied("steps")
    path = directory / "approximated.onnx"
    model = onnx.load(path)
    (node,) = (n for n in model.graph.node if n.op_type == "QuantizedTable" and "c" in n.output)
    (held,) = (t for t in model.graph.initializer if t.name == node.input[position])
    values = numpy_helper.to_array(held) + np.array(1, held_type(held))
    held.CopyFrom(numpy_helper.from_array(values, held.name))
    onnx.save(model, path)
    assert f"the {what} of the table in approximated.onnx" in problems_of(directory, "a2")


def held_type(tensor: onnx.TensorProto) -> np.dtype[Any]:
    return numpy_helper.to_array(tensor).dtype


def test_a_single_line_is_written_twice(tmp_path: Path) -> None:
    weights = {"w": np.eye(6, dtype=np.float32)}
    body = "a = MatMul(x, w)\n b = Softplus(a)\n y = MatMul(b, w)"
    model = network("float[N,6] x => float[N,6] y", body, weights)
    data = {"x": np.random.default_rng(1).standard_normal((32, 6)).astype(np.float32)}
    steps = "normalize,recognize,calibrate,approximate{form=pwl,precision=float32,segments=1}"
    options: Document = {"precision": "float32", "passes": steps}
    actc.compile(model, "onnx", data=data, output=tmp_path, max_drop=1.0, **options)
    found = actc.verify(tmp_path)
    assert found["holds"], found["diagnostics"]

    def flatten(rows: list[Document]) -> None:
        rows[0]["certificate"]["slopes"] = [(0.0).hex()]

    edit_certificates(tmp_path, flatten)
    assert problems_of(tmp_path, "a1")


@pytest.mark.parametrize("file", ["golden.onnx", "approximated.onnx"])
def test_missing_file(file: str, copied: Callable[[str], Path]) -> None:
    directory = copied("lines")
    (directory / file).unlink()
    assert f"{file} is missing" in problems_of(directory, "a1")


@pytest.mark.parametrize("file", ["float.onnx", "golden.onnx", "manifest.json"])
def test_broken_file(file: str, copied: Callable[[str], Path], actc_cli: CommandLine) -> None:
    directory = copied("table")
    (directory / file).write_bytes(b"\xff\xfe not this")
    if file != "manifest.json":
        assert actc_cli("verify", directory, "--json").codes == ["ACT0067"]
        sealed(directory)
    done = actc_cli("verify", directory, "--json")
    assert done.status in (2, 3)
    assert len(done.codes) == 1
    assert "Traceback" not in done.stderr


def test_the_model_may_lie_elsewhere(compiled: dict[str, Path], tmp_path: Path) -> None:
    alone = tmp_path / "alone.json"
    shutil.copy(compiled["table"] / "certificates.json", alone)
    with pytest.raises(UsageError) as caught:
        actc.verify(alone)
    assert caught.value.diagnostics[0].code == "ACT0342"
    assert actc.verify(alone, compiled["table"] / "float.onnx")["holds"]
    other = tmp_path / "other.onnx"
    onnx.save(two_sites("Softplus"), other)
    assert not actc.verify(alone, other)["holds"]
    assert not actc.verify(compiled["table"], other)["holds"]
