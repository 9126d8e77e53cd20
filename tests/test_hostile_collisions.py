"""Names that collide in generated code: each target's tools compile it, and it equals golden."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hls4ml_networks import needs_hls4ml
from hostile.collisions import KINDS, collisions
from installed import needs_gcc, needs_gxx, needs_iverilog, needs_nvcc, needs_tvm

import actc
from actc.ir.execute import Session
from actc.targets.fpga.assembly import core_name
from actc.targets.fpga.hdl.names import PORT_WORDS, identifier
from actc.targets.fpga.hdl.verilog import ADDRESS, CLOCK
from actc.targets.named import make_target

_SLOW = pytest.mark.slow
_HLS = [needs_hls4ml, needs_gxx, _SLOW]
_BACKENDS = ("vivado", "quartus", "catapult", "oneapi")


def sources(target: str, kind: str, *marks: Any) -> Any:
    """A target whose sources are written, and compiled or simulated when it is loaded."""
    return pytest.param(target, kind, marks=marks, id=f"{target}-{kind}")


def feeds_of(model: onnx.ModelProto) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(2)
    widths = {v.name: v.type.tensor_type.shape.dim[1].dim_value for v in model.graph.input}
    return {k: rng.standard_normal((20, n)).astype(np.float32) for k, n in widths.items()}


def given(folder: Path, kind: str, two: bool) -> tuple[Path, dict[str, np.ndarray[Any, Any]]]:
    """A model's file, called as the first name, and data."""
    model = collisions(kind, two)
    path = folder / f"{KINDS[kind][0]}.onnx"
    onnx.save(model, path)
    return path, feeds_of(model)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        *(sources("c", kind, needs_gcc) for kind in KINDS),
        sources("bnn-hls", "own", needs_gxx),
        *(sources("bnn-hls", kind, needs_gxx, _SLOW) for kind in ("equal", "words")),
        *(sources("hls4ml", kind, *_HLS) for kind in KINDS),
        *(sources(f"hls4ml:{b}", "own", *_HLS) for b in _BACKENDS),
        *(sources("verilog", kind, needs_iverilog, _SLOW) for kind in KINDS),
        sources("ice40-hx8k", "own", needs_iverilog, _SLOW),
    ],
)
def test_sources_equal_golden(target: str, kind: str, tmp_path: Path) -> None:
    model, feeds = given(tmp_path, kind, two=target == "c")
    plan = actc.compile(model, target=target, data=feeds, dry_run=True, max_drop=1.0).plan
    assert plan is not None
    plan.write(tmp_path / "out")
    found = make_target(plan.target).load(tmp_path / "out")(feeds)
    wanted = Session(onnx.load(tmp_path / "out" / "golden.onnx")).run(feeds)
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "name",
    ["clk", "CLK", "address", "in", "out", "reset", "wire", "actc", "pll" * 40, "", "é", "9"],
)
def test_names_of_hardware_stay(name: str) -> None:
    """A directory names the network of its hardware, which is built from that name again."""
    core = core_name(name)
    assert core_name(core) == core == identifier(core)
    assert core.lower() not in (ADDRESS, CLOCK, *PORT_WORDS)


@_SLOW
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "target", [pytest.param("cpu", marks=needs_tvm), pytest.param("cuda:sm_80", marks=needs_nvcc)]
)
def test_machine_code_equals_golden(target: str, kind: str, tmp_path: Path) -> None:
    """Compiling compares it with golden; names of inputs and outputs are kept."""
    model, feeds = given(tmp_path, kind, two=True)
    found = actc.compile(model, target=target, data=feeds, output=tmp_path / "out", max_drop=1.0)
    assert found.report["bit_exact"] is True
    assert set(found.run(feeds)) == {v.name for v in onnx.load(model).graph.output}
