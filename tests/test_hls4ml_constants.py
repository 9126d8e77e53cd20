"""Target hls4ml: constants that its C simulation and synthesis read from different files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hls4ml_networks import needs_hls4ml, program_of

from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.units.constants import check_constants
from actc.targets.hls4ml.worker import PROJECT


def written(folder: Path, backend: str) -> Path:
    options = Options(backend)
    network = lower(program_of(3), "net", "parallel", own=BACKENDS[backend].own)
    for name, content in project_files(network, options).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / PROJECT


@needs_hls4ml
@pytest.mark.parametrize("backend", ["Vitis", "Catapult"])
def test_both_files_of_each_constant(backend: str, tmp_path: Path) -> None:
    project = written(tmp_path, backend)
    (rung,) = check_constants(project)
    headers = len(list((project / "firmware/weights").glob("*.h")))
    assert (rung.result, rung.detail.split()[0]) == ("equal", str(headers))

    header = project / "firmware/weights/w5.h"
    text = header.read_text("utf-8")
    head, brace, numbers = text.rpartition("{")
    first, comma, rest = numbers.partition(",")
    header.write_text(f"{head}{brace}{int(first) + 1}{comma}{rest}", "utf-8")
    (rung,) = check_constants(project)
    assert rung.result == "differs"
    assert f"w5.h, number 0: synthesis reads {int(first) + 1}" in rung.detail

    header.write_text(f"{head}{brace}{rest}", "utf-8")
    (rung,) = check_constants(project)
    assert "w5.h has" in rung.detail
    header.unlink()
    (rung,) = check_constants(project)
    assert "w5.h has no numbers" in rung.detail


@needs_hls4ml
def test_backends_that_have_one_file(tmp_path: Path) -> None:
    assert check_constants(written(tmp_path, "Quartus")) == []
