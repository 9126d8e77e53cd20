"""`actc fit` with fixed-point formats: what it prints, writes and refuses."""

from __future__ import annotations

import io
import re
import runpy
import shutil
import subprocess
from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pytest
from command_line import CommandLine
from PIL import Image
from rich.console import Console

import actc
from actc.approx import ScalarFunction
from actc.cli.fit_table import fixed_table, pieces_table
from actc.fixed_result import FixedFitResult

FORMATS = ("--input", "s8.4", "--output", "s8.4")


def test_text(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", *FORMATS)
    assert done.status == 0, done.stderr
    assert done.stdout.startswith("GELU from s8.4 to s8.4\n")
    (chosen,) = re.findall(r"^\* (\S+)", done.stdout, re.MULTILINE)
    listed = re.findall(r"^[ *] (\w+)", done.stdout, re.MULTILINE)
    document = actc_cli("fit", "GELU", *FORMATS, "--json").document
    assert chosen.rstrip(",") == document["form"]
    for word in ("table", "compressed", "bipartite", "thresholds", "pwl", "tree", "polynomial"):
        assert word in listed
    for word in ("LUTs", "BRAMs", "faithful (1 ulp)", "lower bound", "accepted by the indep"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_table_is_never_cut(width: int) -> None:
    found = actc.fit("tanh", input="s10.6", output="s10.8").to_json()
    console = Console(width=width, file=io.StringIO(), legacy_windows=False)
    console.print(fixed_table(found))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert "…" not in "".join(lines)
    assert len(lines) == 2 + sum(row["reason"] is None for row in found["alternatives"])
    assert all(len(line) <= width for line in lines)
    assert ("max error" in lines[0]) == (width == 100)
    assert all(title in lines[0] for title in ("form", "pieces", "ulp", "LUTs", "cost"))


def test_text_of_a_size(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", *FORMATS, "--segments", "4")
    assert "the least error of at most 4 pieces" in done.stdout
    assert "- table: its size follows from the formats" in done.stdout
    error = actc_cli("fit", "GELU", *FORMATS, "--max-error", "0.25").stdout
    assert "an error of at most 0.25" in error
    exact = actc_cli("fit", "GELU", *FORMATS, "--ulp", "0.5", "--form", "table").stdout
    assert "correctly rounded (0.5 ulp)" in exact


def test_document_is_verified_again(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "Mish", *FORMATS, "--form", "pwl", "--json")
    (actc_cli.directory / "mish.json").write_text(done.stdout)
    checked = actc_cli("verify", "mish.json", "--json")
    assert checked.status == 0, checked.stderr
    assert checked.document["holds"] is True
    # a smaller error than was found
    text = done.stdout.replace(done.document["certificate"]["max_error"], "0x1p-9")
    (actc_cli.directory / "mish.json").write_text(text)
    assert actc_cli("verify", "mish.json", "--json").status == 1


def test_saturation_is_a_warning(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "exp", "--input", "s8.4", "--output", "u8.4", "--json")
    assert done.status == 0
    assert done.codes == ["ACT0362"]
    assert "warning[ACT0362]" in done.stderr


# --- files


@lru_cache
def lines_of_gelu(input: str, output: str) -> FixedFitResult:
    return actc.fit("GELU", input=input, output=output, form="pwl")


@pytest.mark.parametrize("formats", [FORMATS, ("--input", "s12.8", "--output", "s12.8")])
@pytest.mark.parametrize("kind", ["png", "svg", "html"])
def test_plots(kind: str, formats: tuple[str, ...], actc_cli: CommandLine) -> None:
    one = actc_cli.directory / f"one.{kind}"
    done = actc_cli("fit", "GELU", *formats, "--form", "pwl", "--plot", one.name)
    assert done.status == 0, done.stderr
    assert f"wrote {one.name}" in done.stdout
    assert one.read_bytes() == lines_of_gelu(*formats[1::2]).plot(kind)
    if kind == "png":
        with Image.open(one) as image:
            assert image.size == (1200, 810)
            colours = {colour for _, colour in image.convert("RGB").getcolors(2**20) or []}
        # function, approximation, error and what is allowed are all there
        wanted = {(0x8A, 0x8F, 0x98), (0x1F, 0x5F, 0xBF), (0xC2, 0x56, 0x0C), (0xF6, 0xE3, 0xD4)}
        assert wanted <= colours
    else:
        text = one.read_text("utf-8")
        assert len(text) < 300_000
        drawn = ElementTree.fromstring(text[text.index("<svg") : text.rindex("</svg>") + 6])
        assert {"axes_1", "axes_2"} <= {element.get("id", "") for element in drawn.iter()}
        assert ("<table>" in text) == (kind == "html")


def test_correct_rounding_is_plotted_with_half_an_ulp(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "tanh", *FORMATS, "--ulp", "0.5", "--plot", "t.png")
    assert done.status == 0, done.stderr
    with Image.open(actc_cli.directory / "t.png") as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(2**20) or []}
    assert (0xF6, 0xE3, 0xD4) in colours


@pytest.mark.parametrize("kind", ["onnx", "hls", "c", "numpy"])
def test_files_of_every_kind(kind: str, actc_cli: CommandLine) -> None:
    one = actc_cli.directory / "one"
    done = actc_cli("fit", "SiLU", *FORMATS, "--emit", kind, "-o", "one")
    assert done.status == 0, done.stderr
    found = actc.fit("SiLU", input="s8.4", output="s8.4")
    assert one.read_bytes() == found.emit(kind)
    codes = np.arange(-128, 128)
    if kind == "onnx":
        session = onnxruntime.InferenceSession(one, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": (codes / 16).astype(np.float32)})
        np.testing.assert_array_equal(y, found(codes / 16))
    elif kind == "numpy":
        module = runpy.run_path(str(one))
        np.testing.assert_array_equal(module["evaluate"](codes), found.fit.form.evaluate(codes))
    else:
        assert "act_silu(" in one.read_text("utf-8")


@pytest.mark.parametrize("form", ["table", "pwl"])
def test_emitted_verilog_computes_the_form(form: str, actc_cli: CommandLine) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    arguments = ("fit", "SiLU", *FORMATS, "--form", form, "--emit", "verilog", "-o", "silu.v")
    assert actc_cli(*arguments).status == 0
    bench = """
module bench;
  reg signed [7:0] x;
  wire signed [7:0] y;
  integer code;
  act_silu unit(.x(x), .y(y));
  initial for (code = -128; code < 128; code = code + 1) begin
    x = code; #1 $display("%0d", y);
  end
endmodule
"""
    (actc_cli.directory / "bench.v").write_text(bench)
    for command in (["iverilog", "-g2005", "-o", "bench", "bench.v", "silu.v"], ["vvp", "bench"]):
        done = subprocess.run(
            command, cwd=actc_cli.directory, capture_output=True, text=True, check=True
        )
    found = actc.fit("SiLU", input="s8.4", output="s8.4", form=form)
    expected = found.approximation.evaluate(np.arange(-128, 128)).tolist()
    assert [int(line) for line in done.stdout.split()] == expected


def test_a_hostile_name_stays_in_a_comment() -> None:
    hostile = ScalarFunction("x\nendmodule\r\nmodule evil; `include \u2028", np.tanh)
    emitted = actc.fit(hostile, input="s4.2", output="s4.2").emit("verilog").decode("ascii")
    code = [line for line in emitted.splitlines() if not line.startswith(("//", "/*"))]
    modules = [line for line in code if "module" in line]
    assert len(modules) == 2
    assert modules[0].startswith("module act_x_endmodule")
    assert not any("evil" in line or "`" in line for line in code[1:])


# --- wrong input

WRONG = {
    "no output": (["--input", "s8.4"], "ACT0360", "-0.169971 to 7.9375: --output s8.4"),
    "no input": (["--output", "s8.4"], "ACT0360", "--input s8.4 --output s8.4"),
    "spelling of input": (["--input", "8.4", "--output", "s8.4"], "ACT0310", "write s8.4"),
    "spelling of output": (["--input", "s8.4", "--output", "q8"], "ACT0310", "write s8.4"),
    "bits of input": (["--input", "s20.4", "--output", "s8.4"], "ACT0311", "fewer input bits"),
    "bits of output": (["--input", "s8.4", "--output", "s40.4"], "ACT0310", "write s8.4"),
    "domain too": ([*FORMATS, "--domain=-4,4"], "ACT0360", "leave --domain out"),
    "form": ([*FORMATS, "--form", "bipartit"], "ACT0334", "did you mean 'bipartite'?"),
    "float form": ([*FORMATS, "--form", "pwl-continuous"], "ACT0334", "--form pwl"),
    "device": ([*FORMATS, "--device", "ice4"], "ACT0361", "did you mean 'ice40'?"),
    "ulp": ([*FORMATS, "--ulp", "2"], "ACT0361", "--max-error"),
    "ulp of nothing": ([*FORMATS, "--ulp", "0"], "ACT0361", "0.5 is correctly rounded"),
    "ulp of words": ([*FORMATS, "--ulp", "one"], "ACT0203", "actc fit --help"),
    "ulp not a number": ([*FORMATS, "--ulp", "nan"], "ACT0361", "0.5 is correctly rounded"),
    "two budgets": ([*FORMATS, "--ulp", "1", "--segments", "4"], "ACT0361", "give one of them"),
    "three budgets": (
        [*FORMATS, "--ulp", "1", "--segments", "4", "--max-error", "1"],
        "ACT0361",
        "give one of them",
    ),
    "no segments": ([*FORMATS, "--segments", "0"], "ACT0334", "16"),
    "no error": ([*FORMATS, "--max-error", "-1"], "ACT0334", "1e-3"),
    "error too small": ([*FORMATS, "--max-error", "0.01"], "ACT0312", "fraction bits"),
    "segments of a table": (
        [*FORMATS, "--form", "bipartite", "--segments", "4"],
        "ACT0361",
        "thresholds, pwl, tree, polynomial",
    ),
    "digits": ([*FORMATS, "--digits", "4"], "ACT0361", "2 is a good start"),
    "digits of a table": ([*FORMATS, "--form", "table", "--digits", "2"], "ACT0361", "pwl, tree"),
    "degree": ([*FORMATS, "--degree", "4"], "ACT0361", "--form pwl"),
    "degree of a tree": ([*FORMATS, "--form", "tree", "--degree", "2"], "ACT0361", "polynomial"),
    "emission": ([*FORMATS, "--emit", "verilgo", "-o", "f.v"], "ACT0334", "'verilog'?"),
    "no file": ([*FORMATS, "--emit", "verilog"], "ACT0334", "-o"),
    "no kind": ([*FORMATS, "-o", "f.v"], "ACT0334", "--emit"),
    "plot": ([*FORMATS, "--plot", "f.jpg"], "ACT0334", "png, svg, html"),
    "one file twice": (
        [*FORMATS, "--plot", "f.png", "--emit", "c", "-o", "f.png"],
        "ACT0334",
        "two files",
    ),
    "no folder": ([*FORMATS, "--plot", "absent/f.png"], "ACT0337", "another place"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name: str, actc_cli: CommandLine) -> None:
    arguments, code, hint = WRONG[name]
    done = actc_cli("fit", "GELU", *arguments, "--json")
    assert done.status == 2, done.stderr
    assert done.codes == [code]
    assert hint in done.document["diagnostics"][0]["help"]
    assert "Traceback" not in done.stderr
    assert list(actc_cli.directory.iterdir()) == []


def test_undefined_functions(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "log(x)", *FORMATS, "--json")
    assert (done.status, done.codes) == (2, ["ACT0303"])
    assert "u8.4" in done.document["diagnostics"][0]["help"]
    # log(0) is minus infinity, which saturates
    assert actc_cli("fit", "log(x)", "--input", "u8.4", "--output", "s8.4").status == 0


def test_all_problems_are_told_at_once(actc_cli: CommandLine) -> None:
    done = actc_cli(
        *("fit", "GLEU", "--input", "s8", "--domain", "1,2", "--form", "pvl", "--ulp", "3"),
        *("--digits", "9", "--device", "spartan", "--emit", "vhdl", "--plot", "f.gif", "--json"),
    )
    assert done.status == 2
    messages = " ".join(item["message"] for item in done.document["diagnostics"])
    for wrong in ("GLEU", "s8", "--output", "--domain", "pvl", "3", "9", "spartan", "vhdl", "gif"):
        assert wrong in messages
    assert len(done.codes) == 11
    assert set(done.codes) == {"ACT0331", "ACT0310", "ACT0360", "ACT0334", "ACT0361"}
    assert list(actc_cli.directory.iterdir()) == []


def test_what_needs_formats_is_told_at_once(actc_cli: CommandLine) -> None:
    done = actc_cli(
        *("fit", "GELU", "--ulp", "1", "--device", "xc7", "--form", "thresholds", "--emit", "hls"),
        *("-o", "f.cpp", "--json"),
    )
    assert (done.status, done.codes) == (2, ["ACT0360"])
    message = done.document["diagnostics"][0]["message"]
    assert message.startswith("--ulp, --device, --form thresholds and --emit hls only have")


# --- structured functions


def test_structured(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "softmax[16]", "--input", "s8.4", "--output", "u8.8")
    assert done.status == 0, done.stderr
    assert done.stdout.startswith("Softmax[16] from s8.4 to u8.8\n")
    for word in ("exp2", "reciprocal", "bound", "ulp: the sum of its terms"):
        assert word in done.stdout
    found = actc.fit("Softmax[16]", input="s8.4", output="u8.8")
    document = found.to_json()
    assert document["max_error"] == pytest.approx(sum(document["terms"].values()), rel=1e-9)
    assert document["max_error_ulp"] <= 1
    assert document["certified"] is False
    x = np.random.default_rng(3).uniform(-8, 7.9, (200, 16)).round(1)
    rounded = np.clip(np.rint(x * 16), -128, 127) / 16
    exact = np.exp(rounded) / np.exp(rounded).sum(axis=1, keepdims=True)
    assert np.abs(found(x) - exact).max() <= found.max_error


def test_the_table_of_pieces_is_never_cut(actc_cli: CommandLine) -> None:
    pieces = actc.fit("RMSNorm[4]", input="s6.4", output="s6.4").to_json()["pieces"]
    console = Console(width=80, file=io.StringIO(), legacy_windows=False)
    console.print(pieces_table(pieces))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert "…" not in "".join(lines)
    assert all(len(line) <= 80 for line in lines)
    assert [line.split()[0] for line in lines] == ["piece", *pieces]


def test_structured_without_fits(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "MaxMin[4]", *FORMATS)
    assert done.status == 0, done.stderr
    assert "additions and comparisons only" in done.stdout


STRUCTURED_WRONG = {
    "unknown": (["Softmx[16]", *FORMATS], ["ACT0358"], "did you mean Softmax[n]?"),
    "parameters": (["Softmax[x]", *FORMATS], ["ACT0358"], "Softmax[16]"),
    "no formats": (["Softmax[16]"], ["ACT0360", "ACT0360"], "--input s8.4 --output s8.4"),
    "options": (
        ["Softmax[16]", *FORMATS, "--segments", "4", "--plot", "f.png"],
        ["ACT0364"],
        "--device only",
    ),
    "ulp": (["Softmax[16]", *FORMATS, "--ulp", "nan"], ["ACT0364"], "1 is a good start"),
    "out of reach": (["Softmax[16]", *FORMATS, "--ulp", "0.4"], ["ACT0357"], "or more"),
    "device": (["Softmax[16]", *FORMATS, "--device", "ecp"], ["ACT0361"], "'ecp5'?"),
    "domain": (["Softmax[16]", *FORMATS, "--domain=0,1"], ["ACT0360"], "leave --domain out"),
}


@pytest.mark.parametrize("name", STRUCTURED_WRONG)
def test_wrong_input_of_structured_functions(name: str, actc_cli: CommandLine) -> None:
    arguments, codes, hint = STRUCTURED_WRONG[name]
    done = actc_cli("fit", *arguments, "--json")
    assert done.status == 2, done.stderr
    assert done.codes == codes
    assert hint in done.document["diagnostics"][0]["help"]
    assert list(actc_cli.directory.iterdir()) == []
