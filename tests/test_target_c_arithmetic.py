"""The helpers of the target c: float64 and float32 by integers, against the machine's own."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from installed import needs_gcc

from actc import toolchain
from actc.targets.c.kernels.reduce import parts_of
from actc.targets.c.library import parts, used

Array = np.ndarray[Any, Any]

DRIVER = """
#include <stddef.h>
#include <stdint.h>
@HELPERS@
#define EACH(result, ...) void result(size_t n, __VA_ARGS__) { for (size_t i = 0; i < n; i++)
EACH(all_ratio, const uint32_t *p, const uint32_t *t, uint32_t *y) y[i] = ratio(p[i], t[i]); }
EACH(all_quantize, const uint32_t *x, const uint32_t *s, const int32_t *z, uint8_t *y)
    y[i] = quantize(x[i], s[i], z[i]); }
EACH(all_dequantize, const int32_t *x, const int32_t *z, const uint32_t *s, uint32_t *y)
    y[i] = dequantize(x[i], z[i], s[i]); }
EACH(all_probability, const uint32_t *p, const uint32_t *t, const int32_t *b, int32_t *y)
    y[i] = probability(p[i], t[i], b[i]); }
EACH(all_floor, const int64_t *v, const int64_t *a, const uint64_t *m, const int32_t *e,
     int64_t *y) y[i] = floor_of_quotient(a[i], root_of(v[i], m[i], e[i])); }
EACH(all_requantize, const int32_t *x, const int32_t *f, const int32_t *s, const int32_t *z,
     uint8_t *y) y[i] = requantize(x[i], f[i], s[i], z[i], 3, 250); }
EACH(all_limbs, const int64_t *x, const int32_t *s, int64_t *y) y[i] = high_limbs(x[i], s[i]); }
EACH(all_ones, const uint32_t *x, int32_t *y) y[i] = ones(x[i]); }
EACH(all_signed, const uint32_t *x, int32_t *y, int8_t *z)
    { y[i] = signed32(x[i]); z[i] = signed8(x[i]); } }
"""
COUNT = 200_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("helpers")
    names = ("ratio", "quantize", "dequantize", "probability", "floor_of_quotient", "root_of")
    wanted = used([*names, "requantize", "high_limbs", "ones", "signed32", "signed8"])
    helpers = "\n".join(part.text for part in wanted)
    (folder / "all.c").write_text(DRIVER.replace("@HELPERS@", helpers), "ascii")
    flags = ("-std=c99", "-O2", "-shared", "-fPIC", "-fsanitize=undefined")
    trap = "-fsanitize-undefined-trap-on-error"
    toolchain.run(["gcc", *flags, trap, "all.c", "-o", "all.so"], timeout=60, cwd=folder)
    return ctypes.CDLL(str(Path(folder) / "all.so"))


def call(library: ctypes.CDLL, name: str, result: type, *arrays: Array) -> Array:
    given = [np.ascontiguousarray(array) for array in arrays]
    out: Array = np.empty(len(given[0]), np.dtype(result))
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*given, out)]
    getattr(library, name)(ctypes.c_size_t(out.size), *pointers)
    return out


def numbers(rng: np.random.Generator, bits: int, count: int = COUNT) -> Array:
    """Whole numbers of all lengths up to so many bits, at least 1."""
    found: Array = np.maximum(rng.integers(0, 2**bits, count) >> rng.integers(0, bits, count), 1)
    return found


@needs_gcc
def test_ratios_are_rounded_twice(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(1)
    total = numbers(rng, 31)
    power = np.minimum(numbers(rng, 31), total)
    power[:99], total[:99] = np.arange(99), np.arange(99) + 1
    got = call(library, "all_ratio", np.uint32, power.astype(np.uint32), total.astype(np.uint32))
    wanted = (power.astype(np.float64) / total).astype(np.float32)
    np.testing.assert_array_equal(got.view(np.float32), wanted)


@needs_gcc
def test_quantizers_round_twice_too(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(2)
    scale = np.ldexp(rng.integers(1, 2**24, COUNT), rng.integers(-40, 3, COUNT)).astype(np.float32)
    codes = rng.integers(-300, 300, COUNT) + rng.choice([0.0, 0.5, 0.25], COUNT)
    with np.errstate(over="ignore", invalid="ignore"):
        x = (scale * codes.astype(np.float32)).astype(np.float32)
        x = (x.view(np.int32) + rng.integers(-1, 2, COUNT).astype(np.int32)).view(np.float32)
        any_bits = rng.integers(0, 2**32, COUNT // 2, np.uint32).view(np.float32)
        x[: COUNT // 2] = any_bits
        zero = rng.integers(0, 256, COUNT).astype(np.int32)
        steps = np.rint(x / scale) + zero.astype(np.float32)
    wanted = np.where(np.isnan(steps), 0, np.clip(steps, 0, 255)).astype(np.uint8)
    given = x.view(np.uint32), scale.view(np.uint32), zero
    np.testing.assert_array_equal(call(library, "all_quantize", np.uint8, *given), wanted)


@needs_gcc
def test_dequantizers_reach_the_ends_of_float32(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(3)
    x = (numbers(rng, 31) * rng.choice([-1, 1], COUNT)).astype(np.int32)
    x[:2] = -(2**31), 2**31 - 1
    zero = np.where(np.abs(x) < 2**30, rng.integers(-255, 256, COUNT), 0).astype(np.int32)
    scale = np.abs(rng.integers(0, 2**32, COUNT, np.uint32).view(np.float32))
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, np.float32(1e-40))
    with np.errstate(all="ignore"):
        wanted = (x - zero).astype(np.float32) * scale
    given = x, zero, scale.view(np.uint32)
    got = call(library, "all_dequantize", np.uint32, *given).view(np.float32)
    np.testing.assert_array_equal(got, wanted)


@needs_gcc
def test_probabilities(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(4)
    total = numbers(rng, 31).astype(np.int64)
    power = np.minimum(numbers(rng, 31), total).astype(np.int64)
    bits = rng.integers(1, 17, COUNT)
    wanted = np.minimum(((power << (bits + 1)) + total) // (2 * total), (1 << bits) - 1)
    given = power.astype(np.uint32), total.astype(np.uint32), bits.astype(np.int32)
    np.testing.assert_array_equal(call(library, "all_probability", np.int32, *given), wanted)


@needs_gcc
def test_norms_are_those_of_float64(library: ctypes.CDLL) -> None:
    """Also where a quotient is a whole number, or next to one."""
    rng = np.random.default_rng(5)
    variance = numbers(rng, 45)
    roots = numbers(rng, 22, COUNT // 2)
    variance[: COUNT // 2] = roots**2
    variance[:100] = 0
    eps = np.ldexp(rng.random(COUNT) + 0.5, rng.integers(-60, 30, COUNT))
    eps[100 : COUNT // 4] = np.ldexp(1.0, -80)  # lost in the sum
    root = np.sqrt(variance.astype(np.float64) + eps)
    # whole multiples of the root, and their neighbours
    value = np.rint(root * rng.integers(-(2**17), 2**17, COUNT)) + rng.integers(-1, 2, COUNT)
    value = np.clip(value, -(2.0**52), 2.0**52).astype(np.int64)
    wanted = np.floor(value.astype(np.float64) / root)
    fits = np.abs(wanted) < 2**52
    mantissas, exponents = zip(*map(parts_of, eps), strict=True)
    given = variance, value, np.array(mantissas, np.uint64), np.array(exponents, np.int32)
    got = call(library, "all_floor", np.int64, *given)
    np.testing.assert_array_equal(got[fits], wanted[fits].astype(np.int64))
    assert fits.mean() > 0.9


@needs_gcc
def test_requantization_of_any_accumulator(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(6)
    x = rng.integers(-(2**31), 2**31, COUNT)
    x[:4] = -(2**31), 2**31 - 1, 0, -1
    factor = numbers(rng, 31) - 1
    factor[:4] = 2**31 - 1
    shift, zero = rng.integers(1, 47, COUNT), rng.integers(0, 256, COUNT)
    wanted = np.clip(((x * factor + (1 << (shift - 1))) >> shift) + zero, 3, 250)
    given = [array.astype(np.int32) for array in (x, factor, shift, zero)]
    np.testing.assert_array_equal(call(library, "all_requantize", np.uint8, *given), wanted)


@needs_gcc
def test_limbs_bits_and_signs(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(7)
    x = rng.integers(-(2**63), 2**63 - 1, COUNT)
    x[:3] = -(2**63), 2**63 - 1, -1
    count = rng.integers(1, 4, COUNT)
    got = call(library, "all_limbs", np.int64, x, count.astype(np.int32))
    np.testing.assert_array_equal(got, x >> (20 * count))
    words = rng.integers(0, 2**32, COUNT, np.uint32)
    ones = np.unpackbits(words.view(np.uint8)).reshape(COUNT, 32).sum(axis=1)
    np.testing.assert_array_equal(call(library, "all_ones", np.int32, words), ones)
    bytes_of = np.empty(COUNT, np.int8)
    got = np.empty(COUNT, np.int32)
    arrays = (words, got, bytes_of)
    library.all_signed(ctypes.c_size_t(COUNT), *(ctypes.c_void_p(a.ctypes.data) for a in arrays))
    np.testing.assert_array_equal(got, words.view(np.int32))
    np.testing.assert_array_equal(bytes_of, words.astype(np.uint8).view(np.int8))


def test_helpers_come_with_what_they_need() -> None:
    assert [part.name for part in used(["carry"])] == ["high_limbs", "low_limb", "carry"]
    for name, part in parts().items():
        assert f"{name}(" in part.text or name == "float64_parts"
        assert set(part.needs) <= set(parts())
