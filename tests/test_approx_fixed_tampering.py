"""Certificates of fits in fixed point that were changed, or made up."""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fixed_certificates import FITTERS, Certificate, changed, count, of_function, plain
from fixed_point_units import fewest_windows

from actc.approx import ScalarFunction, check_certificate
from actc.approx.catalogue import find
from actc.approx.fixed_certificate import certify_fixed, digest
from actc.approx.fixed_check_bounds import Slopes
from actc.approx.fixed_check_form import read_form, read_format
from actc.approx.fixed_point import FixedPoint
from actc.approx.gates import Gates, make_gates
from actc.approx.signed_digits import fit_segments
from actc.approx.thresholds import fit_thresholds


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all numbers and texts; of long lists some."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        shown = range(len(value)) if len(value) < 12 else sorted({0, 1, 5, len(value) - 1})
        for index in shown:
            yield from leaves(value[index], (*path, index))
    else:
        yield path


def changes(value: Any) -> list[Any]:
    """Other values of the same and of other types."""
    wrong: list[Any] = [None, True, [], {}, "x", 10**300, -1.5, [value], math.nan]
    if isinstance(value, int):
        return [value + 1, value - 1, -value - 1, 2 * value + 2, *wrong, str(value)]
    if value.startswith("0x"):
        number = float.fromhex(value)
        scaled = [number * 0.999, number * 1.001, -number - 1.0, 1e300]
        return [*(v.hex() for v in scaled), "inf", "nan", "0x1p9999", "0x" + "1" * 10**6, *wrong]
    return ["s8.5", "u8.4", "s16.4", "s8.60", "s80.4", "s8.4 ", value + "x", *wrong]


def redigested(certificate: Certificate) -> Certificate:
    return {**certificate, "digest": digest(certificate)}


@pytest.fixture(scope="module")
def genuine() -> dict[str, Certificate]:
    """Of each kind one, on formats and with shifts small enough to know the truth."""
    gelu = find("GELU").function()
    source, target = FixedPoint.parse("s5.2"), FixedPoint.parse("s6.3")
    faithful = make_gates(gelu, source, target, "faithful")
    found = {}
    for kind, (fitter, options) in FITTERS.items():
        shift = {"shift": 3} if kind.startswith(("lines", "tree")) else {}
        fit = fitter(faithful, **shift)
        found[kind] = plain(certify_fixed(fit, **options, **shift))
    best = fit_segments(gelu, source, target, 2, shift=3)
    found["least"] = plain(certify_fixed(best, pieces=2, shift=3))
    return found


KINDS = (*FITTERS, "least")


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_is_noticed(kind: str, genuine: dict[str, Certificate]) -> None:
    gelu = of_function("GELU")
    certificate = genuine[kind]
    assert check_certificate(certificate, gelu) == []
    for path in leaves(certificate):
        place: Any = certificate
        for key in path:
            place = place[key]
        for value in changes(place):
            problems = check_certificate(changed(certificate, path, value), gelu)
            assert problems, (path, value)
            assert all(isinstance(problem, str) and len(problem) < 300 for problem in problems)
    for key in certificate:
        assert check_certificate({k: v for k, v in certificate.items() if k != key}, gelu)
    assert check_certificate({**certificate, "more": 1}, gelu)


def truth(certificate: Certificate) -> bool:
    """Whether all that a certificate of the function GELU claims is true, found otherwise."""
    gelu = find("GELU").function()
    source, target = (FixedPoint.parse(certificate[key]) for key in ("input", "output"))
    objective = certificate["objective"]
    objective = float.fromhex(objective) if objective.startswith("0x") else objective
    found = make_gates(gelu, source, target, objective)
    own = read_format(certificate["input"], 16), read_format(certificate["output"], 32)
    form = read_form(certificate["form"], *own)
    error = float(np.abs(form.outputs - found.target).max())
    holds = found.admit(form.outputs)
    holds &= math.isclose(error, float.fromhex(certificate["max_error_ulp"]), rel_tol=1e-9)
    holds &= certificate["max_error"] == (error * target.ulp).hex()
    for key in ("fewest", "least"):
        if key in certificate:
            claim = certificate[key]
            bound = found
            if key == "least":
                limit = float.fromhex(certificate["lower_bound"]) * (1 - 1e-12)
                bound = make_gates(gelu, source, target, limit)
            few = _fewest(form.name, bound, claim)
            holds &= few > claim["pieces"] if key == "least" else few >= claim["pieces"]
    if "least" not in certificate:
        floor = float(np.abs(np.rint(found.target) - found.target).max()) * target.ulp
        holds &= math.isclose(floor, float.fromhex(certificate["lower_bound"]), rel_tol=1e-9)
    return bool(holds)


def _fewest(name: str, found: Gates, claim: Certificate) -> int:
    """Fewest pieces, by dynamic programming over all windows and all slopes."""
    if name == "thresholds":
        return count(fit_thresholds(found).form)
    slopes, shift = claim["slopes"], claim["shift"]
    steepest = 64 << shift
    if "grid" in slopes:
        members = list(range(0, steepest, slopes["grid"]))
    else:
        terms = [0, *(s << i for i in range(slopes["top"] + 1) for s in (1, -1))]
        sums = {0}
        for _ in range(slopes["digits"]):
            sums = {a + b for a in sums for b in terms}
        members = [s for s in sums if abs(s) <= steepest]
    every = np.array(sorted({*members, *(-s for s in members)}))
    size = len(found)
    serves = [[False] * size for _ in range(size)]
    for start in range(size):
        for end in range(start + 1, size + 1):
            x = np.arange(start, end)
            first = (found.low[start:end] << shift) - np.outer(every, x)
            last = ((found.high[start:end] + 1) << shift) - 1 - np.outer(every, x)
            if not np.any(first.max(axis=1) <= last.min(axis=1)):
                break
            serves[start][end - 1] = True
    if name == "segment_tree":
        return _fewest_tree(serves, 0, size)
    return fewest_windows(size, serves)


def _fewest_tree(serves: list[list[bool]], start: int, end: int) -> int:
    if serves[start][end - 1]:
        return 1
    middle = (start + end) // 2
    return _fewest_tree(serves, start, middle) + _fewest_tree(serves, middle, end)


UNKNOWN = {("fewest", "shift"), ("least", "shift")}
"""What the truth of a change is takes too long to find: slopes would be too many."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_accepted_is_true(kind: str, genuine: dict[str, Certificate]) -> None:
    """Changes with a new digest: rejected, or as true as before."""
    gelu = of_function("GELU")
    certificate = genuine[kind]
    assert truth(certificate)
    rejected = 0
    for path in leaves(certificate):
        if path[0] in ("digest", "function") or path in UNKNOWN:
            continue
        place: Any = certificate
        for key in path:
            place = place[key]
        for value in changes(place):
            try:
                other = redigested(changed(certificate, path, value))
            except (TypeError, ValueError):  # pragma: no cover
                continue
            if check_certificate(other, gelu):
                rejected += 1
            else:
                assert truth(other), (path, value)
    assert rejected > 100


FALSE: dict[str, tuple[str, Callable[[Certificate], object], str]] = {
    "output": ("table", lambda c: c["form"]["values"].__setitem__(3, 9), "outputs do not keep"),
    "level": ("thresholds", lambda c: c["form"]["levels"].__setitem__(0, 3), "do not keep"),
    "step left out": (
        "thresholds",
        lambda c: (c["form"]["thresholds"].pop(), c["form"]["levels"].pop()),
        "do not keep",
    ),
    "slope": ("lines", lambda c: c["form"]["slopes"].__setitem__(0, 99), ""),
    "depth": ("tree", lambda c: c["form"]["depths"].__setitem__(0, 0), "binary tree"),
    "segments": ("lines", lambda c: c["form"].update(segments=1), "segments of the form"),
    "digits": ("lines of two digits", lambda c: c["form"].update(digits=1), "digits of the form"),
    "width": ("bipartite", lambda c: c["form"].update(offset_width=9), "offset_width"),
    "objective": ("lines", lambda c: c.update(objective="correctly_rounded"), "do not keep"),
    "error": ("tree", lambda c: c.update(max_error=(0.01).hex()), "units of the output"),
    "floor": ("tree", lambda c: c.update(lower_bound=c["max_error"]), "rounding floor"),
    "one piece more": ("lines", lambda c: c["fewest"].update(pieces=4), "proven to be needed"),
    "one step more": ("thresholds", lambda c: c["fewest"].update(pieces=99), "not a whole"),
    "no witness": ("lines", lambda c: c["fewest"]["witnesses"].pop(), "are proven"),
    "witness twice": (
        "thresholds",
        lambda c: c["fewest"]["witnesses"].append(c["fewest"]["witnesses"][-1]),
        "overlap",
    ),
    "nothing refuted": (
        "lines",
        lambda c: c["fewest"]["witnesses"].__setitem__(0, [-16, -15]),
        "may serve",
    ),
    "witness outside": (
        "tree",
        lambda c: c["fewest"]["witnesses"].__setitem__(0, [-16, 99]),
        "not a whole number",
    ),
    "witness reversed": ("tree", lambda c: c["fewest"]["witnesses"][0].reverse(), "increase"),
    "fewer slopes": (
        "tree of one digit",
        lambda c: c["fewest"].update(slopes={"digits": 0, "top": 9}),
        "does not speak of",
    ),
    "coarser grid": ("lines", lambda c: c["fewest"].update(slopes={"grid": 10**6}), "speak of"),
    "less shift": ("lines", lambda c: c["fewest"].update(shift=0), "shift is not"),
    "bound of a table": ("table", lambda c: c.update(fewest={"pieces": 1}), "no pieces"),
    "least of fewer": ("least", lambda c: c["least"].update(pieces=1), "more pieces"),
    "least of more": ("least", lambda c: c["least"].update(pieces=3), "proven for less than"),
    "least without proof": ("least", lambda c: c["least"].update(witnesses=[]), "proven for"),
    "least above": (
        "least",
        lambda c: c.update(lower_bound=(2 * float.fromhex(c["lower_bound"])).hex()),
        "above the error",
    ),
}


@pytest.mark.parametrize("change", FALSE)
def test_false_claims(change: str, genuine: dict[str, Certificate]) -> None:
    kind, tamper, why = FALSE[change]
    certificate = copy.deepcopy(genuine[kind])
    tamper(certificate)
    problems = check_certificate(redigested(certificate), of_function("GELU"))
    assert problems
    assert why in problems[0]


@pytest.mark.parametrize("kind", KINDS)
def test_another_function_is_rejected(kind: str, genuine: dict[str, Certificate]) -> None:
    gelu = find("GELU").function()
    for other in (find("SiLU").function(), ScalarFunction("GELU", lambda x: gelu(x) * 1.001)):
        assert check_certificate(genuine[kind], other)
    nowhere = check_certificate(genuine[kind], lambda x: np.where(x > 0, np.nan, x))
    assert nowhere == ["the function is not a number at an input"]


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Callable[[Certificate], object]] = {
    "long list": lambda c: c["form"].update(slopes=[1] * 10**6),
    "long breakpoints": lambda c: c["form"].update(breakpoints=list(range(10**6))),
    "long witnesses": lambda c: c["fewest"].update(witnesses=[[0, 1]] * 10**6),
    "long witness": lambda c: c["fewest"]["witnesses"].__setitem__(0, list(range(10**6))),
    "long close": lambda c: c.update(close=[[0, 0, 0, 0]] * 10**6),
    "huge slope": lambda c: c["form"]["slopes"].__setitem__(0, 10**100_000),
    "huge shift": lambda c: c["form"].update(shift=10**9),
    "huge claimed shift": lambda c: c["fewest"].update(shift=10**9),
    "huge top": lambda c: c["fewest"].update(slopes={"digits": 4, "top": 10**9}),
    "many digits": lambda c: c["fewest"].update(slopes={"digits": 10**9, "top": 9}),
    "many bits": lambda c: c.update(input="s1000000000.0"),
    "wide input": lambda c: c.update(input="s32.0"),
    "huge fraction": lambda c: c.update(output="s8.99"),
    "deep form": lambda c: c["form"].update(slopes=nested(10**5)),
    "deep close": lambda c: c.update(close=nested(10**5)),
    "deep witness": lambda c: c["fewest"].update(witnesses=nested(10**5)),
    "deep objective": lambda c: c.update(objective=nested(10**5)),
    "deep format": lambda c: c.update(input=nested(10**5)),
    "form in a form": lambda c: c["form"].update(form=c["form"]),
    "long text": lambda c: c.update(max_error="0x" + "0" * 10**7),
    "unicode digits": lambda c: c.update(input="s\u0668.\u0664"),
    "version": lambda c: c.update(version=2),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_certificates_cost_nothing(change: str, genuine: dict[str, Certificate]) -> None:
    certificate = copy.deepcopy(genuine["lines"])
    HOSTILE[change](certificate)
    start = time.process_time()
    problems = check_certificate(certificate, of_function("GELU"))
    assert len(problems) == 1
    assert len(problems[0]) < 300
    assert time.process_time() - start < 4


def test_the_worst_honest_shape_is_quick() -> None:
    """As many witnesses as inputs, each with a search among sums of four digits."""
    chosen = random.Random(0)
    slopes = Slopes(0, 4, 62)  # as many digits and bits as are allowed
    start = time.process_time()
    for _ in range(500):
        low = chosen.randrange(2**40, 2**60)
        slopes.meet(low, low + chosen.randrange(2**20))
    assert time.process_time() - start < 5
