"""Files whose parsers fail in their own ways end in the diagnostic of their reader."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from actc import data
from actc.data import InputInfo
from actc.errors import UsageError
from actc.rms_fitting import read_weights
from actc.sensitivity.record import FORMATS, golden_names
from actc.targets.fpga.boards.load import find_board

SEEDS = Path(__file__).parent / "fuzz" / "corpus_guided"
INPUTS = [InputInfo("x", np.dtype(np.float32), (None, 3))]
BROKEN = (
    "archive-of-version-23", "bytes-for-an-array", "bytes-for-labels", "bytes-for-lengths",
    "fields-of-bytes-and-text", "header-not-closed", "patched-archive",
)  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_arrays(name: str) -> None:
    """numpy and zipfile raise TokenError, NotImplementedError and TypeError, or give bytes."""
    with pytest.raises(UsageError, match="ACT0220"):
        data.load(SEEDS / "data" / name, INPUTS)
    with pytest.raises(UsageError, match="ACT0365"):
        read_weights(SEEDS / "data" / name)


@pytest.mark.parametrize("name", ["deep", "long-number"])
def test_boards(name: str) -> None:
    with pytest.raises(UsageError, match="ACT0589"):
        find_board(str(SEEDS / "board" / f"{name}.toml"))


def test_formats_without_end(tmp_path: Path) -> None:
    (tmp_path / FORMATS).write_text("[" * 200_000, "utf-8")
    with pytest.raises(UsageError, match="ACT0233"):
        golden_names(tmp_path)


def test_pipes_do_not_block(tmp_path: Path) -> None:
    for name in (FORMATS, "weights.npz", "board.toml"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match="ACT0233"):
        golden_names(tmp_path)
    with pytest.raises(UsageError, match="ACT0365"):
        read_weights(tmp_path / "weights.npz")
    with pytest.raises(UsageError, match="ACT0589"):
        find_board(str(tmp_path / "board.toml"))
