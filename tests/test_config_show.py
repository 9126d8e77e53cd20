"""actc config show: where every option of a compilation comes from."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from command_line import CommandLine

import actc
from actc.config import HARDWARE, read_config
from actc.targets.named import target_class

TEXT = """\
[compile]
target = "ecp5-25k"
weights = 6
passes = '''
recognize,
calibrate'''

[target]
clock = 48.5

[activations]
"a/b" = 12
[sites."c d"]
form = "pwl"
[weights]
e = "ternary"
"""


@pytest.fixture
def folder(actc_cli: CommandLine) -> Path:
    (actc_cli.directory / "actc.toml").write_text(TEXT)
    return actc_cli.directory


def test_sources(folder: Path, actc_cli: CommandLine) -> None:
    document = actc_cli("config", "show", "--approx", "pwl", "--seeds", "3", "--json").document
    assert document["file"] == "actc.toml"
    options = document["options"]
    assert options["weights"] == {"value": "6", "source": "actc.toml", "line": 3}
    assert options["passes"]["line"] == 6
    assert options["approx"] == {"value": "pwl", "source": "command line", "line": None}
    assert options["groups"] == {"value": 0, "source": "default", "line": None}
    assert document["target"]["clock"] == {"value": 48.5, "source": "actc.toml", "line": 9}
    assert document["target"]["seeds"]["source"] == "command line"
    assert document["activations"]["a/b"] == {"value": 12, "source": "actc.toml", "line": 12}
    assert document["sites"]["c d"]["line"] == 14
    assert document["weights"]["e"]["line"] == 16


def test_every_option_of_compile_is_shown(actc_cli: CommandLine) -> None:
    done = actc_cli("config", "show", "--json")
    assert done.status == 0
    parameters = set(inspect.signature(actc.compile).parameters)
    hidden = {"model", "progress", "dump_ir", "dry_run", "overrides"}
    assert set(done.document["options"]) == parameters - hidden
    assert set(done.document["target"]) == set(HARDWARE)
    assert {option["source"] for option in done.document["options"].values()} == {"default"}


def test_hardware_options_are_those_of_targets() -> None:
    known = {*target_class("ecp5-25k").options, *target_class("verilog").options}
    assert set(HARDWARE) <= known


def test_text(folder: Path, actc_cli: CommandLine) -> None:
    lines = actc_cli("config", "show").stdout.splitlines()
    rows = [line.split() for line in lines]
    assert ["weights", "6", "actc.toml:3"] in rows
    assert ["clock", "48.5", "actc.toml:9"] in rows
    assert ["[activations]", "a/b", "12", "actc.toml:12"] in rows


def test_a_file_beside_the_model_and_another(folder: Path, actc_cli: CommandLine) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "actc.toml").write_text("[compile]\nweights = 4\n")
    (folder / "other.toml").write_text("[compile]\nweights = 3\n")
    beside = actc_cli("config", "show", "deep/m.onnx", "--json").document["options"]["weights"]
    assert beside == {"value": "4", "source": "deep/actc.toml", "line": 2}
    named = actc_cli("config", "show", "deep/m.onnx", "--config", "other.toml", "--json").document
    assert named["options"]["weights"]["source"] == "other.toml"


def test_options_of_another_target_are_left_out(folder: Path, actc_cli: CommandLine) -> None:
    document = actc_cli("config", "show", "-t", "onnx", "--json").document
    assert document["target"]["clock"]["value"] is None
    document = actc_cli("config", "show", "-t", "ecp5-25k:effort=1", "--json").document
    assert document["target"]["clock"]["value"] == 48.5


def test_what_is_wrong_is_shown_too(folder: Path, actc_cli: CommandLine) -> None:
    done = actc_cli("config", "show", "--approx", "plw", "--rounding", "up", "--json")
    assert (done.status, done.codes) == (2, ["ACT0224", "ACT0224"])
    assert done.document["options"]["approx"]["value"] == "plw"
    (folder / "actc.toml").write_text("[compile]\ntarget = 'onnx'\n[target]\nclock = 1\n")
    done = actc_cli("config", "show", "--json")
    assert (done.status, done.codes) == (2, ["ACT0224"])
    (folder / "actc.toml").write_text("[compile]\nsegments = 4\n")
    done = actc_cli("config", "show", "--json")
    assert (done.status, done.codes) == (2, ["ACT0234"])


def test_lines_of_odd_files(tmp_path: Path) -> None:
    path = tmp_path / "actc.toml"
    path.write_bytes(
        b"\r\ncompile.weights = 5 # here\r\n\r\n'sites'.a.form = 'pwl'\r\nsites.a.bits = 9\r\n"
    )
    found = read_config(path)
    assert found.lines == {("compile", "weights"): 2, ("sites", "a"): 5}
