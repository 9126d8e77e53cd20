"""`actc fit`: forms, files, plots and what it says of wrong input."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnx
import onnxruntime
import pytest
from command_line import CommandLine
from models import network
from PIL import Image
from scipy import special

import actc
from actc.approx.catalogue import find
from actc.approx.function import ScalarFunction
from actc.approx.step_table import fit_step_table
from actc.approx.structured import STRUCTURED
from actc.emission import write_files
from actc.errors import UsageError
from actc.fit_options import FLOAT_FORMS as FORMS
from actc.site_functions import recognized_sites

X = np.linspace(-8, 8, 20001).astype(np.float32).astype(np.float64)
KEYS = {
    *("function", "form", "segments", "max_error", "lower_bound", "certified", "seconds", "cost"),
    *("alternatives", "domain", "certificate", "between_samples", "diagnostics"),
    *("core", "bounds"),
}


def gelu(x: Any) -> Any:
    return 0.5 * x * special.erfc(-x / np.sqrt(2.0))


def test_document(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", "--segments", "16", "--json")
    assert done.status == 0
    found = done.document
    assert set(found) == KEYS
    assert (found["function"], found["form"], found["segments"]) == ("GELU", "pwl", 16)
    assert found["domain"] == [-8.0, 8.0]
    assert found["certified"] is True
    assert found["cost"] is None
    assert found["seconds"] > 0
    assert 0.9999 < found["lower_bound"] / found["max_error"] <= 1
    assert [row["form"] for row in found["alternatives"]] == [*("pwl-continuous", "tree", "table")]
    assert all(row["max_error"] >= found["max_error"] for row in found["alternatives"])
    assert found["between_samples"] >= found["max_error"]
    assert found["certificate"]["function"] == "GELU"


def test_text(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "x*sigmoid(1.702*x)", "--max-error", "1e-2")
    assert done.status == 0
    assert done.stdout.startswith("x*sigmoid(1.702*x) on [-8, 8]\n")
    for word in ("pwl, ", "lower bound", "accepted by the independent checker", "alternative"):
        assert word in done.stdout


@pytest.mark.parametrize("form", FORMS)
def test_the_error_is_that_of_the_form(form: str) -> None:
    found = actc.fit("GELU", form=form)
    assert (found.form, found.certified) == (form, True)
    error = np.abs(found(X) - gelu(X)).max()
    assert found.max_error * 0.99 <= error <= found.between_samples
    assert {row.form for row in found.alternatives} == set(FORMS) - {form}


@pytest.mark.parametrize("form", FORMS)
def test_the_fewest_pieces(form: str) -> None:
    error = 5e-2
    found = actc.fit("GELU", form=form, max_error=error)
    assert found.max_error <= error
    if form == "pwl":
        assert actc.fit("GELU", form=form, segments=found.segments - 1).lower_bound > error


def test_auto_takes_the_fewest_pieces_or_the_least_error() -> None:
    assert actc.fit("relu", max_error=1e-3).form == "pwl"
    assert actc.fit("relu", max_error=1e-3).segments == 2
    least = actc.fit("GELU", segments=12)
    assert least.form == "pwl"
    assert least.max_error < min(row.max_error or 0 for row in least.alternatives)


def test_a_form_that_cannot_meet_the_error_is_listed_as_such() -> None:
    found = actc.fit("GELU", max_error=1e-3)
    (table,) = (row for row in found.alternatives if row.form == "table")
    assert table.segments == found_entries()
    assert (table.max_error or 0) > 1e-3
    assert "over 0.001" in (table.reason or "")
    # jumps need jumps: no continuous form of 4096 pieces comes near
    jumps = actc.fit("sign(x)", max_error=1e-3)
    assert jumps.form == "pwl"
    assert jumps.segments == 2


def found_entries() -> int:
    return actc.fit("GELU", form="table").segments


def test_the_others_get_the_error_of_a_table() -> None:
    found = actc.fit("GELU", form="table")
    for row in found.alternatives:
        assert row.reason is None
        assert 0 < (row.max_error or 0) <= found.max_error
        assert 1 < (row.segments or 0) < 32


@pytest.mark.parametrize("domain", [(-8.0, 8.0), (0.0, 1.0), (1.0, 4.0), (-3.0, -1.0)])
def test_no_table_over_these_codes_is_better(domain: tuple[float, float]) -> None:
    f = ScalarFunction("gelu", gelu)
    found = fit_step_table(f, *domain, points=4096)
    x = np.unique(np.linspace(*domain, 4096).astype(np.float32)).astype(np.float64)
    codes = found.input.quantize(x)
    halves = [np.ptp(gelu(x[codes == code])) / 2 for code in np.unique(codes)]
    assert found.lower_bound == pytest.approx(max(halves), rel=1e-12)
    assert found.max_error <= found.lower_bound * (1 + 1e-4)
    np.testing.assert_array_equal(found.form.evaluate(x), found.values[codes].astype(np.float64))
    # on both sides of every edge the step function is the table
    edges = found.form.breakpoints.astype(np.float32)
    for x32 in (edges, np.nextafter(edges, np.float32(-np.inf))):
        np.testing.assert_array_equal(
            found.form.evaluate(x32), found.values[found.input.quantize(x32)].astype(np.float64)
        )


def test_functions_come_in_four_ways(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(network("float[N,4] x => float[N,4] y", "s = Sigmoid(x)\n y = Mul(x, s)"), path)
    expected = actc.fit("SiLU").max_error
    for function in ("x/(1+exp(-x))", lambda x: x * special.expit(x), f"{path}:a1"):
        found = actc.fit(function)
        assert found.certified
        assert found.max_error == pytest.approx(expected, rel=1e-3)
    elu = actc.fit("ELU(0.5)", "-pi,1")
    assert elu.function == "ELU(0.5)"
    assert elu.domain == (-np.pi, 1.0)
    x = np.linspace(-3, 1, 99)
    assert np.abs(elu(x) - find("ELU").function(0.5)(x)).max() <= elu.between_samples


def test_sites_are_those_of_inspect(root: Path) -> None:
    model = root / "examples/digits/cnn.onnx"
    rows = actc.inspect(model)["activations"]
    sites = recognized_sites(model)
    for row in rows:
        assert [row[key] for key in ("function", "input", "output")] == [
            getattr(sites[row["id"]], key) for key in ("label", "input", "output")
        ]
    first = rows[0]
    error = actc.fit(f"{model}:{first['id']}", segments=4).max_error
    assert error == pytest.approx(actc.fit(first["function"], segments=4).max_error, rel=1e-3)


def test_a_channel_of_a_family(tmp_path: Path, actc_cli: CommandLine) -> None:
    path = tmp_path / "net.onnx"
    slopes = {"slope": np.array([0.1, 0.25], np.float32).reshape(2, 1, 1)}
    signature = "float[N,2,3,3] x => float[N,2,3,3] y"
    onnx.save(network(signature, "y = PRelu(x, slope)", slopes), path)
    found = actc.fit(f"{path}:a1[1]", segments=2)
    np.testing.assert_allclose(found([-4.0, 4.0]), [-1.0, 4.0], atol=1e-3)
    for name, says in (("a1", "name a channel"), ("a1[2]", "0..1"), ("a2", "a1 (PReLU)")):
        done = actc_cli("fit", f"{path}:{name}", "--json")
        assert (done.status, done.codes) == (2, ["ACT0336"])
        assert says in done.document["diagnostics"][0]["help"]


# --- files


@pytest.mark.parametrize(
    ("function", "form", "op"),
    [
        ("GELU", "pwl", "PiecewiseLinear"),
        ("sin(x)", "pwl-continuous", "PiecewiseLinear"),
        ("GELU", "table", "QuantizedTable"),
        ("sin(x)", "table", "QuantizedTable"),
    ],
)
def test_emitted_onnx_runs_in_plain_onnxruntime(
    function: str, form: str, op: str, actc_cli: CommandLine
) -> None:
    arguments = ("fit", function, "--form", form, "--emit", "onnx", "-o", "f.onnx", "--json")
    done = actc_cli(*arguments)
    assert done.status == 0, done.stderr
    model = onnx.load(actc_cli.directory / "f.onnx")
    onnx.checker.check_model(model)
    assert [(node.domain, node.op_type) for node in model.graph.node] == [("actc", op)]
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = X.astype(np.float32)
    (y,) = session.run(None, {"x": x})
    expected = actc.fit(function, form=form)(x)
    assert y.dtype == np.float32
    # a jump of the discontinuous form is at a float32, so both choose the same side
    np.testing.assert_allclose(y, expected, atol=2e-6, rtol=0)


def test_a_single_line_runs(actc_cli: CommandLine) -> None:
    actc_cli("fit", "2*x + 1", "--segments", "1", "--emit", "onnx", "-o", "f.onnx")
    session = onnxruntime.InferenceSession(
        actc_cli.directory / "f.onnx", providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.array([0, 3], np.float32)})
    np.testing.assert_allclose(y, [1, 7], atol=1e-5)


@pytest.mark.parametrize("form", ["pwl", "table"])
def test_emitted_module_stands_alone(form: str, actc_cli: CommandLine) -> None:
    arguments = ("fit", "GELU", "--form", form, "--emit", "numpy", "-o", "gelu_form.py")
    assert actc_cli(*arguments).status == 0
    np.save(actc_cli.directory / "x.npy", X)
    code = (
        "import sys, numpy as np, gelu_form\n"
        "np.save('y.npy', gelu_form.evaluate(np.load('x.npy').reshape(3, -1)))\n"
        "assert not any(name.startswith('actc') for name in sys.modules)\n"
        "print(gelu_form.FUNCTION, gelu_form.DOMAIN, gelu_form.MAX_ERROR)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=actc_cli.directory,
        env={**os.environ, "PYTHONPATH": str(actc_cli.directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = actc.fit("GELU", form=form)
    assert done.stdout == f"GELU (-8.0, 8.0) {found.max_error!r}\n"
    y = np.load(actc_cli.directory / "y.npy")
    np.testing.assert_array_equal(y.reshape(-1), found(X))


def test_a_module_cannot_be_made_to_run_a_name(tmp_path: Path) -> None:
    hostile = '"""\nraise SystemExit(3)\n"""\\'
    found = actc.fit(ScalarFunction(hostile, np.tanh), segments=3)
    path = tmp_path / "module.py"
    path.write_bytes(found.emit("numpy"))
    code = f"import runpy, json; print(json.dumps(runpy.run_path({str(path)!r})['FUNCTION']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == hostile


@pytest.mark.parametrize("kind", ["png", "svg", "html"])
def test_plots_are_deterministic(kind: str, actc_cli: CommandLine) -> None:
    one = actc_cli.directory / f"one.{kind}"
    done = actc_cli("fit", "GELU", "--segments", "8", "--plot", one.name)
    assert done.status == 0, done.stderr
    assert f"wrote {one.name}" in done.stdout
    assert one.read_bytes() == actc.fit("GELU", segments=8).plot(kind)
    assert str(actc_cli.directory) not in one.read_bytes().decode("latin-1")
    if kind == "png":
        with Image.open(one) as image:
            assert image.size == (1200, 810)
            colours = {colour for _, colour in image.convert("RGB").getcolors(2**20) or []}
        # function, approximation and error are all there
        assert {(0x8A, 0x8F, 0x98), (0x1F, 0x5F, 0xBF), (0xC2, 0x56, 0x0C)} <= colours
    else:
        text = one.read_text("utf-8")
        drawn = ElementTree.fromstring(text[text.index("<svg") : text.rindex("</svg>") + 6])
        groups = {element.get("id", "") for element in drawn.iter()}
        assert {"axes_1", "axes_2"} <= groups
        assert ("<table>" in text) == (kind == "html")


def test_hostile_names_are_inert_in_a_page() -> None:
    found = actc.fit(ScalarFunction("</title><script>alert(1)</script>\x1b", np.tanh), segments=3)
    page = found.plot("html").decode("utf-8")
    assert "<script" not in page
    assert "\x1b" not in page


def test_all_files_or_none(actc_cli: CommandLine, tmp_path: Path) -> None:
    done = actc_cli(
        *("fit", "GELU", "--plot", "g.png", "--emit", "onnx", "-o", "absent/g.onnx", "--json")
    )
    assert (done.status, done.codes) == (2, ["ACT0337"])
    assert list(actc_cli.directory.iterdir()) == []
    (tmp_path / "folder").mkdir()
    kept = tmp_path / "kept"
    kept.write_text("old")
    with pytest.raises(UsageError):
        write_files({kept: b"new", tmp_path / "folder": b"new"})
    assert kept.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "kept", "cwd"}


# --- wrong input

WRONG = {
    "unknown name": (["GLEU"], "ACT0331", "GELU"),
    "syntax": (["x*"], "ACT0330", "expression"),
    "parameters": (["ELU(1, 2)"], "ACT0332", "alpha"),
    "ulps": (["GELU", "--ulp", "1"], "ACT0360", "--input s8.4 --output s8.4"),
    "device": (["GELU", "--device", "ice40"], "ACT0360", "--input s8.4 --output s8.4"),
    "digits": (["GELU", "--digits", "2"], "ACT0360", "--input s8.4 --output s8.4"),
    "form": (["GELU", "--form", "tabel"], "ACT0334", "did you mean 'table'?"),
    "form in fixed point": (["GELU", "--form", "thresholds"], "ACT0360", "--input s8.4"),
    "Verilog": (["GELU", "--emit", "verilog", "-o", "f.v"], "ACT0360", "--input s8.4"),
    "HLS": (["GELU", "--emit", "hls", "-o", "f.cpp"], "ACT0360", "--input s8.4"),
    "unknown emission": (["GELU", "--emit", "vhdl", "-o", "f.v"], "ACT0334", "onnx, numpy"),
    "unknown option": (["GELU", "--bits", "8"], "ACT0203", "actc fit --help"),
    "emit without a file": (["GELU", "--emit", "onnx"], "ACT0334", "-o"),
    "file without emit": (["GELU", "-o", "f.onnx"], "ACT0334", "--emit"),
    "one file twice": (
        ["GELU", "--plot", "f.png", "--emit", "onnx", "-o", "f.png"],
        "ACT0334",
        "two files",
    ),
    "plot": (["GELU", "--plot", "f.gif"], "ACT0334", "png, svg, html"),
    "two budgets": (["GELU", "--segments", "4", "--max-error", "1"], "ACT0334", "one of the two"),
    "no segments": (["GELU", "--segments", "0"], "ACT0334", "16"),
    "too many segments": (["GELU", "--segments", "4097"], "ACT0334", "16"),
    "no number": (["GELU", "--segments", "many"], "ACT0203", "actc fit --help"),
    "no error": (["GELU", "--max-error", "0"], "ACT0334", "1e-3"),
    "error not a number": (["GELU", "--max-error", "nan"], "ACT0334", "1e-3"),
    "segments of a table": (["GELU", "--form", "table", "--segments", "4"], "ACT0334", "pwl"),
    "domain of one": (["GELU", "--domain", "3"], "ACT0333", "LO,HI"),
    "reversed domain": (["GELU", "--domain", "3,1"], "ACT0333", "LO < HI"),
    "domain of words": (["GELU", "--domain", "a,b"], "ACT0333", "LO,HI"),
    "infinite domain": (["GELU", "--domain", "0,1e400"], "ACT0333", "LO,HI"),
    "narrow domain": (["GELU", "--domain", "1,1.00000000001"], "ACT0333", "LO,HI"),
    "undefined": (["log(x)"], "ACT0303", "--domain"),
    "infinite": (["1/abs(x)", "--domain", "0,1"], "ACT0304", "--domain"),
    "beyond float32": (["exp(x)", "--domain", "0,700"], "ACT0335", "--domain"),
    "unreachable": (["GELU", "--max-error", "1e-12"], "ACT0305", "larger"),
    "unreachable table": (["GELU", "--form", "table", "--max-error", "1e-6"], "ACT0305", "larger"),
    "no such model": (["absent.onnx:a1"], "ACT0202", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input(name: str, actc_cli: CommandLine) -> None:
    arguments, code, hint = WRONG[name]
    done = actc_cli("fit", *arguments, "--json")
    assert done.status == 2, done.stderr
    assert done.codes == [code]
    assert hint in done.document["diagnostics"][0]["help"]
    assert "Traceback" not in done.stderr
    assert list(actc_cli.directory.iterdir()) == []


def test_a_site_must_be_named(root: Path, actc_cli: CommandLine) -> None:
    for ending in ("", ":", ":a77"):
        done = actc_cli("fit", f"{root / 'examples/digits/cnn.onnx'}{ending}", "--json")
        assert (done.status, done.codes) == (2, ["ACT0336"])
        assert "a1 (SiLU)" in done.document["diagnostics"][0]["help"]


def test_an_expression_may_begin_with_a_minus(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "--segments", "2", "--json", "--", "-x")
    assert done.status == 0, done.stderr
    assert done.document["function"] == "-x"
    assert done.document["max_error"] == 0.0


@pytest.mark.slow
def test_the_page_shows_commands_that_work(actc_cli: CommandLine, root: Path) -> None:
    (actc_cli.directory / "examples").symlink_to(root / "examples")
    page = (root / "docs/fit.md").read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page.split("## `actc verify`")[0], re.DOTALL)
    assert len(blocks) == 4
    for line in "".join(blocks).splitlines():
        done = actc_cli(*shlex.split(line.removeprefix("$ actc ")))
        assert done.status == 0, done.stderr
    for name in STRUCTURED.values():
        assert f"`{name.spelling}`" in page
    keys = page.split("prints one document.")[1].split("`--plot")[0]
    told = set(re.findall(r"`(\w+)`", keys))
    assert told >= KEYS
    assert told >= set(actc.fit("GELU", input="s4.2", output="s4.2").to_json())
    assert told >= set(actc.fit("GELU", objective="rms").to_json())


def test_the_page_shows_python_that_works(tmp_path: Path, root: Path) -> None:
    page = (root / "docs/fit.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == {"gelu.svg", "gelu.onnx", "gelu.v"}
