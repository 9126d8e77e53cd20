"""Fixtures that several test files use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import ROOT, CommandLine
from fake_tools import Fake, fake_tools
from hypothesis import settings
from small_models import make_data, make_model

# A busy machine makes any example slow once; what is tested is the result, not the time.
# CI draws the same examples each time: a chance find belongs to whoever searches, not to the
# change that happens to be tested.
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")


@pytest.fixture
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture
def actc_cli(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line, run in an empty directory."""
    directory = tmp_path / "cwd"
    directory.mkdir()
    return CommandLine(directory, capfd)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model that compiles."""
    return make_model(tmp_path / "small.onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Data for the small model."""
    return make_data(tmp_path / "data.npz")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Put a script in the place of a tool of the FPGA flow."""
    return fake_tools(tmp_path, monkeypatch)
