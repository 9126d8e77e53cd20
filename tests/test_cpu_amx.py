"""AMX kernels of the `cpu` target against the definition, bit for bit; refused tiles too."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

import tvm
from test_cpu_kernels import EPILOGUES, HOST, Case, check, compiled, spec

from actc.targets.tvm.kernels import conv_amx
from actc.targets.tvm.kernels.conv import conv_prim_func
from actc.targets.tvm.kernels.conv_amx import amx_plan
from actc.targets.tvm.kernels.spec import ConvSpec

AMX = frozenset({"amx-int8", "amx-tile", "avx512vnni", "avx512vl", "avx512bw", "avx2", "sse2"})
needs_amx = pytest.mark.skipif(not AMX <= HOST, reason="this CPU lacks amx-int8")

SPECS = {
    "rows": spec((1, 61, 256), 96),
    "odd-blocks": spec((1, 33, 300), 45),
    "one-block": spec((1, 16, 256), 16),
    "pointwise-map": spec((5, 7, 256), 33),
    "conv1d": spec((1, 75, 64), 40, (1, 5)),
    "padded": spec((14, 14, 32), 34, (3, 3), pads=(1, 1, 1, 1)),
    "strided": spec((13, 29, 32), 64, (3, 3), (2, 2), (1, 0, 1, 1)),
    "dilated": spec((12, 40, 64), 20, (3, 3), dilations=(2, 2), pads=(2, 1, 0, 3)),
    "narrow-steps": spec((9, 9, 48), 24, (3, 3)),
    "small-map": spec((7, 7, 32), 64, (3, 3), pads=(1, 1, 1, 1), batch=3),
    "symbolic": spec((7, 9, 64), 40, (3, 3), pads=(1, 1, 1, 1), batch=None),
    "symbolic-rows": spec((1, 20, 320), 40, batch=None),
}


def run(conv: ConvSpec, seed: int = 0) -> None:
    assert amx_plan(conv, HOST) is not None
    check(Case.random(conv, conv.batch or 3, seed), HOST)


@needs_amx
@pytest.mark.parametrize("name", SPECS)
def test_every_shape(name: str) -> None:
    run(SPECS[name])


@needs_amx
@pytest.mark.parametrize("name", EPILOGUES)
def test_every_epilogue(name: str) -> None:
    run(spec((8, 9, 32), 36, (3, 3), pads=(1, 1, 1, 1), epilogue=EPILOGUES[name]))


@needs_amx
@pytest.mark.parametrize("name", ["odd-blocks", "padded", "symbolic-rows"])
def test_without_permission_vectors_multiply(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_amx, "_TILE_DATA", 62)  # no such feature: the kernel refuses
    compiled.cache_clear()
    try:
        run(SPECS[name])
    finally:
        compiled.cache_clear()


@needs_amx
@pytest.mark.parametrize("seed", range(8))
def test_random_layers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    while True:
        conv = spec(
            (int(rng.integers(5, 12)), int(rng.integers(11, 40)), int(rng.integers(30, 90))),
            int(rng.integers(16, 70)),
            (int(rng.integers(1, 4)), int(rng.integers(2, 6))),
            (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            (pads[0], pads[1], pads[2], pads[3]),
            (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
            batch=[1, 2, None][seed % 3],
            x_zero=int(rng.integers(0, 256)),
        )
        if amx_plan(conv, HOST) is not None:
            break
    run(conv, seed)


@needs_amx
@pytest.mark.parametrize(("code", "tap"), [(255, -128), (255, 127), (0, -128)])
def test_extreme_products(code: int, tap: int) -> None:
    conv = spec((1, 20, 512), 32, x_zero=255 - code, epilogue=EPILOGUES["accumulator"])
    case = Case.random(conv, 1)
    case.x[:], case.weight[:] = code, tap
    check(case, HOST)


def test_code_for_other_cpus_uses_tiles() -> None:
    function = conv_prim_func(SPECS["rows"], AMX)
    target = tvm.target.Target(
        {"kind": "llvm", "mcpu": "sapphirerapids", "mtriple": "x86_64-unknown-linux-gnu"}
    )
    module = tvm.tirx.build(tvm.IRModule({"conv": function}), target=target)
    assert "tdpbusd" in module.inspect_source("asm")


def test_small_layers_are_left_to_vectors() -> None:
    for conv in (spec((1, 1, 512), 64), spec((14, 14, 1), 32, (3, 3)), spec((9, 9, 64), 12)):
        assert amx_plan(conv, AMX) is None
    assert amx_plan(SPECS["rows"], AMX - {"amx-int8"}) is None
