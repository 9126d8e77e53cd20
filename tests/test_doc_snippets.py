"""Every code block of the README and of docs/ runs, or says why not."""

from __future__ import annotations

import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
from doc_snippets import (
    ROOT,
    Block,
    SnippetError,
    agrees,
    blocks,
    commands,
    lines,
    pages,
    run_page,
)
from packaging.requirements import Requirement

from actc.targets.tvm.cuda.toolkit import locate_nvcc

EVERYTHING = [block for page in pages() for block in blocks(page)]
RUN = sorted({block.page for block in EVERYTHING if block.runs})
# Programs that pages call, beside those of Python packages.
PROGRAMS = {
    "docs/c-target.md": ("gcc", "arm-none-eabi-gcc"),
    "docs/cpu.md": ("g++", "aarch64-linux-gnu-gcc"),
    "docs/folded.md": ("iverilog", "verilator"),
    "docs/fuzzing.md": ("make", "g++"),
    "docs/hls4ml.md": ("g++", "tclsh"),
    "docs/peers.md": ("make",),
    "docs/run-on-board.md": ("iverilog",),
    "docs/tutorial-fpga.md": ("iverilog",),
}
PACKAGES = {
    **dict.fromkeys(
        ("docs/folded.md", "docs/run-on-board.md", "docs/tutorial-fpga.md"), ("pyosys", "serial")
    ),
    "docs/hls4ml.md": ("hls4ml",),
    "docs/verification.md": ("pyosys",),
}
# What remains, by page: nothing may be added.
NOT_RUN = {"docs/cpu.md": 1, "docs/supply-chain.md": 1}  # they download what CI has
FRAGMENTS = {"docs/verification.md": 1}  # it wants a routed design


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_blocks_run_in_the_order_of_the_page(page: str, tmp_path: Path) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    for package in PACKAGES.get(page, ()):
        pytest.importorskip(package)
    if page == "README.md" and locate_nvcc() is None:
        pytest.skip("nvcc is not installed (pip install 'actc[cuda]')")
    missing = [name for name in PROGRAMS.get(page, ()) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    if any("torch" in block.text for block in blocks(page)):
        pytest.importorskip("torch")
    run_page(page, tmp_path)


@pytest.mark.parametrize("block", EVERYTHING, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_that_does_not_run_says_why(block: Block) -> None:
    for name in block.comments.get("tested by", "").split():
        tester = ROOT / name
        assert tester.is_file()
        if tester.suffix == ".py":
            assert Path(block.page).name in tester.read_text("utf-8")
    for kind in ("not run", "fragment"):
        if kind in block.comments:
            assert len(block.comments[kind].split()) >= 3


TESTED = [
    block
    for block in EVERYTHING
    if re.search(r"\.md|Makefile", block.comments.get("tested by", ""))
]


@pytest.mark.parametrize("block", TESTED, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_that_runs_elsewhere_has_the_same_lines_there(block: Block) -> None:
    there: set[str] = set()
    for name in block.comments["tested by"].split():
        if name == "Makefile":
            text = (ROOT / name).read_text("utf-8").replace("\\\n", " ").replace("$(BIN)/", "")
            there |= {re.sub(r"\s+", " ", line).strip() for line in text.splitlines()}
        else:
            others = [b for b in blocks(name) if {"not run", "installs"}.isdisjoint(b.comments)]
            there |= {line for other in others for line in lines(other.text)}
    assert set(lines(block.text)) <= there


@pytest.mark.parametrize(
    "block",
    [block for block in EVERYTHING if "installs" in block.comments],
    ids=lambda block: f"{block.page}:{block.line}",
)
def test_what_pages_install_is_there(block: Block) -> None:
    """Extras are in pyproject.toml, files in the checkout, Debian's packages in CI's list."""
    extras = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    system = (ROOT / ".ci" / "system-packages").read_text("utf-8")
    for words in map(shlex.split, lines(block.text)):
        if words[0] == "apt-get":
            assert words[1] == "install"
            assert all(re.search(rf"\b{re.escape(name)}\b", system) for name in words[2:])
        elif words[0] == "pip":
            assert words[1] == "install"
            named = [word for word in words[2:] if word.startswith((".", "actc"))]
            assert named
            for name in named:
                found = Requirement("actc" + name.removeprefix(".").removeprefix("actc"))
                assert found.extras <= set(extras)
            files = [words[k + 1] for k, word in enumerate(words) if word in ("-c", "-r")]
            assert all((ROOT / name).is_file() for name in files)
        else:
            assert words[:3] == ["python3", "-m", "venv"]


def test_what_remains_only_shrinks() -> None:
    for kind, most in (("not run", NOT_RUN), ("fragment", FRAGMENTS)):
        assert Counter(block.page for block in EVERYTHING if kind in block.comments) == most


def test_expected_output_is_compared() -> None:
    assert agrees("a ... d\n...\nz", "a b c d\n1\n2\nz\n")
    assert agrees("...\nz\n...", "z\n")
    assert not agrees("a\nz", "a\n1\nz\n")
    assert not agrees("a", "a\nb\n")
    text = "$ one \\\n    --more\nout\n$ two\n"
    assert list(commands(text)) == [("one \\\n    --more", "out\n"), ("two", "")]
    assert lines(text + "$ three  # what it does\n") == ["one --more", "two", "three"]


def test_what_runs_in_the_place_of_the_text_must_be_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("doc_snippets.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("<!-- run as: 10 => 1; a => b -->\n```console\n$ test a10 = b1\n```\n")
    run_page("page.md", tmp_path / "run")
    page.write_text("<!-- run as: 11 => 1 -->\n```console\n$ true\n```\n")
    (tmp_path / "again").mkdir()
    with pytest.raises(SnippetError, match="no '11'"):
        run_page("page.md", tmp_path / "again")


def test_a_shell_keeps_its_folder_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = "```console\n$ mkdir -p 'a b' && cd 'a b'\n$ echo $SAID ${PWD##*/}\nthat is a b\n```"
    (tmp_path / "page.md").write_text(f'<!-- before: export SAID="that is" -->\n{block}\n')
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("doc_snippets.ROOT", tmp_path)
    run_page("page.md", tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```console\n$ true\n$ false\n```", "status 1"),
        ("```console\n$ echo 1\n2\n```", "--- printed:\n1"),
        ("```python\nx = 1\n```\n\n```python\nassert x == 2\n```", "AssertionError"),
        (
            "<!-- fragment: names are missing -->\n```python\nfrom actc import nothing\n```",
            "nothing",
        ),
        ("```toml\na = \n```", "toml"),
    ],
)
def test_a_block_that_fails_is_found(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text(f"# Page\n\n{text}\n", "utf-8")
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("doc_snippets.ROOT", tmp_path)
    with pytest.raises((SnippetError, ValueError)) as caught:
        run_page("page.md", tmp_path / "run")
    assert said in f"{type(caught.value).__module__} {caught.value}"
