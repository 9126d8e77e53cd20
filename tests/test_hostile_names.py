"""Names are untrusted: none reaches a written file as more than a text, whatever the target."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx
import pytest
from hostile.names import INJECTION, MARK, escapes, hostile_names
from installed import needs_gcc, needs_tclsh, needs_tvm, needs_yosys

import actc

_SLOW = pytest.mark.slow
TARGETS = [
    "onnx",
    "c",
    "bnn-hls",
    pytest.param("hls4ml", id="hls4ml"),
    pytest.param("hls4ml:vivado", marks=_SLOW),
    pytest.param("hls4ml:quartus", marks=_SLOW),
    pytest.param("hls4ml:catapult", marks=_SLOW),
    pytest.param("hls4ml:oneapi", marks=_SLOW),
    pytest.param("verilog", marks=needs_yosys),
    pytest.param("ecp5-25k", marks=[needs_yosys, _SLOW]),
    pytest.param("ice40-hx8k", marks=[needs_yosys, _SLOW]),
    pytest.param("cpu", marks=[needs_tvm, _SLOW]),
    pytest.param("cuda", marks=[needs_tvm, _SLOW]),
]


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A file with hostile names, whose own name is one."""
    path = tmp_path / "$(id)';<b>.onnx"
    onnx.save(hostile_names(), path)
    return path


@pytest.mark.parametrize("target", TARGETS)
def test_planned_files(target: str, evil: Path) -> None:
    plan = actc.compile(evil, target=target, dry_run=True).plan
    assert plan is not None
    found = [text for path, content in plan.files.items() for text in escapes(path, content)]
    assert not found
    assert not [word for command in plan.commands for word in command if MARK in word]


@needs_gcc
def test_written_files(evil: Path, tmp_path: Path) -> None:
    """The whole directory, with report and manifest; gcc compiled it, and golden agrees."""
    artifact = actc.compile(evil, target="c", output=tmp_path / "out")
    assert artifact.report["bit_exact"]
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"report.html", "report.json", "manifest.json"} <= {path.name for path in files}
    for path in files:
        name = path.relative_to(tmp_path / "out").as_posix()
        assert not list(escapes(name, path.read_bytes()))
    assert not list(tmp_path.rglob("owned"))


@needs_tclsh
def test_scripts_of_tools(evil: Path, tmp_path: Path) -> None:
    """Tcl finds whole commands in the scripts, and the injection is not among them."""
    plan = actc.compile(evil, target="bnn-hls", dry_run=True).plan
    assert plan is not None
    scripts = {path: text for path, text in plan.files.items() if path.endswith(".tcl")}
    assert scripts
    for name, content in scripts.items():
        assert MARK.encode() not in content, name
        path = tmp_path / "script.tcl"
        path.write_bytes(content)
        check = f"set f [open {{{path}}}]; puts [info complete [read $f]]"
        done = subprocess.run(["tclsh"], input=check, capture_output=True, text=True, timeout=60)
        assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("model.c", f"/* {INJECTION} */"),
        ("model.c", f'const char *name = "{INJECTION}";'),
        ("top.v", f"// {INJECTION}"),
        ("build.tcl", f"puts {{{INJECTION}}}"),
        ("Makefile", f"all: $({MARK})"),
        ("run.py", f"x = '' + {MARK}()"),
        ("report.html", f"<p><script>{MARK}()</script>"),
        ("notes.txt", "\x1b[31m"),
        ("../x.txt", "x"),
        (f"{MARK}(.txt", "x"),
    ],
)
def test_escapes_are_found(path: str, text: str) -> None:
    """The judge of the other tests: each defect, planted, is seen."""
    assert list(escapes(path, text.encode()))
