"""Signals in the middle of a compilation: its status, nothing left, and no tool that goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import run_process
from installed import needs_gcc
from test_toolchain import wait_until_gone

import actc

# A compiler that never ends, with a child; it notes the numbers of both.
ENDLESS = """#!/bin/sh
sleep 600 &
echo $! > "$NOTE.child"
echo $$ > "$NOTE.part" && mv "$NOTE.part" "$NOTE"
wait
"""


def heard() -> None:
    """Signals end a process, also where who started the tests ignores them, as nohup does."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def start(folder: Path, model: Path, data: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A compilation to C whose compiler hangs, and the processes that it started."""
    compiler = folder / "endless"
    compiler.write_text(ENDLESS)
    compiler.chmod(0o755)
    note = folder / "note"
    command = [sys.executable, "-m", "actc", "compile", model, "-t", "c", "--data", data]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(folder / "place" / "out")],
        env={**os.environ, "ACTC_GCC": str(compiler), "NOTE": str(note), "TMPDIR": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heard,
    )
    end = time.monotonic() + 120
    while not note.exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1)  # the tool may be quicker than who started it
    return process, [int(note.read_text()), int((folder / "note.child").read_text())]


@pytest.fixture
def place(tmp_path: Path, model: Path, data: Path) -> Path:
    """A folder with an earlier result."""
    folder = tmp_path / "place"
    actc.compile(model, "onnx", data=data, output=folder / "out")
    return folder


@needs_gcc
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_clears_away(
    tmp_path: Path, place: Path, model: Path, data: Path, name: str
) -> None:
    number = signal.Signals[name]
    before = (place / "out" / "manifest.json").read_bytes()
    process, started = start(tmp_path, model, data)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert all(map(wait_until_gone, started))
    assert [path.name for path in place.iterdir()] == ["out"]
    assert (place / "out" / "manifest.json").read_bytes() == before
    assert not list(tmp_path.glob("actc-*")), "a temporary folder is left"


@needs_gcc
def test_tools_end_with_a_compilation_that_is_killed(
    tmp_path: Path, place: Path, model: Path, data: Path
) -> None:
    """What is left is hidden, and the next run removes it."""
    before = (place / "out" / "manifest.json").read_bytes()
    process, started = start(tmp_path, model, data)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert all(map(wait_until_gone, started))
    assert (place / "out" / "manifest.json").read_bytes() == before
    assert any(path.name.startswith(".out.actc-stage-") for path in place.iterdir())
    actc.compile(model, "onnx", data=data, output=place / "out")
    assert [path.name for path in place.iterdir()] == ["out"]


def test_streams_that_take_nothing(tmp_path: Path) -> None:
    """Full, closed, or without a reader: never a traceback, nor the status of something else."""
    command = shutil.which("actc") or f"{sys.executable} -m actc"
    script = f"""
        actc() {{ {command} "$@"; }}
        actc targets >/dev/full; echo "full $?" >&3
        actc targets --json >/dev/full; echo "json $?" >&3
        actc targets >&-; echo "closed $?" >&3
        actc nonsense >&- 2>&-; echo "both $?" >&3
        actc nonsense 2>/dev/full; echo "stderr $?" >&3
        {{ actc functions; echo "pipe $?" >&3; }} | true
    """
    done = subprocess.run(
        ["bash", "-c", f"exec 3>{tmp_path / 'said'}\n{script}"], capture_output=True, text=True
    )
    expected = ["full 2", "json 2", "closed 0", "both 2", "stderr 2", "pipe 0"]
    assert (tmp_path / "said").read_text().splitlines() == expected
    assert done.stderr.count("ACT0206") == 2
    assert "Traceback" not in done.stderr


def test_a_clock_that_is_wrong() -> None:
    """Limits count from a clock that only goes on; unfinished files of the cache have an age."""
    sources = [path for folder in ("actc", "passes", "targets") for path in _python(folder)]
    sources = [path for path in sources if path.parent.name != "cache"]
    wrong = ("time.time()", "datetime.now", "datetime.today", "date.today", "time.localtime")
    assert len(sources) > 300
    for path in sources:
        text = path.read_text("utf-8")
        assert not [name for name in wrong if name in text], path


def _python(folder: str) -> list[Path]:
    root = Path(__file__).resolve().parent.parent
    return sorted((root / folder).rglob("*.py"))


def test_no_home(tmp_path: Path, model: Path, data: Path) -> None:
    """Neither a home nor the folder that TMPDIR names is needed."""
    nowhere = {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"}
    done = run_process(
        tmp_path, "compile", model, "-t", "onnx", "--data", data, "-o", "out", environment=nowhere
    )
    assert done.status == 0, done.stderr
