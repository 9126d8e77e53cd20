"""Faults of the tools as users of the command line meet them: one diagnostic, no half output.

The tools are scripts that fail on purpose; the log must be where the message says.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from fake_tools import YOSYS, Fake
from models import network, normal

from actc.output import MANIFEST

pytestmark = pytest.mark.slow
TARGET = "ice40-hx8k"
OPTIONS = ("--target", TARGET, "--weights", "3", "--activations", "4", "--data", "data.npz")
DESIGN = YOSYS.replace('"top"', '"tiny_uart"').replace("'top'", "'tiny_uart'")


@pytest.fixture
def cwd(actc_cli: CommandLine) -> Path:
    """The folder that commands run in, with a model and data."""
    folder = actc_cli.directory
    weights = {"a": normal(3, 2, seed=1)}
    onnx.save(network("float[N,3] x => float[N,2] y", "y = MatMul(x, a)", weights),
              folder / "tiny.onnx")  # fmt: skip
    np.savez(folder / "data.npz", x=normal(64, 3, seed=5))
    return folder


def inputs_alone(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} == {"tiny.onnx", "data.npz"}


@pytest.mark.parametrize("tool", ["NEXTPNR_ICE40", "ICEPACK", "IVERILOG", "YOSYS"])
def test_a_tool_that_is_not_there(
    tool: str, actc_cli: CommandLine, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACTC_{tool}", str(cwd / "nowhere"))
    done = actc_cli("compile", "tiny.onnx", *OPTIONS, "-o", "out", "--json")
    assert done.status == 4
    assert done.codes == ["ACT0502"]
    assert "synthesis" not in done.stderr
    assert inputs_alone(cwd)


@pytest.mark.parametrize(
    ("tool", "body", "code"),
    [
        ("yosys", "os.kill(os.getpid(), signal.SIGKILL)", "ACT0512"),
        ("yosys", "print('ERROR: no'); sys.exit(1)", "ACT0510"),
        ("nextpnr-ice40", "os.kill(os.getpid(), signal.SIGKILL)", "ACT0512"),
        ("nextpnr-ice40", "print('terminate called: std::bad_alloc'); os.abort()", "ACT0584"),
        ("nextpnr-ice40", "print('write: No space left on device'); sys.exit(1)", "ACT0585"),
    ],
)
def test_a_tool_that_fails(
    tool: str, body: str, code: str, actc_cli: CommandLine, cwd: Path, fake: Fake
) -> None:
    if tool != "yosys":
        fake("yosys", DESIGN)
    fake(tool, f"print('before'); sys.stdout.flush()\n{body}")
    done = actc_cli("compile", "tiny.onnx", *OPTIONS, "-o", "out", "--json")
    assert done.status == 5
    assert done.codes == [code]
    (problem,) = done.document["diagnostics"]
    (note,) = (note for note in problem["notes"] if note.startswith("its log is "))
    assert "before" in Path(note.removeprefix("its log is ")).read_text()
    assert problem["help"]
    assert inputs_alone(cwd)


def test_a_failure_leaves_the_result_before_it(
    actc_cli: CommandLine, cwd: Path, fake: Fake
) -> None:
    old = cwd / "out"
    old.mkdir()
    (old / MANIFEST).write_text('{"actc": "0.1.0", "files": {"tiny_uart.bin": ""}}')
    (old / "tiny_uart.bin").write_text("a bitstream")
    fake("yosys", "os.kill(os.getpid(), signal.SIGKILL)")
    done = actc_cli("compile", "tiny.onnx", *OPTIONS, "-o", "out", "--json")
    assert (done.status, done.codes) == (5, ["ACT0512"])
    assert {path.name for path in cwd.iterdir()} == {"tiny.onnx", "data.npz", "out"}
    assert {path.name for path in old.iterdir()} == {MANIFEST, "tiny_uart.bin"}
    assert (old / "tiny_uart.bin").read_text() == "a bitstream"


def test_an_interrupt(cwd: Path, fake: Fake) -> None:
    fake("yosys", DESIGN)
    mark = cwd.parent / "running"
    fake("nextpnr-ice40", f"open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(300)")
    # shells start programs in the background with interrupts ignored, which is inherited
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "actc", "compile", "tiny.onnx", *OPTIONS, "-o", "out"],
            cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    end = time.monotonic() + 200
    while not (mark.exists() and mark.read_text()) and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert inputs_alone(cwd)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
