"""`actc reproduce`: equal bytes from equal inputs, and every difference is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from installed import needs_tvm
from small_models import make_data, make_model

import actc
from actc import provenance
from actc.data import Dataset
from actc.errors import UsageError
from actc.recorded import read_manifest


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, its data, and the artefact `out` of them."""
    folder = tmp_path_factory.mktemp("compiled")
    model, data = make_model(folder / "small.onnx"), make_data(folder / "data.npz")
    actc.compile(
        model, "onnx", data=data, output=folder / "out", weights="4", max_drop=0.5, approx="table",
        overrides={"activations": {}, "weights": {"matmul": "5"}},
    )  # fmt: skip
    return folder


@pytest.fixture
def copy(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "copy"))


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """A change of the manifest."""

    def apply(folder: Path) -> None:
        path = folder / "out" / "manifest.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return apply


def test_the_same_inputs_give_the_same_files(copy: Path, actc_cli: CommandLine) -> None:
    done = actc_cli("reproduce", copy / "out", "--json")
    found = done.document
    assert (done.status, found["equal"], found["diagnostics"]) == (0, True, [])
    manifest = json.loads((copy / "out" / "manifest.json").read_text())
    assert [row["file"] for row in found["files"]] == sorted(manifest["files"])
    assert {row["result"] for row in found["files"]} == {"equal"}
    assert (found["kept"], found["versions"], found["changed"]) == (None, [], [])


def test_a_manifest_alone_suffices_with_its_inputs(copy: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone" / "renamed.json"
    alone.parent.mkdir()
    shutil.copy(copy / "out" / "manifest.json", alone)
    kept = tmp_path / "kept"
    found = actc.reproduce(alone, model=copy / "small.onnx", data=copy / "data.npz", keep=kept)
    assert found["equal"]
    assert found["kept"] == str(kept)
    for name in json.loads(alone.read_text())["files"]:
        assert (kept / name).read_bytes() == (copy / "out" / name).read_bytes(), name


def test_data_are_the_same_in_another_container(copy: Path) -> None:
    with np.load(copy / "data.npz") as content:
        np.savez_compressed(copy / "data.npz", **dict(content))  # type: ignore[arg-type]
    assert actc.reproduce(copy / "out")["equal"]


DIFFERENT: dict[str, tuple[Callable[[Path], object], list[str], list[str]]] = {
    "a file's hash": (
        edit(lambda content: content["files"].update({"golden.onnx": "0" * 64})),
        ["ACT0399", "ACT0397"],
        ["golden.onnx: differs", "golden.onnx: changed since it was written"],
    ),
    "a file on disk": (
        lambda folder: (folder / "out" / "golden.onnx").write_bytes(b"spoilt"),
        ["ACT0399"],
        ["golden.onnx: changed since it was written"],
    ),
    "a file that is left out": (
        edit(lambda content: content["files"].pop("golden.onnx")),
        ["ACT0397"],
        ["golden.onnx: not recorded"],
    ),
    "a file too many": (
        edit(lambda content: content["files"].update({"../small.onnx": "0" * 64})),
        ["ACT0397"],
        ["../small.onnx: not written again"],
    ),
    "more that may differ": (
        edit(lambda content: content["not_reproducible"].append("golden.onnx")),
        ["ACT0397"],
        ["manifest.json: the entry 'not_reproducible' differs"],
    ),
    "an option": (
        edit(lambda content: content["request"]["options"].update(max_drop=0.25)),
        ["ACT0397", "ACT0397", "ACT0397"],
        ["report.json: differs, first at byte", "manifest.json: the entry 'options' differs"],
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_difference_is_named(name: str, copy: Path, actc_cli: CommandLine) -> None:
    change, codes, lines = DIFFERENT[name]
    change(copy)
    done = actc_cli("reproduce", copy / "out")
    assert done.status == 1
    assert re.findall(r"^error\[(ACT\d+)\]", done.stderr, re.MULTILINE) == codes
    for line in lines:
        assert f"\n{line}" in f"\n{done.stdout}"


def test_other_versions_come_first_and_are_no_difference_of_files(
    copy: Path, actc_cli: CommandLine
) -> None:
    edit(lambda content: content["versions"].update(numpy="1.0", gone="3"))(copy)
    done = actc_cli("reproduce", copy / "out")
    assert done.status == 0
    assert re.findall(r"^(\w+)\[ACT0398\]", done.stderr, re.MULTILINE) == ["warning"] * 2
    first, second, last = done.stdout.splitlines()
    assert first == "version of gone: recorded 3, here none"
    assert second == f"version of numpy: recorded 1.0, here {np.__version__}"
    assert last.endswith("files are equal, byte for byte")


def test_another_version_that_writes_other_bytes(
    copy: Path, actc_cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the manifest and the report say of versions is part of them."""
    real = provenance.versions
    fake = {"numpy": "9.9"}
    monkeypatch.setattr("actc.outcome.versions", lambda machine: {**real(machine), **fake})
    done = actc_cli("reproduce", copy / "out", "--json")
    assert (done.status, done.codes) == (1, ["ACT0398", "ACT0397", "ACT0397"])
    differing = [row["file"] for row in done.document["files"] if row["result"] != "equal"]
    assert differing == ["report.html", "report.json"]


def other_model(folder: Path) -> None:
    model = onnx.load(folder / "small.onnx")
    model.doc_string = "another"
    onnx.save(model, folder / "small.onnx")


def other_data(folder: Path) -> None:
    with np.load(folder / "data.npz") as content:
        arrays = dict(content)
    arrays["x"][3, 2] = np.nextafter(arrays["x"][3, 2], 9)
    np.savez(folder / "data.npz", **arrays)


WRONG_INPUTS: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "another model": (other_model, [], "SHA-256 is another"),
    "one value of the data": (other_data, [], "not the data"),
    "no model": (lambda folder: (folder / "small.onnx").unlink(), [], "say where it is"),
    "no data": (lambda folder: (folder / "data.npz").unlink(), [], "'data.npz' is not beside"),
    "renamed": (
        lambda folder: shutil.copy(folder / "small.onnx", folder / "large.onnx"),
        ["--model", "large.onnx"],
        "called 'small.onnx'",
    ),
    "a model from memory": (
        edit(lambda content: content["input"].update(name="<model>")), [], "'<model>' is not beside"
    ),
    "a name that is a path": (
        edit(lambda content: content["input"].update(name="../copy/small.onnx")),
        [],
        "is not beside",
    ),
    "data where there were none": (
        edit(lambda content: content.update(data=None)), ["--data", "data.npz"], "without data"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_INPUTS)
def test_inputs_are_the_recorded_ones(name: str, copy: Path, actc_cli: CommandLine) -> None:
    change, options, said = WRONG_INPUTS[name]
    change(copy)
    given = [str(copy / word) if "." in word else word for word in options]
    done = actc_cli("reproduce", copy / "out", *given, "--json")
    assert (done.status, done.codes) == (2, ["ACT0396"])
    diagnostic = done.document["diagnostics"][0]
    assert said in diagnostic["message"] + diagnostic["help"]


def test_all_that_is_missing_is_said_at_once(copy: Path, actc_cli: CommandLine) -> None:
    (copy / "small.onnx").unlink()
    (copy / "data.npz").unlink()
    assert actc_cli("reproduce", copy / "out", "--json").codes == ["ACT0396", "ACT0396"]


def request(**changes: object) -> Callable[[Path], object]:
    return edit(lambda content: content["request"]["options"].update(changes))


TAMPERED: dict[str, Callable[[Path], object]] = {
    "no JSON": lambda folder: (folder / "out/manifest.json").write_text("{"),
    "deep": lambda folder: (folder / "out/manifest.json").write_text("[" * 100_000),
    "a list": lambda folder: (folder / "out/manifest.json").write_text("[]"),
    "bytes": lambda folder: (folder / "out/manifest.json").write_bytes(b"\xff\xfe"),
    "gone": lambda folder: (folder / "out/manifest.json").unlink(),
    "an older one": edit(lambda content: content.pop("request")),
    "no hashes": edit(lambda content: content.update(files=[])),
    "a hash that is a number": edit(lambda content: content["files"].update({"a": 1})),
    "no hash of the model": edit(lambda content: content["input"].pop("sha256")),
    "no data entry": edit(lambda content: content.pop("data")),
    "data of another type": edit(lambda content: content.update(data="data.npz")),
    "an unknown option": request(dump_ir="/tmp/x"),
    "no option": edit(lambda content: content["request"].update(options={})),
    "a wrong type": request(max_drop="1"),
    "a truth as number": request(groups=True),
    "overrides of nothing": request(overrides={"passes": {}}),
    "overrides that are no bits": request(overrides={"weights": {"a": []}, "activations": {}}),
    "no passes": edit(lambda content: content["request"].pop("passes")),
    "passes that are no text": edit(lambda content: content["request"].update(passes=[])),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_manifest_of_something_else_is_refused(
    name: str, copy: Path, actc_cli: CommandLine
) -> None:
    TAMPERED[name](copy)
    done = actc_cli("reproduce", copy / "out", "--json")
    assert done.status == 2
    assert set(done.codes) == {"ACT0395"}


def test_wrong_values_of_options_are_those_of_compile(copy: Path, actc_cli: CommandLine) -> None:
    request(approx="magic")(copy)
    done = actc_cli("reproduce", copy / "out", "--json")
    assert (done.status, done.codes) == (2, ["ACT0224"])


def test_the_artefact_itself_is_no_place_for_the_new_one(copy: Path, actc_cli: CommandLine) -> None:
    before = (copy / "out" / "manifest.json").read_bytes()
    done = actc_cli("reproduce", copy / "out", "--keep", copy / "out", "--json")
    assert (done.status, done.codes) == (2, ["ACT0203"])
    done = actc_cli("reproduce", copy / "out", "--keep", copy, "--json")
    assert (done.status, done.codes) == (2, ["ACT0240"])
    assert (copy / "out" / "manifest.json").read_bytes() == before


def test_a_golden_model_float32_and_lists_of_passes(copy: Path) -> None:
    """Their options are recorded as they were given, not as they became."""
    data = copy / "data.npz"
    for name, model, options in (
        ("golden", copy / "out" / "golden.onnx", {}),
        ("float", copy / "small.onnx", {"precision": "float32"}),
        ("passes", copy / "small.onnx", {"precision": "float32", "passes": "normalize,recognize"}),
    ):
        actc.compile(model, "onnx", data=data, output=copy / name, max_drop=1, **options)  # type: ignore[arg-type]
        assert actc.reproduce(copy / name, model=model)["equal"], name


def test_without_data(copy: Path) -> None:
    actc.compile(copy / "small.onnx", "onnx", output=copy / "synthetic")
    assert read_manifest(copy / "synthetic").data is None
    assert actc.reproduce(copy / "synthetic")["equal"]


@pytest.mark.slow
@needs_tvm
def test_a_library(copy: Path) -> None:
    actc.compile(copy / "small.onnx", "cpu", data=copy / "data.npz", output=copy / "cpu")
    found = actc.reproduce(copy / "cpu")
    assert found["equal"]
    assert {"apache-tvm-ffi", "g++"} <= set(read_manifest(copy / "cpu").versions)


def test_the_digest_is_of_names_types_shapes_and_values() -> None:
    base = {"x": np.arange(6, dtype=np.float32).reshape(3, 2)}
    variants = [
        Dataset(base),
        Dataset({"y": base["x"]}),
        Dataset({"x": base["x"].astype(np.float64)}),
        Dataset({"x": base["x"].reshape(2, 3)}),
        Dataset({"x": base["x"] + np.float32(1)}),
        Dataset(base, labels=np.zeros(3, np.int64)),
        Dataset(base, lengths={"x": np.zeros(3, np.int64)}),
    ]
    assert len({provenance.data_digest(dataset) for dataset in variants}) == len(variants)
    assert provenance.data_digest(Dataset({"x": np.asfortranarray(base["x"])})) == (
        provenance.data_digest(variants[0])
    )


def test_the_manifest_says_what_was_asked_for(compiled: Path) -> None:
    recorded = read_manifest(compiled / "out")
    assert recorded.options["activations"] == "auto"
    assert recorded.options["overrides"] == {"activations": {}, "weights": {"matmul": "5"}}
    assert recorded.options["passes"] is None
    assert str(compiled) not in recorded.path.read_text()
    with pytest.raises(UsageError, match="ACT0395"):
        read_manifest(compiled)
