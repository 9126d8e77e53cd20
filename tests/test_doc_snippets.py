"""Every code block of the README and of docs/ runs, or says why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from doc_snippets import ROOT, Block, SnippetError, agrees, blocks, commands, pages, run_page

EVERYTHING = [block for page in pages() for block in blocks(page)]
RUN = sorted({block.page for block in EVERYTHING if block.runs})
# Programs that pages call, beside those of Python packages.
PROGRAMS = {
    "docs/c-target.md": ("gcc", "arm-none-eabi-gcc"),
    "docs/cpu.md": ("g++", "aarch64-linux-gnu-gcc"),
    "docs/tutorial-fpga.md": ("iverilog",),
}
PACKAGES = {"docs/tutorial-fpga.md": "pyosys", "docs/hls4ml.md": "hls4ml"}
FEWEST = 38  # blocks that run or are tested: more may come, none may fall out unseen


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_blocks_run_in_the_order_of_the_page(page: str, tmp_path: Path) -> None:
    pytest.importorskip("tvm", reason="apache-tvm is not installed")
    pytest.importorskip(PACKAGES.get(page, "actc"))
    missing = [name for name in PROGRAMS.get(page, ()) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    if any("torch" in block.text for block in blocks(page)):
        pytest.importorskip("torch")
    run_page(page, tmp_path)


@pytest.mark.parametrize("block", EVERYTHING, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_that_does_not_run_says_why(block: Block) -> None:
    if "tested by" in block.comments:
        tester = ROOT / block.comments["tested by"]
        assert tester.is_file()
        if tester.suffix == ".py":
            assert Path(block.page).name in tester.read_text("utf-8")
    for kind in ("not run", "fragment"):
        if kind in block.comments:
            assert len(block.comments[kind].split()) >= 3


def test_most_blocks_run_or_are_tested() -> None:
    left_out = [block for block in EVERYTHING if "not run" in block.comments]
    assert len(EVERYTHING) - len(left_out) >= FEWEST
    assert len(left_out) < len(EVERYTHING) / 3


def test_expected_output_is_compared() -> None:
    assert agrees("a ... d\n...\nz", "a b c d\n1\n2\nz\n")
    assert agrees("...\nz\n...", "z\n")
    assert not agrees("a\nz", "a\n1\nz\n")
    assert not agrees("a", "a\nb\n")
    text = "$ one \\\n    --more\nout\n$ two\n"
    assert list(commands(text)) == [("one \\\n    --more", "out\n"), ("two", "")]


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
