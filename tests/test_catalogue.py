"""Every function of the catalogue against an independent definition at 30 digits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from catalogue_reference import WELL_KNOWN, Reference
from catalogue_reference_variants import VARIANTS
from mpmath import mp, mpf

from actc.approx.catalogue import CATALOGUE, ELEMENTARY, FAMILIES, CatalogueEntry, find, nearest
from actc.approx.catalogue.checked import ELSEWHERE, IN_PUBLICATION, REFERENCE_ONLY, mark
from actc.approx.catalogue.entry import Parameter, arxiv

REFERENCES: dict[str, Reference] = WELL_KNOWN | VARIANTS
SPECIAL = [0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 6.0, -6.0, 1e-5, -1e-5]
TAILS = [15.0, 40.3, 150.0, 710.5, 5000.0]
LARGEST = float(np.finfo(np.float64).max)
ids = [entry.name for entry in CATALOGUE]


def points(entry: CatalogueEntry) -> list[float]:
    even = [float(x) for x in np.linspace(-8.03, 8.11, 41)]
    x = [*even, *SPECIAL, *TAILS, *[-t for t in TAILS]]
    low, high = entry.domain
    inside = [v for v in x if low <= v <= high]
    undefined = {"Sqrt": [], "Reciprocal": [0.0], "Rsqrt": [0.0], "Log": [0.0]}
    return [v for v in inside if v not in undefined.get(entry.name, [])]


def other(parameter: Parameter) -> float:
    """A value of the parameter that is neither usual nor special."""
    if math.isfinite(parameter.high):
        return parameter.default + 0.3 * (parameter.high - parameter.default)
    return parameter.default + 0.0625 + 0.25 * abs(parameter.default)


def expected(entry: CatalogueEntry, x: float, values: tuple[float, ...]) -> float:
    with mp.workdps(30):
        y = mp.re(REFERENCES[entry.name](mpf(x), *[mpf(v) for v in values]))
        return math.copysign(math.inf, y) if abs(y) > LARGEST else float(y)


def compare(entry: CatalogueEntry, values: tuple[float, ...]) -> None:
    x = points(entry)
    actual = entry.function(*values)(x)
    wanted = [expected(entry, v, values) for v in x]
    for at, y, w in zip(x, actual, wanted, strict=True):
        # the argument of a wave is rounded in proportion to it
        allowed = 1e-12 * abs(w) + 1e-13 * (1 + abs(at)) if math.isfinite(w) else 0.0
        close = y == w or abs(y - w) <= allowed
        assert close, f"{entry.name}{values} at {at}: {y!r}, not {w!r}"


@pytest.mark.parametrize("entry", CATALOGUE, ids=ids)
def test_usual_parameters(entry: CatalogueEntry) -> None:
    compare(entry, entry.defaults)


@pytest.mark.parametrize(
    "entry", [e for e in CATALOGUE if e.parameters], ids=[e.name for e in CATALOGUE if e.parameters]
)
def test_other_parameters(entry: CatalogueEntry) -> None:
    compare(entry, tuple(other(parameter) for parameter in entry.parameters))


@pytest.mark.parametrize("entry", CATALOGUE, ids=ids)
def test_far_away_is_a_number(entry: CatalogueEntry) -> None:
    x = np.array([v for v in (-1e15, 1e15) if entry.domain[0] <= v <= entry.domain[1]])
    assert not np.isnan(entry.function()(x)).any()


def test_every_entry_has_a_reference_and_nothing_else_has() -> None:
    assert set(REFERENCES) == set(ids)
    assert not set(WELL_KNOWN) & set(VARIANTS)
    assert {e.name for e in CATALOGUE if e.searched} == set(WELL_KNOWN)


def test_names_and_aliases_are_unique() -> None:
    names = [name for entry in CATALOGUE for name in (entry.name, *entry.aliases)]
    keys = [name.lower().replace("-", "").replace(" ", "") for name in names]
    assert len(set(keys)) == len(keys)
    assert [e for entries in FAMILIES.values() for e in entries] == list(CATALOGUE)


def test_published_functions_have_a_full_source() -> None:
    published = [entry for entry in CATALOGUE if entry.source is not ELEMENTARY]
    assert len(published) >= 120
    for entry in published:
        source = entry.source
        assert source.authors, entry.name
        assert source.title, entry.name
        assert source.venue, entry.name
        assert 1940 <= source.year <= 2026, entry.name
        if source.venue.startswith("arXiv"):
            assert source.venue[6:8] == str(source.year)[2:]
        assert str(source).endswith(str(source.year))
    assert str(ELEMENTARY) == "elementary"


REQUIRED = """
ReLU LeakyReLU PReLU RReLU ReLU6 HeLU dReLU SquaredReLU ShiftedReLU ClippedReLU SoftThreshold
ELU SELU CELU GELU TanhGELU QuickGELU SiLU Swish HardSwish HardSigmoid HardTanh Mish Softplus
Softsign Tanh Sigmoid TemperedSigmoid ATLU xATLU xGELU xSiLU GoLU SmeLU RESCU SAU CRReLU VeLU
APA AGLU Cauchy MittagLefflerUnit Elephant Pade PAU RecurrentRational KAT PolyReLU PolyNorm
Hermite Fourier Tropical Snake Sine SIREN SPDER GrowingCosine ASH Hard-ASH Dice CATS TopKThreshold
VRA Gaussian MexicanHat Morlet KAN FourierKAN RationalKAN BiPer Sign Exp Reciprocal Rsqrt Erf
"""


@pytest.mark.parametrize("name", REQUIRED.split())
def test_required_functions(name: str) -> None:
    assert name.lower().replace("-", "") in {
        alias.lower() for alias in (find(name).name, *find(name).aliases)
    }


def test_inference_forms_say_so() -> None:
    for name in ("RReLU", "HeLU", "VeLU", "Dice", "ASH", "HardASH", "TopKThreshold"):
        assert "inference form" in find(name).formula


def test_checked_entries_are_published_and_counted_once() -> None:
    checked = [*IN_PUBLICATION, *ELSEWHERE, *REFERENCE_ONLY]
    assert len(set(checked)) == len(checked)
    assert all(find(name).name == name for name in checked)
    assert all(find(name).source is not ELEMENTARY for name in checked)


def test_marks_of_references() -> None:
    assert mark(find("GoLU")) == "†"
    assert mark(find("ReLU")) == "‡"
    assert mark(find("FATReLU")) == "§"
    assert mark(find("Tanh")) == ""
    assert mark(replace(find("ReLU"), name="NewReLU")) == "?"


def test_find_and_nearest() -> None:
    assert find("quick-gelu") is find("QuickGELU")
    assert find("gcu").name == "GrowingCosine"
    assert nearest("gelo") in ("GELU", "GoLU")
    assert nearest("zzzzzz") is None
    with pytest.raises(KeyError):
        find("Gelo")


@pytest.mark.parametrize("values", [(-1.0,), (0.0,), (math.nan,), (math.inf,)])
def test_parameters_out_of_range(values: tuple[Any, ...]) -> None:
    entry = find("SmeLU")
    if math.isinf(values[0]):
        assert entry.function(*values)
    else:
        with pytest.raises(ValueError, match=r"SmeLU: beta must be in \[0.001, inf\]"):
            entry.function(*values)


def test_a_default_out_of_range_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="alpha"):
        Parameter("alpha", 2.0, 0.0, 1.0)


def test_the_year_of_a_paper_on_arxiv() -> None:
    assert arxiv("A", "T", "1606.08415").year == 2016
