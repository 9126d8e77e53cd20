"""External tools: found, limited, logged, and ended with all their children."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from actc import toolchain
from actc.errors import ActcError, ExitStatus, MissingTool, ToolFailed


def only(problem: ActcError) -> str:
    assert len(problem.diagnostics) == 1
    return problem.diagnostics[0].code


def script(tmp_path: Path, body: str, name: str = "tool") -> Path:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("tool", "expected"),
    [("g++", "ACTC_GXX"), ("nextpnr-ecp5", "ACTC_NEXTPNR_ECP5"), ("yosys", "ACTC_YOSYS")],
)
def test_every_tool_has_a_variable(tool: str, expected: str) -> None:
    assert toolchain.variable(tool) == expected


def test_tool_on_path() -> None:
    assert toolchain.find("sh", "apt install dash").name == "sh"


def test_missing_tool_names_both_fixes() -> None:
    with pytest.raises(MissingTool) as caught:
        toolchain.find("no-such-tool", "apt install no-such-tool")
    assert caught.value.status is ExitStatus.MISSING_TOOL
    assert only(caught.value) == "ACT0501"
    assert "apt install no-such-tool" in caught.value.diagnostics[0].help
    assert "ACTC_NO_SUCH_TOOL" in caught.value.diagnostics[0].help


def test_variable_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = script(tmp_path, "echo mine 1.2")
    monkeypatch.setenv("ACTC_SH", str(mine))
    assert toolchain.find("sh", "") == mine
    assert toolchain.version(mine) == "mine 1.2"


def test_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTC_SH", str(tmp_path / "absent"))
    with pytest.raises(MissingTool) as caught:
        toolchain.find("sh", "")
    assert only(caught.value) == "ACT0502"
    assert "ACTC_SH" in caught.value.diagnostics[0].message


def test_run_keeps_both_streams_and_the_directory(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    done = toolchain.run(
        [str(script(tmp_path, "pwd; echo $WORD; echo oops >&2"))],
        timeout=30,
        cwd=tmp_path,
        environment={"WORD": "hello"},
        log=log,
    )
    assert done.output.splitlines() == [str(tmp_path), "hello", "oops"]
    assert log.read_text() == done.output
    assert 0 < done.seconds < 30


def test_tool_gets_no_input() -> None:
    assert toolchain.run(["cat"], timeout=30).output == ""


def test_failure_carries_the_end_of_the_log(tmp_path: Path) -> None:
    tool = script(tmp_path, "seq 1 100; echo last words >&2; exit 3")
    with pytest.raises(ToolFailed, match="failed with status 3") as caught:
        toolchain.run([str(tool)], timeout=30)
    assert only(caught.value) == "ACT0510"
    notes = caught.value.diagnostics[0].notes
    assert notes[-1] == "last words"
    assert len(notes) == 20


def test_crash_is_named_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="SIGSEGV") as caught:
        toolchain.run([str(script(tmp_path, "kill -SEGV $$"))], timeout=30)
    assert only(caught.value) == "ACT0512"


def test_garbage_in_the_log_does_no_harm() -> None:
    write = "import sys; sys.stdout.buffer.write(bytes(range(128, 256))); sys.exit(1)"
    with pytest.raises(ToolFailed) as caught:
        toolchain.run([sys.executable, "-c", write], timeout=30)
    assert only(caught.value) == "ACT0510"
    assert "\ufffd" in caught.value.diagnostics[0].notes[-1]


def test_endless_log_is_cut() -> None:
    done = toolchain.run([sys.executable, "-c", "print('x' * 3_000_000 + 'end')"], timeout=30)
    assert len(done.output) == 1 << 20
    assert done.output.endswith("end\n")


def test_file_that_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "tool"
    path.write_bytes(b"\x7fELFgarbage")
    path.chmod(0o755)
    with pytest.raises(ToolFailed, match="could not be started") as caught:
        toolchain.run([str(path)], timeout=30)
    assert only(caught.value) == "ACT0513"


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return not is_running(pid)


def test_hanging_tool_and_its_children_are_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    tool = script(tmp_path, f"sleep 600 & echo $! > {note}; echo started; wait")
    start = time.monotonic()
    with pytest.raises(ToolFailed, match="ended after 3 seconds") as caught:
        toolchain.run([str(tool)], timeout=3)
    assert only(caught.value) == "ACT0511"
    assert caught.value.diagnostics[0].notes == ("started",)
    assert time.monotonic() - start < 20
    assert wait_until_gone(int(note.read_text()))


@pytest.mark.parametrize("tells", [True, False])
def test_ends_and_limits_where_the_system_tells_of_ends_and_where_not(
    tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tells:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert toolchain.run(["sleep", "0.05"], timeout=60).seconds >= 0.05
    with pytest.raises(ToolFailed, match=r"ended after 0\.2 seconds"):
        toolchain.run(["sleep", "600"], timeout=0.2)


def test_child_left_behind_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    toolchain.run([str(script(tmp_path, f"sleep 600 & echo $! > {note}"))], timeout=30)
    assert wait_until_gone(int(note.read_text()))


def test_memory_is_limited() -> None:
    take = "x = bytearray(2 << 30); print(len(x))"
    assert toolchain.run([sys.executable, "-c", take], timeout=60).output == f"{2 << 30}\n"
    with pytest.raises(ToolFailed) as caught:
        toolchain.run([sys.executable, "-c", take], timeout=60, memory=1 << 30)
    assert caught.value.diagnostics[0].notes[-1] == "MemoryError"


def test_arguments_reach_the_tool_as_they_are() -> None:
    odd = "a b; $HOME `id` 'x\""
    echo = [sys.executable, "-c", "import sys; print(sys.argv[1])", odd]
    assert toolchain.run(echo, timeout=30).output == odd + "\n"


def test_package_that_is_there() -> None:
    assert toolchain.require_package("os", "") is os


def test_package_that_is_missing() -> None:
    with pytest.raises(MissingTool) as caught:
        toolchain.require_package("no_such_package", "pip install no-such-package")
    assert only(caught.value) == "ACT0503"
    assert caught.value.diagnostics[0].help == "pip install no-such-package"


def test_package_with_a_broken_import_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "actc_broken_fixture.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        toolchain.require_package("actc_broken_fixture", "")


def test_no_onnxruntime_names_both_commands() -> None:
    text = str(toolchain.missing_package("onnxruntime", ""))
    assert "actc[cpu]" in text
    assert "actc[gpu]" in text
