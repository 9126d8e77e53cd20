"""Convolution kernels of the `cpu` target against a plain numpy reference, bit for bit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, fold_bias, padded

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels.conv import conv_prim_func, pack_weight  # noqa: E402

HOST = host_cpu().features
INSTRUCTION_SETS = {
    "vnni512": frozenset({"avx512vnni", "avx512vl", "avx512bw", "avx2", "sse2"}),
    "vnni256": frozenset({"avxvnni", "avx2", "sse2"}),
    "pairs512": frozenset({"avx512bw", "avx512vl", "avx2", "sse2"}),
    "pairs256": frozenset({"avx2", "sse2"}),
    "pairs128": frozenset({"sse2"}),
    "plain": frozenset[str](),
}
TABLE = Epilogue("requantize+table", 38, 7, 0, 255)


def spec(
    shape: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int] = (1, 1),
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    group: int = 1,
    batch: int | None = 1,
    x_zero: int = 131,
    epilogue: Epilogue = TABLE,
) -> ConvSpec:
    return ConvSpec(batch, *shape, out_c, kernel, strides, pads, dilations, group, x_zero, epilogue)


SPECS = {
    "one-channel": spec((8, 8, 1), 16, (3, 3), pads=(1, 1, 1, 1)),
    "one-channel-strided": spec((9, 11, 1), 5, (5, 7), (2, 3), (2, 3, 1, 0)),
    "one-channel-dilated": spec((9, 12, 1), 20, (3, 3), dilations=(2, 3)),
    "two-channels": spec((6, 7, 2), 8, (3, 3), pads=(1, 1, 1, 1)),
    "three-channels": spec((12, 18, 3), 8, (3, 3), (2, 2), (1, 1, 1, 1)),
    "odd-channels": spec((5, 6, 7), 9, (3, 2), pads=(0, 1, 1, 0)),
    "twelve-out": spec((5, 6, 6), 12, (2, 2)),
    "many-out": spec((4, 9, 24), 61, (3, 3), pads=(1, 1, 1, 1)),
    "dilated": spec((9, 9, 8), 16, (3, 3), dilations=(2, 2), pads=(2, 2, 2, 2)),
    "asymmetric": spec((7, 5, 4), 16, (3, 3), (2, 1), (0, 2, 1, 1)),
    "kernel-of-the-map": spec((4, 5, 8), 10, (4, 5)),
    "wide-pointwise": spec((3, 40, 16), 40),
    "narrow-pointwise": spec((5, 7, 10), 33),
    "strided-pointwise": spec((6, 8, 8), 16, strides=(2, 2)),
    "single-pixel": spec((1, 1, 30), 70),
    "conv1d": spec((1, 37, 16), 48, (1, 5), pads=(0, 2, 0, 2)),
    "conv1d-strided": spec((1, 37, 5), 6, (1, 4), (1, 3), (0, 1, 0, 2)),
    "rows": spec((1, 21, 50), 20),
    "groups-of-4": spec((5, 6, 16), 32, (3, 3), pads=(1, 1, 1, 1), group=4),
    "odd-groups": spec((5, 6, 15), 10, (3, 3), group=5),
    "grouped-dilated": spec((7, 8, 24), 72, (1, 3), dilations=(1, 2), group=3),
    "multiplied-depthwise": spec((5, 6, 8), 24, (3, 3), group=8),
    "depthwise": spec((6, 7, 32), 32, (3, 3), pads=(1, 1, 1, 1), group=32),
    "depthwise-strided": spec((9, 10, 20), 20, (5, 5), (2, 1), (2, 2, 2, 2), group=20),
    "depthwise-few": spec((5, 5, 3), 3, (3, 3), pads=(1, 1, 1, 1), group=3),
    "depthwise-twelve": spec((5, 5, 11), 11, (3, 3), dilations=(2, 2), group=11),
    "depthwise-large": spec((14, 13, 8), 8, (11, 11), pads=(5, 5, 5, 5), group=8),
    "depthwise-1d": spec((1, 40, 24), 24, (1, 7), pads=(0, 6, 0, 0), group=24),
    "static-batch": spec((5, 6, 4), 8, (3, 3), pads=(1, 1, 1, 1), batch=3),
    "static-batch-pixels": spec((1, 1, 20), 24, batch=7),
    "symbolic": spec((5, 6, 4), 8, (3, 3), pads=(1, 1, 1, 1), batch=None),
    "symbolic-pixels": spec((1, 1, 33), 90, batch=None),
    "symbolic-rows": spec((1, 5, 12), 20, batch=None),
    "symbolic-depthwise": spec((5, 6, 16), 16, (3, 3), pads=(1, 1, 1, 1), group=16, batch=None),
}

EPILOGUES = {
    "accumulator": Epilogue("accumulator"),
    "requantize": Epilogue("requantize", 37, 0, 0, 255),
    "narrow": Epilogue("requantize", 38, 128, 100, 155),
    "shift-1": Epilogue("requantize", 1, 200, 3, 250),
    "shift-31": Epilogue("requantize", 31, 17, 0, 255),
    "shift-32": Epilogue("requantize", 32, 17, 0, 255),
    "shift-33": Epilogue("requantize", 33, 255, 0, 255),
    "shift-46": Epilogue("requantize", 46, 128, 0, 255),
    "channel-table": Epilogue("requantize+channel_table", 38, 128, 0, 255),
}


@dataclasses.dataclass
class Case:
    """Random operands of one spec, in logical layout."""

    spec: ConvSpec
    x: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    table: npt.NDArray[np.uint8]

    @classmethod
    def random(cls, conv: ConvSpec, batch: int, seed: int = 0) -> Case:
        rng = np.random.default_rng(seed)
        weight = rng.integers(-128, 128, (conv.out_c, conv.in_c // conv.group, *conv.kernel))
        top = 2**31 if conv.epilogue.shift > 8 else 3
        return cls(
            conv,
            rng.integers(0, 256, (batch, conv.in_h, conv.in_w, conv.in_c)).astype(np.uint8),
            weight.astype(np.int8),
            rng.integers(-20000, 20000, conv.out_c).astype(np.int32),
            rng.integers(0, top, conv.out_c).astype(np.int32),
            rng.integers(0, 256, conv.epilogue.table_size(padded(conv.out_c))).astype(np.uint8),
        )

    def accumulators(self) -> npt.NDArray[np.int64]:
        """(n, out_h, out_w, out_c) from the definition."""
        conv = self.spec
        top, left, bottom, right = conv.pads
        around = ((0, 0), (top, bottom), (left, right), (0, 0))
        x = np.pad(self.x.astype(np.int64) - conv.x_zero, around)
        per_in, per_out = conv.in_c // conv.group, conv.out_c // conv.group
        shape = (len(x), conv.out_h, conv.out_w, conv.out_c)
        total = np.broadcast_to(self.bias.astype(np.int64), shape).copy()
        for ky, kx in itertools.product(*map(range, conv.kernel)):
            y0, x0 = ky * conv.dilations[0], kx * conv.dilations[1]
            rows = slice(y0, y0 + (conv.out_h - 1) * conv.strides[0] + 1, conv.strides[0])
            columns = slice(x0, x0 + (conv.out_w - 1) * conv.strides[1] + 1, conv.strides[1])
            for g in range(conv.group):
                outs = slice(g * per_out, (g + 1) * per_out)
                taps = self.weight[outs, :, ky, kx].astype(np.int64)
                total[..., outs] += x[:, rows, columns, g * per_in : (g + 1) * per_in] @ taps.T
        result: npt.NDArray[np.int64] = total
        return result

    def expected(self) -> npt.NDArray[Any]:
        """The layer's result from the definition."""
        epilogue = self.spec.epilogue
        total = self.accumulators()
        if epilogue.kind == "accumulator":
            return total.astype(np.int32)
        # Python integers: nothing can overflow here.
        product = total.astype(object) * self.multiplier.astype(object)
        moved = (product + (1 << (epilogue.shift - 1))) >> epilogue.shift
        clamped = np.clip(moved + epilogue.zero, epilogue.low, epilogue.high)
        codes: npt.NDArray[np.int64] = np.asarray(clamped, np.int64)
        if epilogue.kind == "requantize+table":
            return self.table[codes]
        if epilogue.kind == "requantize+channel_table":
            codes = codes + 256 * np.arange(self.spec.out_c)
            return self.table[codes]
        return codes.astype(np.uint8)

    def actual(self, features: frozenset[str]) -> npt.NDArray[Any]:
        """The compiled kernel's result; the input's padding lanes hold garbage."""
        conv = self.spec
        in_pad, out_pad = padded(conv.in_c) - conv.in_c, padded(conv.out_c) - conv.out_c
        lanes = np.pad(self.x, [(0, 0)] * 3 + [(0, in_pad)], constant_values=0xA5)
        folded = fold_bias(self.bias, self.weight, conv.x_zero)
        operands = [lanes, pack_weight(self.weight, conv, features), folded]
        if conv.epilogue.kind != "accumulator":
            operands.append(np.pad(self.multiplier, (0, out_pad)))
        if self.table.size:
            operands.append(self.table)
        shape = (len(self.x), conv.out_h, conv.out_w, padded(conv.out_c))
        out = tvm.runtime.tensor(np.full(shape, 0x5A, conv.epilogue.out_dtype))
        compiled(conv, features)["conv"](
            *(tvm.runtime.tensor(operand) for operand in operands), out
        )
        result: npt.NDArray[Any] = out.numpy()[..., : conv.out_c]
        return result


@functools.lru_cache
def compiled(conv: ConvSpec, features: frozenset[str]) -> Any:
    """The kernel as a function of tensors."""
    target = tvm.target.Target(host_cpu().target())
    return tvm.compile(tvm.IRModule({"conv": conv_prim_func(conv, features)}), target=target)


def check(case: Case, features: frozenset[str]) -> None:
    np.testing.assert_array_equal(case.actual(features), case.expected())


def features_of(name: str) -> frozenset[str]:
    """The features of an instruction set, where this machine can run it."""
    features = INSTRUCTION_SETS[name]
    # AVX512-VNNI has the 256-bit instruction too, in another encoding.
    same = name == "vnni256" and INSTRUCTION_SETS["vnni512"] <= HOST
    if not same and not features <= HOST:
        pytest.skip(f"this CPU lacks {', '.join(sorted(features - HOST))}")
    return features


@pytest.mark.parametrize("name", SPECS)
def test_every_shape_on_this_cpu(name: str) -> None:
    conv = SPECS[name]
    check(Case.random(conv, conv.batch or 5), HOST)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize(
    "name", ["one-channel", "odd-channels", "twelve-out", "odd-groups", "depthwise-strided"]
)
def test_every_instruction_set(name: str, isa: str) -> None:
    check(Case.random(SPECS[name], 1), features_of(isa))


@pytest.mark.parametrize("isa", ["vnni512", "pairs256", "plain"])
@pytest.mark.parametrize("name", EPILOGUES)
def test_every_epilogue(name: str, isa: str) -> None:
    conv = spec((3, 7, 9), 18, (3, 3), pads=(1, 1, 1, 1), epilogue=EPILOGUES[name])
    check(Case.random(conv, 1), features_of(isa))


@pytest.mark.parametrize("name", ["accumulator", "channel-table"])
def test_epilogues_of_depthwise(name: str) -> None:
    conv = spec((6, 7, 21), 21, (3, 3), group=21, epilogue=EPILOGUES[name])
    check(Case.random(conv, 1), HOST)


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_symbolic_batch_takes_any_batch(batch: int) -> None:
    for name in ("symbolic", "symbolic-pixels"):
        check(Case.random(SPECS[name], batch), HOST)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("group", [1, 16])
@pytest.mark.parametrize(("code", "tap"), [(255, -128), (255, 127), (0, -128), (0, 127)])
def test_extreme_products_do_not_saturate(code: int, tap: int, group: int, isa: str) -> None:
    conv = spec(
        (4, 4, 16), 16, (3, 3), pads=(1, 1, 1, 1), group=group, x_zero=255 - code,
        epilogue=Epilogue("accumulator"),
    )  # fmt: skip
    case = Case.random(conv, 1)
    case.x[:] = code
    case.weight[:] = tap
    check(case, features_of(isa))


@pytest.mark.parametrize("isa", ["vnni512", "pairs256", "plain"])
@pytest.mark.parametrize("shift", [1, 7, 31, 32, 33, 46])
def test_ties_and_the_whole_range_of_accumulators(shift: int, isa: str) -> None:
    """A 1x1 layer of one input whose bias sets the accumulator, multiplied by 2**k."""
    largest = 2**31 - 1
    odd_halves = [k * 2 ** max(shift - 31, 0) for k in range(-9, 10)]
    totals = [*odd_halves, -largest, largest, -largest // 2, 12345, -12345, 0, -1]
    conv = spec((1, 3, 1), len(totals), x_zero=0, epilogue=Epilogue("requantize", shift, 128))
    case = Case.random(conv, 1)
    case.x[:], case.weight[:] = 0, 0
    case.bias[:] = totals
    for multiplier in {1 << min(shift - 1, 30), largest, 1, 0}:
        case.multiplier[:] = multiplier
        check(case, features_of(isa))


@pytest.mark.parametrize("seed", range(12))
def test_random_layers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = int(rng.choice([1, 1, 2, 3]))
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 6)))
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    conv = spec(
        (int(rng.integers(6, 12)), int(rng.integers(11, 40)), group * int(rng.integers(1, 12))),
        group * int(rng.integers(1, 30)),
        kernel,
        (int(rng.integers(1, 3)), int(rng.integers(1, 4))),
        (pads[0], pads[1], pads[2], pads[3]),
        (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        group,
        [1, 2, None][seed % 3],
        int(rng.integers(0, 256)),
    )
    check(Case.random(conv, conv.batch or 3, seed), HOST)


def test_a_kernel_is_the_same_text_every_time() -> None:
    conv = SPECS["many-out"]
    first, second = (conv_prim_func(conv, HOST).script() for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("mcpu", "features", "instruction"),
    [
        ("alderlake", INSTRUCTION_SETS["vnni256"], "{vex}\tvpdpbusd"),
        ("cascadelake", INSTRUCTION_SETS["vnni512"], "vpdpbusd\t%zmm"),
        ("haswell", INSTRUCTION_SETS["pairs256"], "vpmaddwd\t%ymm"),
        ("x86-64", INSTRUCTION_SETS["pairs128"], "pmaddwd\t%xmm"),
    ],
)
def test_code_for_other_cpus_uses_their_instruction(
    mcpu: str, features: frozenset[str], instruction: str
) -> None:
    function = conv_prim_func(SPECS["narrow-pointwise"], features)
    target = tvm.target.Target(
        {"kind": "llvm", "mcpu": mcpu, "mtriple": "x86_64-unknown-linux-gnu"}
    )
    module = tvm.tirx.build(tvm.IRModule({"conv": function}), target=target)
    assert instruction in module.inspect_source("asm")
