"""sbom.json lists what an artefact holds and needs; docs/licences.md says the same."""

from __future__ import annotations

import hashlib
import json
import re
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

import licences
import pytest
from installed import needs_gxx, needs_tvm
from small_models import make_data, make_model

import actc
from actc.intact import read_intact
from actc.materials import SBOM, bill_of_materials
from actc.targets import TARGETS
from actc.targets import components as known
from actc.targets.base import Target
from actc.targets.components import Component

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "licences.md").read_text("utf-8")
NAMES = [*licences._TARGETS]


def target(name: str) -> Target:
    return TARGETS.get(name).parse("")


def bill(folder: Path, machine: Target) -> dict[str, dict[str, Any]]:
    document = bill_of_materials(folder, machine, "net.onnx", "0" * 64)
    return {entry["name"]: entry for entry in document["components"]}


@pytest.mark.parametrize("name", NAMES)
def test_each_target_says_what_it_writes(name: str) -> None:
    components = target(name).components
    assert components[0].name == "actc"
    assert len({(c.name, c.needed) for c in components}) == len(components)
    for component in components:
        assert re.fullmatch(r"[A-Za-z0-9.+-]+( (WITH|AND|OR) [A-Za-z0-9.+-]+)*", component.licence)
        assert component.files


def test_the_page_is_written_from_the_same() -> None:
    assert licences.products(PAGE) == PAGE, "run `python tools/licences.py docs/licences.md`"
    gone = PAGE.replace("hls4ml's headers `nnet_utils`", "some headers")
    assert gone != PAGE
    assert licences.products(gone) == PAGE


@pytest.mark.parametrize(
    ("path", "pattern", "found"),
    [
        ("project/firmware/nnet_utils/a.h", "nnet_utils/", True),
        ("project/src/firmware/nnet_utils/tables/a.h", "nnet_utils/", True),
        ("nnet_utils", "nnet_utils/", False),
        ("model.so", "model.so", True),
        ("build/model.so.log", "model.so", False),
        ("keywords.c", "*.c", True),
    ],
)
def test_patterns(path: str, pattern: str, found: bool) -> None:
    component = Component("a", "MIT", "a", (pattern,))
    assert component.holders([path]) == ([pattern] if found else [])
    assert PurePosixPath(path).name


def test_what_is_not_there_is_not_listed(tmp_path: Path) -> None:
    headers = tmp_path / "project" / "firmware"
    for folder in ("nnet_utils", "ap_types"):
        (headers / folder).mkdir(parents=True)
        (headers / folder / "a.h").touch()
    found = bill(tmp_path, target("hls4ml"))
    assert set(found) == {"net.onnx", "actc", "hls4ml", "ap_types"}
    (headers / "ap_types" / "ap_shift_reg.h").touch()
    found = bill(tmp_path, target("hls4ml"))
    expression = found["ap_shift_reg"]["licenses"][0]["expression"]
    assert expression == f"{known.APACHE} AND {known.AMD}"


@needs_tvm
@needs_gxx
def test_an_artefact_has_its_bill(tmp_path: Path) -> None:
    model = make_model(tmp_path / "net.onnx")
    data = make_data(tmp_path / "net.npz")
    artifact = actc.compile(model, "cpu", data=data, output=tmp_path / "out", max_drop=1.0)
    assert artifact.path is not None
    document = json.loads((artifact.path / SBOM).read_text("utf-8"))
    assert SBOM in read_intact(artifact.path)["files"]
    assert not {"serialNumber", "timestamp"} & {*document, *document["metadata"]}
    entries = {entry["name"]: entry for entry in document["components"]}
    assert entries["apache-tvm"]["version"] == metadata.version("apache-tvm")
    assert entries["LLVM"]["licenses"] == [{"expression": "Apache-2.0 WITH LLVM-exception"}]
    references = [entry["bom-ref"] for entry in document["components"]]
    assert document["dependencies"][0]["dependsOn"] == references
    assert len(set(references)) == len(references)
    digest = entries["net.onnx"]["hashes"][0]["content"]
    assert digest == hashlib.sha256(model.read_bytes()).hexdigest()
    # from what lies there now, without the compilation
    assert bill_of_materials(artifact.path, artifact.target, "net.onnx", digest) == document
