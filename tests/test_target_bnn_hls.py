"""Target bnn-hls, from a model to C++ that is compared with golden."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from command_line import CommandLine
from doc_snippets import shown
from installed import needs_gxx
from models import network, normal
from sealed import sealed

import actc
from actc.artifact import open_artifact
from actc.targets.bnn_hls.simulation import pack, unpack
from actc.targets.bnn_hls.target import BnnHlsTarget
from actc.targets.named import make_target

pytestmark = needs_gxx
Array = np.ndarray[Any, Any]
SIDE = 6


def data(count: int = 40) -> dict[str, Array]:
    return {"x": normal(count, 2, SIDE, SIDE, seed=5)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled network with a branch; tests that change it take a copy."""
    directory = tmp_path_factory.mktemp("bnn") / "out"
    signs = {
        "a": np.sign(normal(4, 2, 3, 3, seed=1)),
        "b": np.sign(normal(4, 4, 1, 1, seed=2)),
        "c": np.sign(normal(4 * SIDE * SIDE, 3, seed=3)),
    }
    body = """
        first = Conv <pads=[1,1,1,1]> (x, a)
        one = Sign(first)
        beside = Conv(one, b)
        sum = Add(one, beside)
        two = Relu(sum)
        flat = Flatten(two)
        y = MatMul(flat, c)
    """
    model = network(f"float[N,2,{SIDE},{SIDE}] x => float[N,3] y", body, signs)
    actc.compile(model, "bnn-hls:throughput=50000", data=data(), output=directory)
    return directory


def report(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return found


def test_everything_equals_golden(built: Path) -> None:
    found = report(built)
    assert found["bit_exact"] is True
    assert found["samples"] == 40
    rungs = {rung["name"]: rung["result"] for rung in found["rungs"]}
    names = ("program", "C++", "testbench", "queues")
    assert {name: rungs[name] for name in names} == dict.fromkeys(names, "equal")
    hardware = found["hardware"]
    assert hardware["samples_per_second"] >= 50000
    rows = hardware["foldings"]
    assert all(row["clocks"] <= hardware["interval_clocks"] for row in rows)
    assert sum(row.get("weight_bits", 0) > 0 for row in rows) == 3
    assert all(row["used"] is None for row in hardware["resources"])


def test_a_changed_weight_is_found(built: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    shutil.copytree(built, directory)
    path = next((directory / "hls").glob("*_parameters.h"))
    text = path.read_text()
    found = re.search(r"_weights\[\d+\]\[\d+\] =\s*\{\{0x([0-9a-f]+)", text)
    assert found is not None
    start, end = found.span(1)
    path.write_text(f"{text[:start]}{int(found[1], 16) ^ 1:x}{text[end:]}")
    feeds = data(100)
    right = open_artifact(built).run(feeds)
    assert not np.array_equal(open_artifact(sealed(directory)).run(feeds)["y"], right["y"])
    target = make_target("bnn-hls:throughput=50000")
    rungs = {rung.name: rung.result for rung in target.verify(directory, feeds, right)}
    assert rungs["program"] == "equal"
    assert rungs["C++"] == rungs["testbench"] == "differs"


def driver(built: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver", built / "host" / "driver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_driver_sends_and_reads_words(built: Path) -> None:
    """What the host on the board does beside its DMA."""
    target = make_target("bnn-hls:throughput=50000")
    assert isinstance(target, BnnHlsTarget)
    assembly, host = target.assembly_of(built), driver(built)
    samples = data()["x"]
    words = assembly.network.prologue({"x": samples})[0]
    text = pack(assembly.design.network.entry, words)
    sent = host.encode(samples)
    assert sent.astype(">u8").tobytes() == bytes.fromhex(text.decode())
    given = assembly.network.program.evaluate([words])[0]
    port = assembly.design.network.output
    back = np.frombuffer(bytes.fromhex(pack(port, given).decode()), ">u8").astype("<u8")
    outputs = host.decode(back.reshape(len(samples), -1))
    np.testing.assert_array_equal(outputs, assembly.network.epilogue([given])["y"])
    np.testing.assert_array_equal(unpack(port, pack(port, given), len(given)), given)


def test_equal_plans(built: Path) -> None:
    model = ir.load(built / "golden.onnx")
    plans = [make_target("bnn-hls:vivado").plan(model, "int8") for _ in range(2)]
    assert plans[0].digest() == plans[1].digest()
    assert plans[0].files == plans[1].files
    assert not [name for name in plans[0].files if ".." in name]
    texts = b"".join(content for name, content in plans[0].files.items() if name != "golden.onnx")
    assert b"@NAME" not in texts
    assert b"BIND_STORAGE" not in texts  # which Vivado HLS does not know


def test_the_command_line_knows_it(actc_cli: CommandLine) -> None:
    text = actc_cli("targets", "bnn-hls").stdout
    assert "XNOR" in text
    assert "throughput" in text


@pytest.mark.slow
def test_the_commands_of_the_page(actc_cli: CommandLine, root: Path) -> None:
    """docs/bnn-hls.md: 1,000 images of MNIST's test set."""
    (actc_cli.directory / "examples").symlink_to(root / "examples")
    for words in shown("docs/bnn-hls.md", "tests/test_target_bnn_hls.py"):
        done = actc_cli(*words[1:])
        assert done.status == 0, done.stderr
    report = json.loads((actc_cli.directory / "out/mnist-hls/report.json").read_text("utf-8"))
    assert report["bit_exact"] is True
    assert report["samples"] == 1000
