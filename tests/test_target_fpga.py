"""FPGA targets: from a model to a bitstream, and what catches a wrong constant on the way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from command_line import CommandLine
from models import network, normal
from sealed import sealed

import actc
from actc.artifact import open_artifact
from actc.errors import ModelError, UsageError
from actc.targets import TARGETS
from actc.targets.base import Rung
from actc.targets.fpga.boards import board_names, device_names, find_board
from actc.targets.fpga.ladder import vectors_of
from actc.targets.fpga.names import TARGETS as CLASSES
from actc.targets.fpga.network import build_network
from actc.targets.fpga.on_board import stream_notes
from actc.targets.named import make_target

Array = np.ndarray[Any, Any]

TARGET = "ice40-hx8k"
PROVED = "synthesized netlist, proved"


def classifier(
    inputs: int = 6, hidden: int = 4, classes: int = 3, batch: str = "N"
) -> onnx.ModelProto:
    """Two layers with SiLU between them."""
    weights = {
        "a": normal(inputs, hidden, seed=1),
        "b": normal(hidden, seed=2),
        "c": normal(hidden, classes, seed=3),
        "d": normal(classes, seed=4),
    }
    body = """
        first = MatMul(x, a)
        biased = Add(first, b)
        gate = Sigmoid(biased)
        silu = Mul(biased, gate)
        second = MatMul(silu, c)
        y = Add(second, d)
    """
    return network(f"float[{batch},{inputs}] x => float[{batch},{classes}] y", body, weights)


def data(inputs: int = 6) -> dict[str, Array]:
    """Calibration samples."""
    return {"x": normal(64, inputs, seed=5)}


def compile_classifier(directory: Path, target: str = TARGET, **options: Any) -> actc.Artifact:
    model = classifier()
    bits = {"weights": "3", "activations": "4"}
    return actc.compile(model, target, data=data(), output=directory, **bits, **options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled classifier; tests that change it take a copy."""
    directory = tmp_path_factory.mktemp("fpga") / "out"
    compile_classifier(directory)
    return directory


def rungs_of(directory: Path) -> dict[str, Rung]:
    """The ladder over a directory."""
    feeds = data()
    golden = open_artifact(directory).run(feeds)
    found = make_target(TARGET).verify(directory, feeds, golden)
    return {rung.name: rung for rung in found}


# --- without tools


def test_every_device_and_board_is_a_target() -> None:
    assert set(CLASSES) == {*device_names(), *board_names()}
    assert set(CLASSES) <= set(TARGETS.references())
    for name in CLASSES:
        assert make_target(name).spec == name
        assert make_target(name).capabilities().products


def test_options_are_part_of_the_name() -> None:
    target = make_target("ecp5-25k:seeds=4,clock=120.0")
    assert target.spec == "ecp5-25k:clock=120,seeds=4"


def test_plans_are_equal_and_complete(tmp_path: Path) -> None:
    plans = [compile_classifier(tmp_path / str(k), dry_run=True).plan for k in range(2)]
    assert plans[0] is not None
    assert plans[1] is not None
    assert plans[0].digest() == plans[1].digest()
    assert not list(tmp_path.iterdir())
    files = set(plans[0].files)
    assert {"golden.onnx", "interface.json"} <= files
    assert any(name.startswith("rtl/") and name.endswith("_uart.v") for name in files)
    assert [command[0] for command in plans[0].commands] == ["yosys", "nextpnr-ice40", "pack"]
    other = compile_classifier(tmp_path / "c", f"{TARGET}:clock=40", dry_run=True).plan
    assert other is not None
    assert other.digest() != plans[0].digest()


def test_few_inputs_are_all_tried(tmp_path: Path) -> None:
    bits = {"weights": "3", "activations": "4"}
    feeds = data(2)
    plan = actc.compile(
        classifier(2), TARGET, data=feeds, output=tmp_path / "out", dry_run=True, **bits
    ).plan
    assert plan is not None
    golden = ir.from_proto(onnx.load_from_string(plan.files["golden.onnx"]))
    network = build_network(golden, "small")
    vectors = vectors_of(network, golden, feeds, network.run(feeds))
    (codes,) = vectors.codes.values()
    assert (vectors.count, vectors.kind) == (64 + 256, "every input (256)")
    assert len(np.unique(codes[64:], axis=0)) == 256
    outputs = network.epilogue(vectors.expected)
    assert all(np.array_equal(outputs[name], vectors.golden[name]) for name in outputs)


def test_the_build_answers_to_its_own_name_only(tmp_path: Path) -> None:
    builds = set()
    for target in (TARGET, f"{TARGET}:clock=40", "ice40-hx8k-evn"):
        plan = compile_classifier(tmp_path / "out", target, dry_run=True).plan
        assert plan is not None
        builds.add(json.loads(plan.files["interface.json"])["build"])
    assert len(builds) == 3


def test_what_cannot_be_unrolled_is_refused_with_its_layers(
    actc_cli: CommandLine, tmp_path: Path
) -> None:
    model = tmp_path / "wide.onnx"
    weights = {"w": normal(2048, 1024, seed=1)}
    onnx.save(network("float[N,2048] x => float[N,1024] y", "y = MatMul(x, w)", weights), model)
    np.savez(tmp_path / "data.npz", x=normal(40, 2048, seed=2))
    arguments = ("compile", model, "--target", TARGET, "--data", tmp_path / "data.npz", "--json")
    done = actc_cli(*arguments, "--architecture", "unrolled")
    assert done.status == 3, done.stderr
    problem = done.document["diagnostics"][0]
    assert problem["code"] == "ACT0552"
    assert problem["help"]
    # as it stands it would be folded, if two million weights were not too many for that, too
    done = actc_cli(*arguments)
    assert [problem["code"] for problem in done.document["diagnostics"]] == ["ACT0606"]
    assert not any(path.name.startswith("wide-") for path in actc_cli.directory.iterdir())


def test_what_is_far_too_large_for_the_device_is_refused_at_once(tmp_path: Path) -> None:
    target = "ice40-up5k:architecture=unrolled"
    with pytest.raises(ModelError) as caught:
        actc.compile(classifier(64, 64, 10), target, data=data(64), output=tmp_path / "out")
    problem = caught.value.diagnostics[0]
    assert problem.code == "ACT0552"
    assert any("biased" in note for note in problem.notes)
    assert not list(tmp_path.iterdir())


def test_an_unknown_option_is_explained(actc_cli: CommandLine, tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "m.onnx")
    done = actc_cli("compile", tmp_path / "m.onnx", "--target", "ecp5-25k:speed=9", "--json")
    assert done.status == 2
    assert done.document["diagnostics"][0]["code"] == "ACT0535"


@pytest.mark.parametrize("name", ["tangnano9k", "gowin-gw2a18"])
def test_a_bare_stream_where_each_pin_must_be_given_is_refused_at_once(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        compile_classifier(tmp_path / "out", f"{name}:interface=stream")
    (problem,) = caught.value.diagnostics
    assert problem.code == "ACT0588"
    assert "nextpnr chooses no pins on Gowin" in problem.notes[0]
    assert "--interface uart or spi" in problem.help
    assert not list(tmp_path.iterdir())


def test_a_bare_stream_on_a_board_says_that_its_pins_are_anywhere(tmp_path: Path) -> None:
    found = {}
    for name in ("icebreaker", "ice40-up5k"):
        target = CLASSES[name].parse("interface=stream")
        plan = compile_classifier(tmp_path / "out", target.spec, dry_run=True).plan
        assert plan is not None
        assembly = target.assemble(plan.files["golden.onnx"], "model")
        found[name] = stream_notes(find_board(name), assembly)
    (note,) = found.pop("icebreaker")
    assert "24 MHz must come in at the pin clk" in note
    assert found == {"ice40-up5k": ()}


# --- with yosys and nextpnr


@pytest.mark.slow
def test_a_network_becomes_a_bitstream_and_all_rungs_are_equal(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())
    assert report["bit_exact"] is True
    results = {rung["name"]: rung["result"] for rung in report["rungs"]}
    assert list(results) == [
        "hardware description",
        "Verilog",
        "board, over its wire",
        "activation units, proved",
        "synthesized netlist",
        "routed netlist",
        "bitstream",
        PROVED,
    ]
    assert set(results.values()) == {"equal"}
    hardware = report["hardware"]
    assert hardware["clock"]["reached"] >= hardware["clock"]["asked"]
    assert sum(layer["cells"] for layer in hardware["layers"]) > 100
    (bitstream,) = built.glob("*.bin")
    assert bitstream.stat().st_size == hardware["bitstream"]["bytes"]
    page = (built / "report.html").read_text()
    assert "Compared with golden" in page


@pytest.mark.slow
def test_a_model_with_a_fixed_batch_goes_as_fast(tmp_path: Path) -> None:
    model = classifier(batch="1")
    bits = {"weights": "3", "activations": "4"}
    found = actc.compile(model, TARGET, data=data(), output=tmp_path / "out", **bits)
    assert found.report["bit_exact"] is True
    assert {rung["result"] for rung in found.report["rungs"]} == {"equal"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    compile_classifier(tmp_path / "again")
    names = {path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    again = {
        path.relative_to(tmp_path / "again")
        for path in (tmp_path / "again").rglob("*")
        if path.is_file()
    }
    assert names == again
    for name in sorted(names):
        if name.parts[:2] != ("build", "logs") and name.name != "timings.js":
            assert (built / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def plant_in_netlist(name: str, parameter: str) -> Callable[[Path], None]:
    """Invert a look-up table in the network's part of a netlist."""

    def plant(directory: Path) -> None:
        path = directory / "build" / name
        document = json.loads(path.read_text())
        (module,) = document["modules"].values()
        cell = next(
            cell
            for title, cell in sorted(module["cells"].items())
            if title.startswith("core.")
            and cell["connections"].get("O")
            and set(cell["parameters"].get(parameter, "")) == {"0", "1"}
        )
        swapped = str.maketrans("01", "10")
        cell["parameters"][parameter] = cell["parameters"][parameter].translate(swapped)
        path.write_text(json.dumps(document))

    return plant


def plant_in_verilog(directory: Path) -> None:
    """Turn the first sum of a layer into a difference."""
    path = directory / "rtl" / "model_biased.v"
    lines = path.read_text().splitlines()
    place = next(k for k, line in enumerate(lines) if "wire" in line and " + " in line)
    lines[place] = lines[place].replace(" + ", " - ", 1)
    path.write_text("\n".join(lines) + "\n")


def plant_in_table(directory: Path) -> None:
    """Invert a bit of all entries of an activation's table, as some may be for no input."""
    path = directory / "rtl" / "model_biased.v"
    text, count = re.subn(
        r"(\bentry_table = 4'd)(\d+);",
        lambda found: f"{found[1]}{int(found[2]) ^ 1};",
        path.read_text(),
    )
    assert count
    path.write_text(text)


def plant_in_bitstream(directory: Path) -> None:
    """Change one bit of the configuration of the first used look-up table, and pack again."""
    from actc.targets.fpga.flow.execute import execute
    from actc.targets.fpga.flow.pack import PACKING_LIMITS
    from actc.targets.fpga.flow.programs import find_program

    routed = json.loads((directory / "build" / "routed.json").read_text())
    (module,) = routed["modules"].values()
    cell = next(
        cell
        for title, cell in sorted(module["cells"].items())
        if title.startswith("core.")
        and cell["type"] == "ICESTORM_LC"
        and cell["parameters"]["LUT_INIT"].count("1") in (1, 2, 14, 15)
    )
    place, _, number = cell["attributes"]["NEXTPNR_BEL"].rpartition("/lc")
    column, row = (int(part[1:]) for part in place.split("/"))
    configuration = directory / "build" / "routed.asc"
    lines = configuration.read_text().splitlines()
    first = lines.index(f".logic_tile {column} {row}") + 1 + 2 * int(number)
    bits = list(lines[first])
    for index in (36, 37, 38, 39, 40, 41, 42, 43):  # half of the table's bits lie here
        bits[index] = "0" if bits[index] == "1" else "1"
    lines[first] = "".join(bits)
    configuration.write_text("\n".join(lines) + "\n")
    packer = find_program("icepack")
    (bitstream,) = directory.glob("*.bin")
    execute(
        packer,
        ["routed.asc", "wrong.bin"],
        directory / "build",
        limits=PACKING_LIMITS,
        log=directory / "build" / "logs" / "wrong.log",
    )
    (directory / "build" / "wrong.bin").replace(bitstream)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rungs", "plant"),
    [
        (["Verilog", PROVED], plant_in_verilog),
        (["activation units, proved"], plant_in_table),
        (["synthesized netlist", PROVED], plant_in_netlist("netlist.json", "LUT_INIT")),
        (["routed netlist"], plant_in_netlist("routed.json", "LUT_INIT")),
        (["bitstream"], plant_in_bitstream),
    ],
)
def test_a_wrong_constant_is_caught_at_its_rung(
    built: Path, tmp_path: Path, rungs: list[str], plant: Callable[[Path], None]
) -> None:
    shutil.copytree(built, tmp_path / "out")
    golden = open_artifact(built).run(data())
    plant(tmp_path / "out")
    found = make_target(TARGET).verify(tmp_path / "out", data(), golden)
    assert {rung.name for rung in found if rung.result == "differs"} >= set(rungs)


@pytest.mark.slow
def test_a_directory_of_another_version_is_told_apart(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "out")
    path = tmp_path / "out" / "interface.json"
    document = json.loads(path.read_text())
    document["build"] = "0123456789abcdef"
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError) as caught:
        open_artifact(sealed(tmp_path / "out")).run(data())
    assert caught.value.diagnostics[0].code == "ACT0536"
