"""Fixtures that several test files use."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from command_line import ROOT, CommandLine
from fake_tools import Fake, fake_tools
from hypothesis import HealthCheck, settings
from small_models import make_data, make_model
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

# A busy machine makes any example slow once; what is tested is the result, not the time.
# CI draws the same examples each time: a chance find belongs to whoever searches, not to the
# change that happens to be tested.
settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("untimed")

# What is tested is computed: a result of an earlier run, from the user's cache, would hide faults.
os.environ["ACTC_CACHE_SIZE"] = "0"

# BLAS's threads wait for work in loops, as torch's below: two of them make products of small
# matrices take ten times as long where another process tests beside this one. The limit is for
# numpy, which has its threads already, the variable for scipy and for processes.
threadpool_limits(limits=1, user_api="blas")
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# A process of actc that may keep what it compiled begins in two thirds of the time.
if "CI" in os.environ:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def seed_generators() -> None:
    """Seed what libraries draw from when they are given no generator."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


class SeededTorch(MetaPathFinder):
    """Seeds torch where it is imported: it begins with a random seed, also within a test.

    It keeps to one thread: its others, which wait for work in loops, take the time of the tests
    beside them, and what a test finds must not depend on their number.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "torch" else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            module.set_num_threads(1)
            seed_generators()

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, SeededTorch())


def pytest_configure(config: pytest.Config) -> None:
    """Files go to the workers in the order of `pytest_collection_modifyitems`."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with the most long tests come first, those with few tests last.

    A worker that took a long file at the end would have the others wait.
    """
    sizes = Counter((item.path, item.get_closest_marker("slow") is not None) for item in items)
    items.sort(key=lambda item: (-sizes[item.path, True], -sizes[item.path, False], item.path))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup() -> None:
    """Every fixture, of whatever scope, finds the global generators as if it were the first."""
    seed_generators()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """And so does every test: what ran before in this process changes no result."""
    seed_generators()


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
