"""Boards of target hls4ml: the AXI wrapper in C++, the host's driver, scripts, and `actc build`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from binary_networks import golden_of, random_network
from command_line import CommandLine
from hls4ml_networks import needs_hls4ml
from installed import needs_gxx, needs_tclsh
from models import network, normal
from test_bnn_hls_tcl import logged
from vendor_tools import Fake, csynth, fake_tools, hls, report_of, running, timing, vivado

import actc
from actc.errors import UsageError
from actc.targets.base import quiet
from actc.targets.fpga.folded.samples import samples_of
from actc.targets.hls4ml import files
from actc.targets.hls4ml.assembly import Assembly, assemble
from actc.targets.hls4ml.board import (
    PROGRAM,
    SCRIPT,
    axi_design,
    axi_rung,
    board_files,
    borders,
    compile_axi,
)
from actc.targets.hls4ml.extension import LIBRARY
from actc.targets.hls4ml.options import parse
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.worker import PROJECT
from actc.targets.vendor import files as vendor
from actc.targets.vendor.boards import BOARDS
from actc.targets.vendor.scripts import board_tcl, ip_tcl
from actc.targets.vendor.words import pack, slots_of, together


def golden(kind: str, seed: int = 0) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    model, feeds = random_network(np.random.default_rng(seed), kind)
    return golden_of(model, feeds), feeds


def written(assembly: Assembly, folder: Path) -> Path:
    """The project with its wrapper, compiled; the testbench."""
    options = assembly.options
    assert options.on_board is not None
    files = project_files(assembly.network, options) | board_files(assembly, options.on_board)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    program = folder / "build" / PROGRAM
    program.parent.mkdir(parents=True)
    compile_axi(assembly.network, options, folder / PROJECT, program)
    return program


def driver_of(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver", folder / "host/driver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("kind", "seed", "text"),
    [
        ("conv", 4, "io=stream,board=pynq-z2"),
        ("depthwise", 4, "board=kv260"),
        ("dense", 0, "vivado,io=stream,board=pynq-z1"),
    ],
)
def test_the_wrapper(kind: str, seed: int, text: str, tmp_path: Path) -> None:
    """Words equal golden, and so do the tensors that the driver makes of them."""
    model, feeds = golden(kind, seed)
    assembly = assemble(ir.from_proto(model), "net", parse(text))
    program = written(assembly, tmp_path)
    outputs = assembly.folded.run(feeds)
    read = ir.from_proto(model)
    samples = samples_of(assembly.folded, read, feeds, outputs, most=10_000, random=64)
    rung = axi_rung(assembly, tmp_path / PROJECT, program, samples, quiet)
    assert rung.result == "equal", rung.detail
    assert rung.samples == samples.count

    driver, (taken, given) = driver_of(tmp_path), borders(assembly.network)
    ((_, array),) = feeds.items()
    words = driver.encode(array)
    np.testing.assert_array_equal(_lines(words), pack(taken, assembly.folded.prologue(feeds)[0]))
    answer = pack(given, assembly.folded.program.evaluate([samples.words[: len(array)]])[0])
    found = driver.decode(_words(answer, given.words))
    (right,) = outputs.values()
    np.testing.assert_array_equal(found.reshape(right.shape), right)


@needs_gxx
@needs_hls4ml
def test_a_defect_of_the_wrapper_is_found(tmp_path: Path) -> None:
    """Also where only the testbench's own words are wrong."""
    model, feeds = golden("dense", 0)
    assembly = assemble(ir.from_proto(model), "net", parse("board=pynq-z2"))
    program = written(assembly, tmp_path)
    outputs = assembly.folded.run(feeds)
    samples = samples_of(assembly.folded, ir.from_proto(model), feeds, outputs, most=9, random=64)
    project = tmp_path / PROJECT
    expected = project / "data/expected.txt"
    right = expected.read_text("ascii")
    expected.write_text(right[:-2] + ("1" if right[-2] == "0" else "0") + "\n", "ascii")
    rung = axi_rung(assembly, project, program, samples, quiet)
    assert (rung.result, rung.detail) == ("differs", "sample 15 differs")
    expected.write_text(right, "ascii")
    source = next(project.glob("*_axi.cpp"))
    text = source.read_text("utf-8")
    source.write_text(text.replace("(given, found);", "(given, found); found[1] += 1;"), "utf-8")
    compile_axi(assembly.network, assembly.options, project, program)
    assert axi_rung(assembly, project, program, samples, quiet).result == "differs"


def _lines(words: np.ndarray) -> bytes:
    return (words.astype(">u8").tobytes().hex("\n", 8) + "\n").encode()


def _words(text: bytes, count: int) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text.decode()), ">u8").astype("<u8").reshape(-1, count)


_LOOP = """\
// Words through positions of @CHANNELS@ and back.
{
    typedef nnet::array<@TYPE@, @CHANNELS@> array_t;
    hls::stream<actc::axis_word> in, out;
    hls::stream<array_t> positions;
    @TYPE@ whole[@SIZE@];
    for (int sample = 0; sample < 3; sample++) {
        const auto sent = filled(in, @SIZE@, @SLOT@, @TYPE@::width, @SIGNED@);
        actc::receive_stream<array_t, @SIZE@, @SLOT@, @PART@>(in, positions);
        if (positions.size() != @SIZE@ / @CHANNELS@) return 1;
        actc::send_stream<array_t, @SIZE@, @SLOT@, @PART@>(positions, out);
        if (!same(out, sent)) return 2;
        for (std::size_t i = 0; i < sent.size(); i++) { actc::send(in, sent[i], false); }
        actc::receive_array<@TYPE@, @SIZE@, @SLOT@, @WHOLE@>(in, whole);
        actc::send_array<@TYPE@, @SIZE@, @SLOT@, @WHOLE@>(whole, out);
        if (!same(out, sent) || !in.empty()) return 3;
    }
}
"""
_MAIN = """\
#include <cstdlib>
#include <vector>
#include "ap_fixed.h"
#include "nnet_utils/nnet_types.h"
#include "nnet_utils/nnet_common.h"
#include "actc_axi.h"
// Random elements, signs in the upper bits of their slots.
std::vector<unsigned long long> filled(hls::stream<actc::axis_word> &in, int size, int slot, int bits, bool sign) {
    std::vector<unsigned long long> words((size * slot + 63) / 64, 0);
    for (int i = 0; i < size; i++) {
        long long x = (long long)(((unsigned long long)std::rand() << 40 ^ (unsigned long long)std::rand() << 20 ^ std::rand()) << (64 - bits));
        unsigned long long e = sign ? (unsigned long long)(x >> (64 - bits)) : (unsigned long long)x >> (64 - bits);
        if (slot < 64) e &= (1ULL << slot) - 1;
        words[i * slot / 64] |= e << (i * slot % 64);
    }
    for (std::size_t i = 0; i < words.size(); i++) actc::send(in, words[i], i + 1 == words.size());
    return words;
}
bool same(hls::stream<actc::axis_word> &out, const std::vector<unsigned long long> &sent) {
    for (std::size_t i = 0; i < sent.size(); i++) {
        if (out.empty()) return false;
        const actc::axis_word word = out.read();
        if (word.data.to_uint64() != sent[i] || word.last.to_int() != (i + 1 == sent.size())) return false;
    }
    return out.empty();
}
int main() {
@LOOPS@
}
"""  # noqa: E501


@needs_gxx
@needs_hls4ml
def test_words_of_all_shapes(tmp_path: Path) -> None:
    """Elements of 2 to 64 bits, with and without sign, positions that divide words and do not."""
    import hls4ml

    cases = [(1, 1, 8), (9, 3, 8), (32, 16, 5), (24, 24, 12), (10, 5, 33), (7, 7, 64), (40, 8, 2)]
    loops = [loop(*case, signed) for case in cases for signed in (True, False)]
    (tmp_path / "main.cpp").write_text(_MAIN.replace("@LOOPS@", "".join(loops)), "ascii")
    (tmp_path / "actc_axi.h").write_text(files.library("axi/actc_axi.h"), "utf-8")
    (tmp_path / vendor.AXI_HEADER).write_text(vendor.axi_header(), "utf-8")
    (tmp_path / vendor.WORD_HEADER).write_text(vendor.word_header(), "utf-8")
    templates = Path(hls4ml.__file__).parent / "templates/vivado"
    folders = [f"-I{tmp_path}", f"-I{templates}", f"-I{templates}/ap_types"]
    command = ["g++", "-O0", "-std=c++11", "-D_GLIBCXX_ASSERTIONS", *folders]
    subprocess.run([*command, "main.cpp", "-o", "main"], cwd=tmp_path, check=True, timeout=300)
    assert subprocess.run([tmp_path / "main"], timeout=60).returncode == 0


def loop(size: int, channels: int, bits: int, signed: bool) -> str:
    values = {
        "SIZE": size,
        "CHANNELS": channels,
        "TYPE": f"ap_{'' if signed else 'u'}int<{bits}>",
        "SLOT": 64 // slots_of(bits),
        "PART": together(channels, bits),
        "WHOLE": together(size, bits),
        "SIGNED": str(signed).lower(),
    }
    text = _LOOP
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


@needs_gxx
@needs_hls4ml
def test_the_library_is_of_the_standard_that_scripts_ask_for(tmp_path: Path) -> None:
    """AMD's tools compile with -std=c++0x, which is C++11."""
    import hls4ml

    templates = Path(hls4ml.__file__).parent / "templates/vivado"
    given = ["ap_fixed.h", "ap_int.h", "hls_stream.h", "nnet_utils/nnet_types.h"]
    own = sorted(path.name for path in (LIBRARY / "xilinx").glob("*.h"))
    own += sorted(path.name for path in LIBRARY.glob("*.h"))
    lines = [f'#include "{name}"' for name in [*given, *own, "axi/actc_axi.h"]]
    (tmp_path / "all.cpp").write_text("\n".join(lines) + "\n", "ascii")
    (tmp_path / vendor.AXI_HEADER).write_text(vendor.axi_header(), "utf-8")
    (tmp_path / vendor.WORD_HEADER).write_text(vendor.word_header(), "utf-8")
    folders = [templates, templates / "ap_types", templates / "nnet_utils"]
    folders += [LIBRARY, LIBRARY / "xilinx", tmp_path]
    flags = ["-std=c++11", "-Wpedantic", "-Wno-unknown-pragmas", "-fsyntax-only"]
    command = ["g++", *flags, *(f"-I{folder}" for folder in folders), "all.cpp"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wrong = [line for line in done.stderr.splitlines() if "actc_" in line and "warning:" in line]
    assert wrong == []


# --- scripts


@needs_tclsh
@pytest.mark.parametrize("name", sorted(BOARDS))
@pytest.mark.parametrize("backend", ["vitis", "vivado"])
def test_scripts(name: str, backend: str, tmp_path: Path) -> None:
    board, options = BOARDS[name], parse(f"{backend},board={name}")
    model, _ = golden("dense", 0)
    assembly = assemble(ir.from_proto(model), "net", options)
    design = axi_design(assembly.network, options)
    texts = ip_tcl(design), board_tcl(design, board)
    assert not [text for text in texts if "@" in text]
    found = logged(texts[0], tmp_path)
    assert f"set_part {board.part}" in found
    assert f"create_clock -period {1000 / board.clock_mhz:g} " in found
    assert ("-flow_target vivado" in found) == (backend == "vitis")
    order = [
        "add_files firmware/",
        "add_files -tb firmware/weights",
        "csim_design",
        "csynth_design",
    ]
    places = [found.index(command) for command in order]
    assert places == sorted(places)
    assert f"-library hls4ml -ipname {design.name} " in found
    found = logged(texts[1], tmp_path)
    assert f"actc:hls4ml:{design.name}:1.0" in found
    assert f"-part {board.part}" in found
    assert f"{design.name}.hwh" in found


def test_what_does_not_go_together() -> None:
    wrong = {"board=pynq-z2,part=xc7z020clg400-1": "both", "quartus,board=kv260": "quartus"}
    for text, why in wrong.items():
        with pytest.raises(UsageError) as caught:
            parse(text)
        (problem,) = caught.value.diagnostics
        assert problem.code == "ACT0431"
        assert why in problem.message
    with pytest.raises(UsageError):
        parse("board=zedboard")


def test_clocks_and_parts() -> None:
    assert parse("").clock_mhz == 200
    assert parse("").device == ""
    assert parse("board=pynq-z2").clock_mhz == 100
    assert parse("board=pynq-z2,clock=125").period == 8
    assert parse("board=zcu102").device == "xczu9eg-ffvb1156-2-e"
    assert str(parse("vivado,board=kv260,clock=150")) == "vivado,board=kv260,clock=150"


# --- `actc build`, with programs in the place of AMD's


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("board") / "out"
    model = network("float[N,4] x => float[N,2] y", "y = MatMul(x, w)", {"w": normal(4, 2, seed=1)})
    data = {"x": normal(20, 4, seed=2)}
    actc.compile(model, "hls4ml:io=stream,board=pynq-z2", data=data, output=directory)
    return directory


@pytest.fixture
def directory(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "out"))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    return fake_tools(tmp_path / "tools", monkeypatch)


def top_of(directory: Path) -> str:
    (source,) = (directory / PROJECT).glob("*_axi.cpp")
    return source.stem


SOLUTION = "ip/solution"


@needs_gxx
@needs_hls4ml
def test_to_a_bitstream(actc_cli: CommandLine, directory: Path, fake: Fake) -> None:
    before = report_of(directory)
    (rung,) = (r for r in before["rungs"] if r["name"] == "AXI wrapper")
    assert rung["result"] == "equal"
    top = top_of(directory)
    fake("vitis-run", f"assert sys.argv[-1] == {SCRIPT!r}\n" + hls(top, SOLUTION))
    fake("vivado", vivado(top))
    done = actc_cli("build", directory)
    assert done.status == 0, done.stderr
    report = report_of(directory)
    assert report["build"]["goal"] == "bitstream"
    assert report["build"]["implementation"]["network"]["LUT"] == 3990
    assert {key: value for key, value in report.items() if key != "build"} == before
    text = (directory / "README.md").read_text()
    assert """-DWEIGHTS_DIR="firmware/weights"'""" in text  # quoted for a shell
    for part in (SCRIPT, "build_board.tcl", f"board/{top}.bit", "driver.py"):
        assert part in text
    fake("vivado", vivado(top, slack=timing("-0.731")))
    done = actc_cli("build", directory, "--json")
    assert (done.status, done.codes) == (1, ["ACT0434"])
    assert report_of(directory) == report


@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize("tool", ["vitis-run", "vivado"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("print('ERROR: License checkout failed')\nsys.exit(1)", "ACT0436"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "ACT0512"),
        ("time.sleep(600)", "ACT0511"),
        ("print('nothing')", "ACT0437"),
    ],
)
def test_failures(
    tool: str, body: str, code: str, actc_cli: CommandLine, directory: Path, fake: Fake
) -> None:
    before = (directory / "report.json").read_bytes()
    fake("vitis-run", hls(top_of(directory), SOLUTION))
    fake("vivado", vivado(top_of(directory)))
    fake(tool, body)
    done = actc_cli("build", directory, "--timeout", "0.05", "--json")
    assert (done.status, done.codes) == (5, [code])
    assert (directory / "report.json").read_bytes() == before


@needs_gxx
@needs_hls4ml
@needs_tclsh
def test_the_script_that_is_run(directory: Path, fake: Fake, tmp_path: Path) -> None:
    given = tmp_path / "csynth.xml"
    given.write_text(csynth(top_of(directory)))
    fake("vitis-run", running(given))
    assert actc.build(directory, to="ip")["recorded"] is True
    log = (directory / "build/vendor/commands.log").read_text()
    assert f"set_top {top_of(directory)}" in log
