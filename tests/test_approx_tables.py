"""Compressed and bipartite tables."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from fixed_point_units import formats, random_gates, unit
from hypothesis import given, settings
from hypothesis import strategies as st

from actc.approx.bipartite import (
    BipartiteTable,
    _bounds,
    _longest_paths,
    fit_bipartite,
)
from actc.approx.compressed_table import CompressedTable, compress_table, fit_compressed_table
from actc.approx.fixed_point import Codes, FixedPoint
from actc.approx.gates import FixedFit, Gates, NoForm

NAMES = ("GELU", "SiLU", "Mish", "Tanh", "Sigmoid", "GoLU", "Softplus")

# bits of the published compression (largest coarse entries, base a multiple of 2**drop)
PUBLISHED = {8: (1152, 1152, 1152, 1664, 1216, 1152, 960),
             12: (20992, 20992, 20992, 29696, 21504, 20992, 17920)}  # fmt: skip


def published_bits(table: Codes, bits: int) -> int:
    """Christ, Forget and de Dinechin's compression, over all splits."""
    found: list[int] = []
    for split, drop in itertools.product(range(1, bits), range(bits)):
        blocks = table.reshape(-1, 1 << split)
        coarse = blocks.min(axis=1) >> drop
        differences = blocks - (coarse << drop)[:, None]
        coarse_width = int(np.ptp(coarse)).bit_length()
        found.append(coarse.size * coarse_width + table.size * int(differences.max()).bit_length())
    return min(found)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("name", NAMES)
def test_compression_of_known_functions(name: str, bits: int) -> None:
    gates = unit(name, bits, "correctly_rounded")
    fit = fit_compressed_table(gates)
    published = published_bits(gates.low, bits)
    assert published == PUBLISHED[bits][NAMES.index(name)]
    assert fit.form.storage_bits <= published
    assert np.array_equal(fit.form.evaluate(gates.input.codes()), gates.low)


def test_free_coarse_entries_save_bits() -> None:
    # with all coarse entries as large as can be, -1..31 need 6 bits; -1..30 need 5
    form = fit_compressed_table(unit("GELU", 8, "correctly_rounded")).form
    assert (form.storage_bits, form.coarse_width, form.difference_width) == (1088, 5, 3)


ENTRIES = np.arange(-32, 16)


def coarse_bits(table: list[int], split: int, drop: int, width: int) -> int | None:
    """Least bits of the coarse table by trying every base and every range of entries."""
    blocks = np.array(table).reshape(-1, 1 << split)
    spans = []
    for base in range(1 << drop):
        rest = blocks[:, None, :] - (ENTRIES << drop)[:, None] - base
        fits = np.all((rest >= 0) & (rest < 1 << width), axis=2)
        # for each first entry, the next one that fits each block
        following = np.where(fits, ENTRIES, 1000)[:, ::-1]
        following = np.minimum.accumulate(following, axis=1)[:, ::-1]
        spans.append(int((following.max(axis=0) - ENTRIES).min()))
    span = min(spans)
    return span.bit_length() * len(blocks) if span < 500 else None


@given(
    st.one_of(
        st.lists(st.integers(-4, 7), min_size=8, max_size=8),
        st.lists(st.sampled_from([-4, 0, 4]), min_size=8, max_size=8),
        st.lists(st.integers(-1, 2), min_size=8, max_size=8).map(
            lambda steps: np.clip(np.cumsum(steps), -8, 7).tolist()
        ),
    )
)
@settings(max_examples=150, deadline=None)
def test_no_compression_is_smaller(table: list[int]) -> None:
    source, output = FixedPoint(False, 3, 0), FixedPoint(True, 4, 0)
    sizes = []
    for split, drop, width in itertools.product(range(4), range(4), range(5)):
        coarse = coarse_bits(table, split, drop, width)
        if coarse is not None:
            sizes.append(coarse + 8 * width)
    form = compress_table(np.array(table), source, output)
    assert form.storage_bits == min(sizes)
    assert form.evaluate(source.codes()).tolist() == table


@given(st.integers(0, 2**32 - 1), st.sampled_from([4, 7, 10]))
@settings(max_examples=30, deadline=None)
def test_compression_is_lossless(seed: int, bits: int) -> None:
    random = np.random.default_rng(seed)
    source, output = FixedPoint(True, bits, 0), FixedPoint(True, 12, 3)
    table = np.clip(np.cumsum(random.integers(-3, 9, source.count)), -2048, 2047)
    form = compress_table(table, source, output)
    assert np.array_equal(form.evaluate(source.codes()), table)
    assert form.storage_bits <= source.count * int(np.ptp(table)).bit_length()


def test_compressed_table_description() -> None:
    fit = fit_compressed_table(unit("Tanh", 8, "correctly_rounded"))
    described = json.loads(json.dumps(fit.to_json()))
    for x in range(-128, 128):
        i = x + 128
        y = described["coarse"][i >> described["split"]] * 2 ** described["drop"]
        y += described["differences"][i] + described["base"]
        assert y == fit.gates.low[i]
    with pytest.raises(ValueError, match="256 entries"):
        compress_table(np.zeros(3, np.int64), FixedPoint(True, 8, 4), FixedPoint(True, 8, 4))
    with pytest.raises(ValueError, match="one entry"):
        CompressedTable(*formats("GELU", 8), 2, 0, 0, np.zeros(3, int), np.zeros(256, int))


# bits of faithful tables by slopes, for the same gates; None: none was found
SLOPE_TABLES = {
    8: (704, 704, 784, None, 960, 544, 480),
    12: (8192, 8448, 9216, 20480, 9728, 9216, 6400),
}


def bipartite(gates: Gates) -> FixedFit[BipartiteTable]:
    fit = fit_bipartite(gates)
    assert not isinstance(fit, NoForm)
    return fit


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("name", NAMES)
def test_bipartite_tables_of_known_functions(name: str, bits: int) -> None:
    gates = unit(name, bits, "faithful")
    fit = bipartite(gates)
    by_slopes = SLOPE_TABLES[bits][NAMES.index(name)]
    assert by_slopes is None or fit.form.storage_bits < by_slopes
    assert fit.max_error_ulp <= 1
    assert gates.admit(fit.form.evaluate(gates.input.codes()))


def test_bipartite_table_of_16_bits() -> None:
    fit = bipartite(unit("GELU", 16, "faithful"))
    assert fit.form.storage_bits < 94208  # by slopes
    assert fit.max_error_ulp <= 1


def offsets_exist(low: Codes, high: Codes, widest: int) -> bool:
    """Whether offsets in 0..widest exist for one A, by trying all; bounds [B, C]."""
    for offset in itertools.product(range(widest + 1), repeat=low.shape[1]):
        least, most = (low - offset).max(axis=1), (high - offset).min(axis=1)
        if np.all(least <= most):
            return True
    return False


@given(
    random_gates(bits=3, height=5, width=3),
    st.integers(0, 1),
    st.sampled_from([(1, 1), (2, 1), (1, 2)]),
)
@settings(max_examples=150, deadline=None)
def test_offsets_are_the_narrowest(gates: Gates, guard: int, parts: tuple[int, int]) -> None:
    b, c = parts
    bounds = _bounds(gates, guard)
    low, high = (bound.reshape(1 << (3 - b - c), 1 << b, 1 << c) for bound in bounds)
    limit = 5
    for group in range(len(low)):
        paths = _longest_paths(low[group : group + 1], high[group : group + 1])
        widest = None if paths is None else int(paths.max())
        fitting = [w for w in range(limit + 1) if offsets_exist(low[group], high[group], w)]
        if widest is None or widest > limit:
            assert not fitting
        else:
            assert fitting[0] == widest


@given(random_gates(bits=6, height=20, width=4))
@settings(max_examples=100, deadline=None)
def test_bipartite_tables_stay_within_their_gates(gates: Gates) -> None:
    fit = fit_bipartite(gates)
    plain = len(gates) * max(int(gates.low.max() - gates.high.min()), 0).bit_length()
    if not isinstance(fit, NoForm):
        assert gates.admit(fit.form.evaluate(gates.input.codes()))
        assert fit.form.storage_bits < plain


def test_reason_why_there_is_none() -> None:
    random = np.random.default_rng(1)
    output = FixedPoint(True, 8, 0)
    low = random.integers(-128, 128, 64)
    gates = Gates(
        "noise", FixedPoint(False, 6, 0), output, "faithful", low.astype(np.float64), low, low
    )
    fit = fit_bipartite(gates)
    assert isinstance(fit, NoForm)
    assert "noise from u6.0 to s8.0" in fit.reason
    assert "plain table of 512 bits" in fit.reason


def test_bipartite_description() -> None:
    gates = unit("Sigmoid", 8, "faithful")
    fit = bipartite(gates)
    described = json.loads(json.dumps(fit.to_json()))
    a, b, c = described["parts"]
    for i in range(256):
        first, middle, last = i >> (b + c), (i >> c) % 2**b, i % 2**c
        total = (
            described["initial"][first * 2**b + middle] + described["offset"][first * 2**c + last]
        )
        y = (total + described["base"]) // 2 ** described["guard"]
        assert gates.low[i] <= y <= gates.high[i]
    size = described["initial_width"] * 2 ** (a + b) + described["offset_width"] * 2 ** (a + c)
    assert described["storage_bits"] == size
    fewer = fit_bipartite(gates, max_low_bits=1)
    assert not isinstance(fewer, NoForm)
    assert (described["parts"][2] > 1, fewer.form.parts[2]) == (True, 1)
    assert isinstance(fit_bipartite(gates, max_low_bits=0), NoForm)
    with pytest.raises(ValueError, match="guard bits"):
        fit_bipartite(gates, max_guard=9)
    with pytest.raises(ValueError, match="make up the input"):
        BipartiteTable(*formats("GELU", 8), (1, 2, 3), 0, 0, np.zeros(8, int), np.zeros(16, int))
