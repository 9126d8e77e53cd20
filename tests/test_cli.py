"""The command line's contracts that hold for every command."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from command_line import CommandLine, run_process

from actc import cli, doctor
from actc.codes import CODES

COMMANDS = (
    *(
        "compile",
        "check",
        "bisect",
        "inspect",
        "explore",
        "fit",
        "verify",
        "functions",
        "build",
        "run",
        "targets",
        "report",
        "reproduce",
        "explain",
        "cache",
        "doctor",
        "completion",
    ),
)
GROUPS = {"config": ("show",), "debug": ("reduce",)}


def test_version(actc_cli: CommandLine, tmp_path: Path) -> None:
    done = run_process(tmp_path, "--version")
    assert (done.status, done.stdout) == (0, f"actc {metadata.version('actc')}\n")
    assert actc_cli("--version", "--json").document == {"actc": metadata.version("actc")}


def test_help_lists_every_command(actc_cli: CommandLine) -> None:
    done = actc_cli("--help")
    assert done.status == 0
    assert not done.stderr
    listed = done.stdout[done.stdout.index("Commands:") :]
    assert [line.split()[0] for line in listed.splitlines()[1:]] == [*COMMANDS, *GROUPS]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(actc_cli: CommandLine, command: str) -> None:
    done = actc_cli(command, "--help")
    assert done.status == 0
    assert f"Usage: actc {command}" in done.stdout
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    "command", [(group, name) for group, names in GROUPS.items() for name in names]
)
def test_help_of_a_command_of_two_words(actc_cli: CommandLine, command: tuple[str, str]) -> None:
    done = actc_cli(*command, "--help")
    assert done.status == 0
    assert f"Usage: actc {' '.join(command)}" in done.stdout
    assert "--json" in done.stdout
    assert command[1] in actc_cli(command[0], "--help").stdout


def test_console_script() -> None:
    script = Path(sys.executable).parent / "actc"
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"actc {metadata.version('actc')}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "no command is given", "actc --help"),
        (("compil",), "No such command 'compil'", "did you mean 'actc compile'?"),
        (("xyzzy",), "No such command 'xyzzy'", "see `actc --help`"),
        (("compile",), "Missing argument 'MODEL.onnx'", "actc compile --help"),
        (("compile", "m.onnx", "--taget", "cpu"), "--taget", "did you mean '--target'?"),
        (("compile", "m.onnx", "--max-drop", "much"), "'--max-drop'", "actc compile --help"),
        (("compile", "m.onnx", "-o"), "-o", "actc compile --help"),
        (("check", "dir"), "Missing option '--data'", "actc check --help"),
        (("explain", "ACT0001", "more"), "more", "actc explain --help"),
        (("--jsn", "doctor"), "--jsn", "did you mean '--json'?"),
    ],
)
def test_wrong_command_line(
    actc_cli: CommandLine, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = actc_cli(*arguments)
    assert done.status == 2
    assert done.stderr.startswith("error[ACT0203]: ")
    assert message in done.stderr
    assert hint in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json",),
        ("--json", "compil"),
        ("compile", "--json"),
        ("compile", "m.onnx", "--taget", "cpu", "--json"),
        ("check", "dir", "--json"),
        ("report", "absent", "--json"),
        ("explain", "ACT9999", "--json"),
        ("targets", "cup", "--json"),
        ("inspect", "absent.onnx", "--json"),
        ("compile", "absent.onnx", "--json"),
        ("compile", "absent.onnx", "--target", "cup", "--json"),
    ],
)
def test_json_on_wrong_usage(actc_cli: CommandLine, arguments: tuple[str, ...]) -> None:
    done = actc_cli(*arguments)
    assert done.status == 2
    assert done.document["exit_status"] == 2
    (found,) = done.document["diagnostics"]
    assert found["code"] in CODES
    assert found["severity"] == "error"
    assert f"error[{found['code']}]: {found['message']}" in done.stderr


def test_words_behind_two_dashes_are_no_options(actc_cli: CommandLine) -> None:
    done = actc_cli("explain", "--", "--json")
    assert done.status == 2
    assert done.stdout == ""
    assert "unknown code '--json'" in done.stderr


def test_explain_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    for code, info in CODES.items():
        assert cli.main(["explain", code.lower()]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"{code}: {info.title}\n\n")
        assert " ".join(printed.split("\n\n", 1)[1].split()) == " ".join(info.explanation.split())


def test_explain_as_json(actc_cli: CommandLine) -> None:
    assert actc_cli("explain", "act0001", "--json").document == {
        "code": "ACT0001",
        "title": CODES["ACT0001"].title,
        "explanation": CODES["ACT0001"].explanation,
    }


def test_explain_suggests(actc_cli: CommandLine) -> None:
    done = actc_cli("explain", "ATC0001")
    assert done.status == 2
    assert "unknown code 'ATC0001'" in done.stderr
    assert "did you mean 'ACT0001'?" in done.stderr


def test_targets(actc_cli: CommandLine) -> None:
    found = {target["name"]: target for target in actc_cli("targets", "--json").document["targets"]}
    assert {"cpu", "onnx"} <= set(found)
    assert all(target["ready"] and not target.get("broken") for target in found.values())
    text = actc_cli("targets").stdout
    assert all(target["summary"].split()[0] in text for target in found.values())


def test_one_target(actc_cli: CommandLine) -> None:
    found = actc_cli("targets", "cpu", "--json").document
    assert found["precisions"][0] == "int8"
    assert {"forms", "operators", "products", "tools"} <= set(found)
    text = actc_cli("targets", "cpu").stdout
    assert all(path in text for path in found["products"])


@pytest.mark.parametrize("name", ["cup", "CPU"])
def test_unknown_target_is_near_another(actc_cli: CommandLine, name: str) -> None:
    done = actc_cli("targets", name)
    assert done.status == 2
    assert "did you mean 'cpu'?" in done.stderr


def test_doctor(actc_cli: CommandLine) -> None:
    done = actc_cli("doctor", "--json")
    assert done.status == 0
    assert done.document["actc"] == metadata.version("actc")
    versions = {p["name"]: p["version"] for p in done.document["packages"]}
    assert versions["onnx"] == metadata.version("onnx")
    assert {target["name"] for target in done.document["targets"]} >= {"cpu", "onnx"}
    assert "target cpu: ready" in actc_cli("doctor").stdout


@pytest.mark.parametrize(
    ("installed", "status", "code"),
    [
        ([], 4, "ACT0504"),
        (["onnxruntime"], 0, None),
        (["onnxruntime-gpu"], 0, None),
        (["onnxruntime", "onnxruntime-gpu"], 0, "ACT0505"),
    ],
)
def test_doctor_wants_exactly_one_onnxruntime(
    installed: list[str],
    status: int,
    code: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "runtime_distributions", lambda: installed)
    assert cli.main(["doctor", "--json"]) == status
    captured = capfd.readouterr()
    found = json.loads(captured.out)["diagnostics"]
    assert [item["code"] for item in found] == ([code] if code else [])
    for item in found:
        assert "pip install 'actc[cpu]'" in item["help"]
        assert "pip install 'actc[gpu]'" in item["help"]


@pytest.fixture
def without_onnxruntime(tmp_path: Path) -> dict[str, str]:
    """An environment whose Python does not find onnxruntime."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['onnxruntime'] = None\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("arguments", [("--version",), ("targets",), ("explain", "ACT0504")])
def test_works_without_onnxruntime(
    tmp_path: Path, without_onnxruntime: dict[str, str], arguments: tuple[str, ...]
) -> None:
    assert run_process(tmp_path, *arguments, environment=without_onnxruntime).status == 0


def test_compile_without_onnxruntime_is_one_sentence(
    tmp_path: Path, without_onnxruntime: dict[str, str], root: Path
) -> None:
    directory = tmp_path / "cwd"
    directory.mkdir()
    arguments = ("compile", root / "examples/digits/mlp.onnx", "--target", "onnx", "--json")
    done = run_process(directory, *arguments, environment=without_onnxruntime)
    assert done.status == 4
    assert done.codes == ["ACT0504"]
    assert not list(directory.iterdir())


def test_broken_reader_is_no_error() -> None:
    command = f"{sys.executable} -m actc targets --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def in_terminal(*arguments: str, **environment: str) -> str:
    """What the command line writes to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "actc", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment},
    )
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 4096)
        except OSError:  # the terminal closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    process.wait()
    os.close(leader)
    return b"".join(chunks).decode()


RED = "\x1b[1;31m"


def test_colour_in_a_terminal_only(actc_cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert RED in in_terminal("explain", "ACT9999")
    assert RED not in in_terminal("explain", "ACT9999", NO_COLOR="1")
    assert "\x1b" not in actc_cli("explain", "ACT9999").stderr


def test_names_cannot_steer_the_terminal(actc_cli: CommandLine) -> None:
    done = actc_cli("explain", "evil\x1b[2J\u202e")
    assert "\x1b" not in done.stderr
    assert "\\x1b[2J\\u202e" in done.stderr


def test_long_diagnostics_are_not_wrapped(actc_cli: CommandLine) -> None:
    name = "x" * 300
    assert f"unknown code '{name}'\n" in actc_cli("explain", name).stderr


def test_progress_is_a_spinner_in_a_terminal_only(
    actc_cli: CommandLine, model: Path, data: Path, tmp_path: Path
) -> None:
    hide_cursor = "\x1b[?25l"
    arguments = [str(a) for a in ("compile", model, "-t", "onnx", "--data", data)]
    seen = in_terminal(*arguments, "-o", str(tmp_path / "out"))
    assert hide_cursor in seen
    assert "actc: load" not in seen
    assert "report.html" in seen
    done = actc_cli(*arguments)
    assert hide_cursor not in done.stderr
    assert done.stderr.startswith("actc: load\n")
