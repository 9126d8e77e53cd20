"""The checkout and the wheel: links in place, nothing left out."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["passes", "targets"])
def test_links(root: Path, name: str) -> None:
    link = root / "actc" / name
    assert link.is_symlink(), (
        f"actc/{name} is not a link to ../{name}: this checkout lost its symbolic links; "
        "run: git config core.symlinks true && git checkout -- actc"
    )
    assert link.resolve() == root / name


def sources(root: Path) -> set[str]:
    """The files that git tracks, where the wheel must have them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "actc", "passes", "targets"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = [name for name in listed.split("\0") if name and (root / name).is_file()]
    return {name if name.startswith("actc/") else f"actc/{name}" for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    root = Path(__file__).resolve().parent.parent
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--no-build-isolation", "-w", str(folder), str(root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("actc-*.whl")))


def test_wheel_is_complete(root: Path, wheel: zipfile.ZipFile) -> None:
    expected = sources(root)
    assert "actc/report/templates/report.html.j2" in expected
    assert "actc/targets/base.py" in expected
    assert expected - set(wheel.namelist()) == set()


def test_wheel_holds_nothing_else(root: Path, wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"actc"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_wheel_holds_files_where_the_checkout_has_links(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("actc/targets/base.py").startswith(b'"""')


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(info).decode()
    assert "License-Expression: Apache-2.0" in metadata
    for extra in ("cpu", "gpu", "tvm", "torch", "hls4ml", "fpga", "bench", "dev"):
        assert f"Provides-Extra: {extra}\n" in metadata
    scripts = wheel.read(info.replace("METADATA", "entry_points.txt")).decode()
    assert "actc = actc.cli:main" in scripts
    assert [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]


def test_pins_cover_every_dependency(root: Path) -> None:
    """Each direct dependency and extra has an exact version in constraints.txt."""
    import re

    pins = re.findall(r"^([\w.-]+)==", (root / "constraints.txt").read_text(), re.MULTILINE)
    pinned = {name.lower().replace("_", "-") for name in pins}
    text = (root / "pyproject.toml").read_text()
    text = text[text.index("dependencies = [") : text.index("[project.scripts]")]
    wanted = set(re.findall(r'"([a-z][\w-]*?)(?=[>=<"])', text))
    assert {"onnx", "onnxruntime", "torch", "ruff"} <= wanted
    assert wanted - pinned == {"onnxruntime-gpu"}, "add the pin (the CUDA build is not tested)"
