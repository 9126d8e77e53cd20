"""The fuzzer's hardware oracles find what is wrong in the files that a target writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fuzz.hardware_circuits import Folded, Verilog
from fuzz.hardware_hls import BnnHls, Hls4ml
from fuzz.judged import judge
from fuzz.oracles import Case, Oracle
from models import network, normal

from actc.targets.base import BuildPlan

DEFECTS: dict[str, tuple[Oracle, str, str, str]] = {
    "a sum is a difference": (Verilog(), "rtl/model_s.v", r" \+ ", " - "),
    "a bit of a weight": (BnnHls(), "hls/*_parameters.h", r"0x(\w)(\w)u", r"0x\g<2>\g<1>u"),
}
LONG: dict[str, tuple[Oracle, str, str, str]] = {
    "weights in another order": (Folded(), "rtl/*_weights.v", r"'h(\w)(\w)", r"'h\g<2>\g<1>"),
    "the sign of a weight": (Hls4ml(), "project/firmware/weights/w2.txt", r"(?<!-)(\d+)", r"-\1"),
}


SEED = 3
"""Hardware options that follow from it: those of AMD's tools."""


def case() -> Case:
    """A dense layer with an activation, small options of hardware."""
    weights = {"w": normal(3, 4, seed=1), "b": normal(4, seed=2)}
    body = "s = Gemm (x, w, b)\ny = Tanh (s)"
    model = network("float[N,3] x => float[N,4] y", body, weights)
    samples = normal(8, 3, seed=3)
    return Case(model.SerializeToString(), {"x": samples}, {"x": 9 * samples}, {}, SEED)


def found(defect: tuple[Oracle, str, str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What an oracle finds where a defect is put into what the target writes."""
    oracle, files, old, new = defect
    if not oracle.accepts(case()):
        pytest.skip(f"what {oracle.name} needs is not installed")
    write = BuildPlan.write

    def with_defect(plan: BuildPlan, directory: Path) -> None:
        write(plan, directory)
        path = sorted(directory.glob(files))[0]
        text, count = re.subn(old, new, path.read_text(), count=1)
        assert count == 1, path
        path.write_text(text)

    monkeypatch.setattr(BuildPlan, "write", with_defect)
    verdict = judge(case(), oracle)
    assert verdict.finding is not None, verdict.refused
    return verdict.finding.key


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "golden" in found(DEFECTS[name], monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_more_defects_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search("golden|Verilog|simulation", found(LONG[name], monkeypatch))
