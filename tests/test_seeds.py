"""The tests' own footing: no test finds what another one left of a global generator."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent


def draws() -> tuple[float, float]:
    return random.random(), float(np.random.random())  # noqa: NPY002


@pytest.fixture(scope="module")
def first() -> tuple[float, float]:
    return draws()


@pytest.mark.parametrize("turn", range(2))
def test_generators_begin_again(turn: int, first: tuple[float, float]) -> None:
    """Twice the same, and the same in a fixture that lives longer than a test."""
    assert draws() == first
    assert draws() != first


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [True, False])
def test_torch_begins_again(fresh: bool, tmp_path: Path) -> None:
    """Whether the first test imports torch, or it was there before, modules draw the same."""
    pytest.importorskip("torch")
    test = """
        def test_weights():
            import torch
            weights = torch.nn.Linear(3, 1).weight.detach()
            assert torch.initial_seed() == 0
            torch.manual_seed(0)
            assert weights.equal(torch.nn.Linear(3, 1).weight)
        """
    first = "" if fresh else "import torch\ntorch.rand(3)\n"
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_weights.py").write_text(first + textwrap.dedent(test))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_weights.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout
