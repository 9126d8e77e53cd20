"""XNOR kernels of the cpu target against numpy, bit for bit, on every way to count bits."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actc.targets.tvm.kernels.binary_spec import (
    BinaryConv,
    Pack,
    Unpack,
    pack_base,
    pack_place,
    pack_signs,
    words,
)
from actc.targets.tvm.kernels.spec import padded

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels.binary_conv import binary_conv_prim_func  # noqa: E402
from actc.targets.tvm.kernels.binary_pack import pack_prim_func, unpack_prim_func  # noqa: E402

Array = np.ndarray[Any, Any]

HOST = host_cpu().features
COUNTERS = {
    "lanes512": frozenset({"avx512vpopcntdq", "avx512bw", "avx2"}),
    "bytes512": frozenset({"avx512bw", "avx2"}),
    "bytes256": frozenset({"avx2"}),
    "bytes128": frozenset[str](),
}


def spec(
    shape: tuple[int, int, int],
    out_c: int,
    kernel: tuple[int, int] = (1, 1),
    strides: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilations: tuple[int, int] = (1, 1),
    *,
    batch: int | None = 1,
    ternary: bool = False,
    result: str = "bits",
    step: int = 2,
    classes: int = 1,
) -> BinaryConv:
    return BinaryConv(
        batch, *shape, out_c, kernel, strides, pads, dilations, ternary, result, step, classes  # type: ignore[arg-type]
    )  # fmt: skip


SPECS = {
    "dense": spec((1, 1, 256), 64),
    "dense-odd": spec((1, 1, 117), 75),
    "dense-deep": spec((1, 1, 2600), 40, result="sums"),
    "dense-ternary": spec((1, 1, 90), 33, ternary=True),
    "few-sums": spec((1, 1, 64), 10, result="sums"),
    "rows": spec((1, 11, 50), 20, batch=2),
    "symbolic": spec((1, 1, 70), 66, batch=None, result="sums"),
    "symbolic-rows": spec((1, 3, 70), 66, batch=None),
    "three": spec((7, 9, 64), 32, (3, 3), pads=(1, 1, 1, 1), classes=9),
    "three-sums": spec((7, 9, 20), 37, (3, 3), pads=(1, 1, 1, 1), result="sums", classes=9),
    "strided": spec((9, 10, 40), 48, (3, 2), (2, 3), (0, 1, 2, 1), batch=3),
    "dilated": spec((9, 10, 33), 31, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2), ternary=True, classes=5),
    "conv1d": spec((1, 30, 35), 24, (1, 5), (1, 2), (0, 2, 0, 2), batch=None, result="sums"),
    "of-the-map": spec((4, 5, 100), 40, (4, 5), result="sums", ternary=True, step=6),
    "wide-rows": spec((5, 6, 300), 32, (3, 3)),
    "deep-taps": spec((3, 4, 1300), 32, (2, 2)),
}


def packed(bits: Array) -> Array:
    """Booleans (..., C) as words."""
    full = np.zeros((*bits.shape[:-1], 32 * words(bits.shape[-1])), bool)
    full[..., : bits.shape[-1]] = bits
    found: Array = np.packbits(full, axis=-1, bitorder="little").view("<u4")
    return found


def counts(x: Array, signs: Array, conv: BinaryConv) -> Array:
    """Weights that are not zero and differ from the input's bit; int64 (n, h, w, O)."""
    top, left, bottom, right = conv.pads
    full = np.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)])
    total = np.zeros((len(x), conv.out_h, conv.out_w, conv.out_c), np.int64)
    for ky in range(conv.kernel[0]):
        for kx in range(conv.kernel[1]):
            y = ky * conv.dilations[0] + np.arange(conv.out_h) * conv.strides[0]
            z = kx * conv.dilations[1] + np.arange(conv.out_w) * conv.strides[1]
            some = full[:, y][:, :, z].astype(np.int64)
            minus, plus = (signs[:, :, ky, kx] < 0).T, (signs[:, :, ky, kx] > 0).T
            total += some @ minus.astype(np.int64) + (1 - some) @ plus.astype(np.int64)
    return total


@functools.cache
def compiled(kernel: Any, features: frozenset[str]) -> Any:
    builders = {BinaryConv: binary_conv_prim_func, Pack: pack_prim_func, Unpack: unpack_prim_func}
    function = builders[type(kernel)]("kernel", kernel, features)
    target = tvm.target.Target(host_cpu().target())
    return tvm.tirx.build(tvm.IRModule({"kernel": function}), target=target)["kernel"]


def call(kernel: Any, features: frozenset[str], arrays: list[Array], out: Array) -> Array:
    result = tvm.runtime.tensor(out)
    compiled(kernel, features)(
        *(tvm.runtime.tensor(np.ascontiguousarray(a)) for a in arrays), result
    )
    got: Array = result.numpy()
    return got


def check(conv: BinaryConv, batch: int, features: frozenset[str], seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (batch, conv.in_h, conv.in_w, conv.in_c)).astype(bool)
    kinds = [-1, 0, 1] if conv.ternary else [-1, 1]
    signs = rng.choice(kinds, (conv.out_c, conv.in_c, *conv.kernel)).astype(np.int8)
    found = counts(x, signs, conv)
    # Half of the counts at least meet the limit or miss it by little.
    middle = np.median(found, axis=(0, 1, 2)).astype(np.int32)
    base = middle + rng.integers(-2, 3, (conv.classes, conv.out_c)).astype(np.int32)
    place = rng.integers(0, conv.classes, conv.out_h * conv.out_w).astype(np.int32)
    row = base[place].reshape(conv.out_h, conv.out_w, -1)
    arrays = [packed(x), pack_signs(signs, conv, features), pack_base(base, conv, features)]
    if conv.classes > 1:
        arrays.append(pack_place(place, conv, features))
    if conv.result == "bits":
        wanted = packed(found <= row)
        out = np.full(wanted.shape, 0xDEADBEEF, np.uint32)
    else:
        wanted = (row - conv.step * found).astype(np.int32)
        out = np.zeros((*wanted.shape[:-1], padded(conv.out_c)), np.int32)
    got = call(conv, features, arrays, out)
    np.testing.assert_array_equal(got[..., : wanted.shape[-1]], wanted)


def features_of(name: str) -> frozenset[str]:
    """The features of a way to count, where this machine can run it."""
    if not COUNTERS[name] <= HOST:
        pytest.skip(f"this CPU lacks {', '.join(sorted(COUNTERS[name] - HOST))}")
    return COUNTERS[name]


@pytest.mark.parametrize("counter", COUNTERS)
@pytest.mark.parametrize("name", SPECS)
def test_every_shape_with_every_way_to_count(name: str, counter: str) -> None:
    conv = SPECS[name]
    check(conv, conv.batch or 7, features_of(counter))


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_every_batch(batch: int) -> None:
    check(SPECS["symbolic"], batch, HOST)
    check(replace(SPECS["dense"], batch=batch), batch, HOST)


@pytest.mark.parametrize("seed", range(12))
def test_random_layers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 5)))
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    conv = spec(
        (int(rng.integers(6, 12)), int(rng.integers(9, 20)), int(rng.integers(1, 150))),
        int(rng.integers(1, 80)),
        kernel,
        (int(rng.integers(1, 3)), int(rng.integers(1, 4))),
        (pads[0], pads[1], pads[2], pads[3]),
        (int(rng.integers(1, 3)), int(rng.integers(1, 3))),
        batch=[1, 2, None][seed % 3],
        ternary=bool(rng.integers(2)),
        result=str(rng.choice(["bits", "sums"])),
        step=int(rng.integers(1, 200)),
        classes=int(rng.integers(1, 4)),
    )
    check(conv, conv.batch or 3, HOST, seed)


@pytest.mark.parametrize("depth", [2600, 13 * 32, 9 * 32])
@pytest.mark.parametrize("counter", COUNTERS)
def test_counts_do_not_overflow_where_all_bits_differ(depth: int, counter: str) -> None:
    conv = spec((1, 1, depth), 20, result="sums", step=1)
    features = features_of(counter)
    signs = np.full((20, depth, 1, 1), -1, np.int8)
    arrays = [
        packed(np.ones((1, 1, 1, depth), bool)),
        pack_signs(signs, conv, features),
        pack_base(np.zeros((1, 20), np.int32), conv, features),
    ]
    got = call(conv, features, arrays, np.zeros((1, 1, 1, 20), np.int32))
    np.testing.assert_array_equal(got, -depth)


@pytest.mark.parametrize("channels", [1, 5, 16, 31, 32, 33, 100])
def test_codes_are_packed_and_unpacked(channels: int) -> None:
    rng = np.random.default_rng(channels)
    bits = rng.integers(0, 2, (3, 2, 5, channels)).astype(bool)
    codes = rng.integers(0, 256, (3, 2, 5, padded(channels))).astype(np.uint8)
    codes[..., :channels] = np.where(bits, 9, 4)
    pack = Pack(None, 2, 5, channels, padded(channels), "uint8", 4)
    wanted = packed(bits)
    out = np.full(wanted.shape, 0xDEADBEEF, np.uint32)
    np.testing.assert_array_equal(call(pack, HOST, [codes], out), wanted)
    back = call(Unpack(None, 2, 5, channels, 4, 9), HOST, [wanted], np.zeros_like(codes))
    np.testing.assert_array_equal(back[..., :channels], codes[..., :channels])


@pytest.mark.parametrize("channels", [7, 32, 70])
def test_sums_are_packed_by_the_threshold_of_each_channel(channels: int) -> None:
    rng = np.random.default_rng(channels)
    x = rng.integers(-9, 10, (2, 3, 4, padded(channels))).astype(np.int32)
    depth = words(channels)
    points = rng.integers(-5, 6, 32 * depth).astype(np.int32)
    points[channels:] = 2**31 - 1
    falls = rng.integers(0, 2, channels).astype(bool)
    wanted = packed((x[..., :channels] >= points[:channels]) != falls)
    pack = Pack(2, 3, 4, channels, padded(channels), "int32", each=True)
    out = np.full(wanted.shape, 0xDEADBEEF, np.uint32)
    got = call(pack, HOST, [x, points, packed(falls)], out)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("mcpu", "features", "instruction"),
    [
        ("icelake-server", COUNTERS["lanes512"], "vpopcntd\t%zmm"),
        ("haswell", COUNTERS["bytes256"], "vpshufb\t%ymm"),
    ],
)
def test_code_for_other_cpus_uses_their_instruction(
    mcpu: str, features: frozenset[str], instruction: str
) -> None:
    function = binary_conv_prim_func("kernel", SPECS["dense"], features)
    target = tvm.target.Target(
        {"kind": "llvm", "mcpu": mcpu, "mtriple": "x86_64-unknown-linux-gnu"}
    )
    module = tvm.tirx.build(tvm.IRModule({"kernel": function}), target=target)
    assert instruction in module.inspect_source("asm")


def test_code_for_arm_counts_bytes() -> None:
    function = binary_conv_prim_func("kernel", SPECS["dense"], frozenset({"neon"}))
    target = tvm.target.Target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]})
    module = tvm.tirx.build(tvm.IRModule({"kernel": function}), target=target)
    assert "cnt\tv" in module.inspect_source("asm")


def test_a_kernel_is_the_same_text_every_time() -> None:
    first, second = (
        binary_conv_prim_func("kernel", SPECS["three"], HOST).script() for _ in range(2)
    )
    assert first == second
