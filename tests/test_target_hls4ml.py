"""Target hls4ml as a whole: what is written, reported, checked again, and refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from command_line import CommandLine, run_process
from hls4ml_networks import needs_hls4ml
from installed import needs_gxx
from models import network, normal
from sealed import sealed

from actc.artifact import open_artifact
from actc.ir import spec
from actc.ir.context import context_of
from actc.targets.named import make_target

Array = np.ndarray[Any, Any]
pytestmark = [needs_gxx, needs_hls4ml]
SPEC = "hls4ml:io=stream,reuse=2"
SAMPLES = 40


def mlp() -> onnx.ModelProto:
    weights = {"a": normal(6, 8, seed=1) / 2, "b": normal(8, seed=2), "c": normal(8, 3, seed=3)}
    body = "s = Gemm (x, a, b)\nh = HardSwish (s)\ny = MatMul (h, c)"
    return network("float[N,6] x => float[N,3] y", body, weights)


def saved(folder: Path, model: onnx.ModelProto, *shape: int) -> tuple[Path, Path]:
    """Model and data as files."""
    onnx.save(model, folder / "net.onnx")
    np.savez(folder / "data.npz", x=normal(SAMPLES, *shape, seed=5))
    return folder / "net.onnx", folder / "data.npz"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled on the command line; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("hls4ml")
    model, data = saved(folder, mlp(), 6)
    done = run_process(folder, "compile", model, "--target", SPEC, "--data", data, "-o", "out")
    assert done.status == 0, done.stderr
    assert "C simulation" in done.stdout
    return folder / "out"


def test_report(built: Path) -> None:
    found = json.loads((built / "report.json").read_text())
    assert found["bit_exact"] is True
    assert found["samples"] == SAMPLES
    rungs = {rung["name"]: rung["result"] for rung in found["rungs"]}
    assert set(rungs) >= {"program", "C simulation"}
    assert set(rungs.values()) == {"equal"}


def test_files(built: Path) -> None:
    top = "actc_net"
    written = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert written >= {
        "golden.onnx", "network.onnx", "settings.json", "units.json", "README.md", "report.html",
        f"project/firmware/{top}.cpp", "project/firmware/defines.h", "project/build_prj.tcl",
        "project/firmware/nnet_utils/actc_each.h", "build/bench",
    }  # fmt: skip
    assert all(node.domain == "actc" for node in onnx.load(built / "network.onnx").graph.node)
    settings = json.loads((built / "settings.json").read_text())
    assert settings["backend"] == "Vitis"
    assert settings["io_type"] == "io_stream"
    layers = settings["hls_config"]["LayerName"]
    types = [kind for layer in layers.values() for kind in layer["Precision"].values()]
    assert all(re.fullmatch(r"ap_u?int<\d+>", kind) for kind in types)
    texts = [built / "settings.json", *(built / "project").rglob("*.*")]
    content = b"".join(path.read_bytes() for path in texts if path.is_file())
    assert str(built).encode() not in content


def test_equal_models_give_equal_files(built: Path) -> None:
    model = ir.load(built / "golden.onnx")
    context_of(model).file = "net.onnx"
    plan = make_target(SPEC).plan(model, "int8")
    assert not [name for name in plan.files if ".." in name or name.startswith("/")]
    assert "project/firmware/parameters.h" in plan.files
    for name, content in plan.files.items():
        if name != "golden.onnx":  # its documentation is not read back
            assert (built / name).read_bytes() == content, name


def test_the_artifact_runs(built: Path) -> None:
    feeds = {"x": normal(9, 6, seed=8)}
    wanted = spec.run(onnx.load(built / "golden.onnx"), feeds)["y"]
    np.testing.assert_array_equal(open_artifact(built).run(feeds)["y"], wanted)


def test_a_changed_weight_is_found(actc_cli: CommandLine, built: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    shutil.copytree(built, directory)
    data = built.parent / "data.npz"
    assert actc_cli("check", directory, "--data", data).status == 0
    (path, *_) = sorted((directory / "project" / "firmware" / "weights").glob("w*.txt"))
    first, rest = path.read_text().split(",", 1)
    path.write_text(f"{-int(first) or 1},{rest}")
    assert actc_cli("check", directory, "--data", data, "--json").codes == ["ACT0067"]
    done = actc_cli("check", sealed(directory), "--data", data)
    assert done.status == 1
    assert "differ" in done.stdout + done.stderr


# --- what is refused


def refused(
    actc_cli: CommandLine, folder: Path, model: onnx.ModelProto, spec: str, *shape: int
) -> list[dict[str, Any]]:
    """All problems of a model, which leave nothing behind."""
    path, data = saved(folder, model, *shape)
    before = sorted(folder.iterdir())
    options = ("--target", spec, "--data", data, "-o", folder / "out", "--json")
    done = actc_cli("compile", path, *options)
    assert done.status != 0
    assert sorted(folder.iterdir()) == before
    found: list[dict[str, Any]] = done.document["diagnostics"]
    return [problem for problem in found if problem["severity"] == "error"]


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("io=both,reuse=0", ("io=both", "reuse=0")),
        ("libero", ("libero",)),
        ("vitis,vivado", ("backend",)),
        ("part=a;b", ("part",)),
        ("speed=1", ("speed",)),
    ],
)
def test_wrong_options(
    actc_cli: CommandLine, tmp_path: Path, option: str, texts: tuple[str, ...]
) -> None:
    problems = refused(actc_cli, tmp_path, mlp(), f"hls4ml:{option}", 6)
    assert {problem["code"] for problem in problems} == {"ACT0431"}
    for text in texts:
        assert any(text in problem["message"] for problem in problems)


def test_all_that_cannot_be_built_is_named(actc_cli: CommandLine, tmp_path: Path) -> None:
    body = """
        a = Conv <pads=[1,1,1,1]> (x, k)
        r = Relu (a)
        rows = Concat <axis=2> (r, r)
        left, right = Split <axis=3, num_outputs=2> (rows)
        s = Add (left, right)
        f = Flatten (s)
        y = MatMul (f, w)"""
    weights = {"k": normal(2, 1, 3, 3, seed=1), "w": normal(2 * 8 * 2, 3, seed=2)}
    model = network("float[N,1,4,4] x => float[N,3] y", body, weights)
    problems = refused(actc_cli, tmp_path, model, "hls4ml", 1, 4, 4)
    assert {problem["code"] for problem in problems} == {"ACT0605"}
    assert {problem["op"] for problem in problems} == {"Concat", "Split"}
    assert len(problems) == 2
    assert all(problem["help"] for problem in problems)


def test_large_tensors_want_streams(actc_cli: CommandLine, tmp_path: Path) -> None:
    body = "a = Conv <pads=[1,1,1,1]> (x, k)\ny = Relu (a)"
    model = network(
        "float[N,1,40,40] x => float[N,3,40,40] y", body, {"k": normal(3, 1, 3, 3, seed=1)}
    )
    (problem,) = refused(actc_cli, tmp_path, model, "hls4ml", 1, 40, 40)
    assert problem["code"] == "ACT0440"
    assert "4800" in problem["message"]
    assert "io=stream" in problem["help"]
