"""Tuning of the target `cpu`: every schedule computes the same, and what is chosen is kept."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from installed import needs_gxx

import actc
from actc.cache import Cache
from actc.errors import UsageError
from actc.targets.tvm.kernels.float_spec import FloatConv
from actc.targets.tvm.kernels.schedule import Schedule
from actc.targets.tvm.kernels.spec import ConvSpec, Epilogue, fold_bias, padded

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from test_cpu_kernels import SPECS, Case  # noqa: E402

from actc.targets.tvm.codegen import ModuleBuilder  # noqa: E402
from actc.targets.tvm.host import host_cpu  # noqa: E402
from actc.targets.tvm.kernels.conv import conv_prim_func, pack_weight  # noqa: E402
from actc.targets.tvm.tuning import search as searching  # noqa: E402
from actc.targets.tvm.tuning.cache import KIND, Choices, key  # noqa: E402
from actc.targets.tvm.tuning.candidates import (  # noqa: E402
    Tunable,
    cuts,
    is_amx,
    is_candidate,
    tiles,
)
from actc.targets.tvm.tuning.choice import Choice  # noqa: E402
from actc.targets.tvm.tuning.request import Request  # noqa: E402
from actc.targets.tvm.tuning.search import OutOfTime, search  # noqa: E402
from actc.targets.tvm.tuning.trial import Trial, kernel_plan  # noqa: E402
from actc.targets.tvm.tuning.tuner import threads, tune  # noqa: E402

CPU = host_cpu()
DIGITS = Path(__file__).parent.parent / "examples" / "digits"
KINDS = (
    "one-channel-strided",
    "two-channels",
    "many-out",
    "dilated",
    "narrow-pointwise",
    "conv1d",
    "groups-of-4",
    "grouped-dilated",
    "depthwise-strided",
    "static-batch-pixels",
    "symbolic",
    "symbolic-rows",
    "symbolic-depthwise",
)
FOUND = Choice(Schedule(4, 2), 5, (1, 64), (3.0, 70.5), (2.5, 60.25))
LARGE = replace(SPECS["many-out"], in_h=16, in_w=17, in_c=64)
MATRIX = replace(SPECS["symbolic-pixels"], in_c=96, out_c=200)


def _float(spec: ConvSpec) -> FloatConv:
    return FloatConv(replace(spec, x_zero=0, epilogue=Epilogue("accumulator")))


FLOAT = _float(LARGE)


def _all(kernel: Tunable) -> list[Schedule]:
    """All register tiles, and all cuts of two of them."""
    found = tiles(kernel, CPU.features)
    several = [cut for tile in found[:2] for cut in cuts(kernel, CPU.features, tile)]
    return found + several


def _some(kernel: Tunable, count: int, seed: int) -> list[Schedule]:
    """Some of them: both kinds."""
    rng = random.Random(seed)
    shapes = tiles(kernel, CPU.features)
    found = [schedule for schedule in _all(kernel) if schedule not in shapes]
    return rng.sample(shapes, min(count, len(shapes))) + rng.sample(found, min(count, len(found)))


def _results(case: Case, schedules: list[Schedule]) -> list[Any]:
    """The output of a kernel with each schedule; its weights are packed for that."""
    conv, functions, operands = case.spec, {}, []
    pad = [(0, 0)] * 3
    x = np.pad(case.x, [*pad, (0, padded(conv.in_c) - conv.in_c)], constant_values=0xA5)
    bias = fold_bias(case.bias, case.weight, conv.x_zero)
    channels = padded(conv.out_c)
    rest = [bias, np.pad(case.multiplier, (0, channels - conv.out_c)), case.table]
    for number, schedule in enumerate(schedules):
        name = f"conv{number}"
        functions[name] = conv_prim_func(conv, CPU.features, name, schedule)
        operands.append([x, pack_weight(case.weight, conv, CPU.features, schedule), *rest])
    library = tvm.compile(tvm.IRModule(functions), target=tvm.target.Target(CPU.target()))
    results = []
    for number, given in enumerate(operands):
        out = tvm.runtime.tensor(np.full((len(x), conv.out_h, conv.out_w, channels), 90, np.uint8))
        library[f"conv{number}"](*map(tvm.runtime.tensor, given), out)
        results.append(out.numpy()[..., : conv.out_c])
    return results


@pytest.mark.parametrize("name", KINDS)
def test_every_schedule_computes_the_definition(name: str) -> None:
    conv = SPECS[name]
    case = Case.random(conv, conv.batch or 3, seed=5)
    schedules = _some(conv, 2, seed=len(name))
    for schedule, found in zip(schedules, _results(case, schedules), strict=True):
        np.testing.assert_array_equal(found, case.expected(), str(schedule))


@pytest.mark.parametrize("conv", [LARGE, MATRIX], ids=["convolution", "matrix"])
def test_schedules_of_kernels_with_several_pieces(conv: ConvSpec) -> None:
    case = Case.random(conv, conv.batch or 7, seed=3)
    schedules = _some(conv, 3, seed=3)
    cut = sum(bool(schedule.pieces or schedule.groups) for schedule in schedules)
    assert cut >= 3 or conv is MATRIX
    for schedule, found in zip(schedules, _results(case, schedules), strict=True):
        np.testing.assert_array_equal(found, case.expected(), str(schedule))


@pytest.mark.parametrize("name", ["many-out", "depthwise", "symbolic-pixels"])
def test_a_module_packs_weights_for_its_schedules(name: str) -> None:
    """Integers and floats, through the way that a network takes."""
    for kernel in (SPECS[name], _float(SPECS[name])):
        expected = Trial(kernel, CPU, None).output()
        for schedule in _some(kernel, 1, seed=1):
            for found, wanted in zip(Trial(kernel, CPU, schedule).output(), expected, strict=True):
                if isinstance(kernel, FloatConv):
                    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
                else:
                    np.testing.assert_array_equal(found, wanted, str(schedule))


def test_the_first_candidate_is_the_modelled_schedule() -> None:
    for kernel in (LARGE, MATRIX, SPECS["depthwise"], FLOAT):
        first = tiles(kernel, CPU.features)[0]
        same = cut_of(kernel, first) == cut_of(kernel, None)
        assert same != is_amx(kernel, CPU.features)
        assert all(is_candidate(kernel, CPU.features, s) for s in _all(kernel))
        assert not is_candidate(kernel, CPU.features, replace(first, pixels=500))
        assert not is_candidate(kernel, CPU.features, replace(first, pieces=1000))


def cut_of(kernel: Tunable, schedule: Schedule | None) -> str:
    """The code of a kernel."""
    functions = {} if schedule is None else {kernel: schedule}
    return str(ModuleBuilder(kernel_plan(kernel), CPU.features, functions).module().script())


# The search, with times that do not depend on this machine.


class _Clock:
    """In the place of kernels that are compiled and timed."""

    compiled: ClassVar[list[Schedule | None]] = []
    share: ClassVar[dict[Schedule, float]] = {}

    def __init__(self, kernel: Tunable, cpu: Any, schedule: Schedule | None) -> None:
        self.compiled.append(schedule)
        self.schedule = schedule

    def seconds(self) -> list[float]:
        return [1e-5 * (1.0 if self.schedule is None else self.share.get(self.schedule, 1.2))]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[_Clock]:
    monkeypatch.setattr(searching, "Trial", _Clock)
    monkeypatch.setattr(_Clock, "compiled", [])
    monkeypatch.setattr(_Clock, "share", {})
    return _Clock


def test_the_fastest_schedule_is_chosen(clock: type[_Clock]) -> None:
    other = tiles(FLOAT, CPU.features)[3]
    faster = cuts(FLOAT, CPU.features, other)[1]
    clock.share.update({other: 0.9, faster: 0.8})
    found = search(FLOAT, CPU, 9, time.monotonic() + 60)
    assert (found.schedule, found.tried) == (faster, 10)
    assert (found.modelled, found.tuned) == ((10.0,), (8.0,))
    assert len(clock.compiled) == 10
    assert clock.compiled[:4] == [None, *tiles(FLOAT, CPU.features)[1:4]]


def test_kernels_of_amx_are_compared_with_vectors(clock: type[_Clock]) -> None:
    features = CPU.features | {"amx-int8", "amx-tile", "avx512vnni", "avx512vl"}
    assert is_amx(LARGE, features)
    first = tiles(LARGE, features)[0]
    clock.share[first] = 0.5
    assert (
        search(LARGE, replace(CPU, features=features), 2, time.monotonic() + 60).schedule == first
    )


def test_what_is_no_faster_than_noise_is_not_chosen(clock: type[_Clock]) -> None:
    clock.share.update(dict.fromkeys(tiles(FLOAT, CPU.features), 0.98))
    found = search(FLOAT, CPU, 4, time.monotonic() + 60)
    assert (found.schedule, found.tuned) == (None, (10.0,))


def test_a_lucky_measurement_is_measured_again(
    clock: type[_Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    lucky = tiles(FLOAT, CPU.features)[1]
    clock.share[lucky] = 0.5
    compare = searching._compare

    def once(*given: Any) -> Any:
        found = compare(*given)
        clock.share[lucky] = 1.0
        return found

    monkeypatch.setattr(searching, "_compare", once)
    assert search(FLOAT, CPU, 2, time.monotonic() + 60).schedule is None


def test_a_search_ends_at_its_deadline(clock: type[_Clock]) -> None:
    with pytest.raises(OutOfTime):
        search(FLOAT, CPU, 2, time.monotonic() - 1)


# The cache.


NAME = "0" * 64


def _choices(tmp_path: Path) -> Choices:
    return Choices(Cache(tmp_path / "cache", 10**6))


def test_a_choice_is_kept(tmp_path: Path) -> None:
    cache = _choices(tmp_path)
    assert cache.read(NAME) is None
    cache.write(NAME, FOUND)
    assert _choices(tmp_path).read(NAME) == FOUND
    assert not cache.problems
    nowhere = Choices(None)
    nowhere.write(NAME, FOUND)
    assert nowhere.read(NAME) is None


def _read(tmp_path: Path, content: bytes) -> list[str]:
    """Problems with an entry of that content."""
    cache = _choices(tmp_path)
    assert cache.place is not None
    cache.place.write(KIND, NAME, {"choice.json": content})
    assert cache.read(NAME) is None
    return cache.problems


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"[" * 9000, "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"3", "no object"),
        (b"{}", "no batches"),
    ],
)
def test_what_is_no_choice_is_not_read(tmp_path: Path, content: bytes, reason: str) -> None:
    (problem,) = _read(tmp_path, content)
    assert reason in problem


@pytest.mark.parametrize(
    "changed",
    [
        {"schedule": {"pixels": 4, "blocks": 2}},
        {"schedule": {"pixels": -4, "blocks": 2, "pieces": 0, "groups": 0}},
        {"schedule": {"pixels": "4", "blocks": 2, "pieces": 0, "groups": 0}},
        {"schedule": [4, 2, 0, 0]},
        {"tried": True},
        {"batches": []},
        {"tuned_us": [1.0]},
        {"modelled_us": [float("nan"), 1.0]},
    ],
)
def test_a_wrong_choice_is_not_read(tmp_path: Path, changed: dict[str, Any]) -> None:
    assert len(_read(tmp_path, json.dumps({**FOUND.to_json(), **changed}).encode())) == 1


def test_what_a_choice_depends_on() -> None:
    given: list[Any] = [LARGE, CPU, 16, 1]
    others = [MATRIX, replace(CPU, features=CPU.features - {"sse2"}), 8, 2]
    changed = [[*given[:at], other, *given[at + 1 :]] for at, other in enumerate(others)]
    keys = {key(kernel, cpu, count, used) for kernel, cpu, count, used in [given, *changed]}
    assert len(keys) == 5
    assert key(LARGE, CPU, 16, 1) == key(replace(LARGE), CPU, 16, 1)


# A plan, and a network.


def test_kernels_are_tuned_once(tmp_path: Path, clock: type[_Clock]) -> None:
    plan = kernel_plan(FLOAT, 2)
    clock.share[tiles(FLOAT, CPU.features)[1]] = 0.5
    lines: list[str] = []
    first = tune(plan, CPU, Request(3, 60), _choices(tmp_path), lines.append)
    count = len(clock.compiled)
    assert count == 4
    assert first.schedules() == {FLOAT: tiles(FLOAT, CPU.features)[1]}
    again = tune(plan, CPU, Request(3, 60), _choices(tmp_path), lines.append)
    assert len(clock.compiled) == count
    assert again.document() == first.document()
    assert again.text() == first.text()
    assert lines[-1].startswith("tune 1/1: float32 convolution 3x3 to 16x17, 64 to 61 channels: ")
    tune(plan, CPU, Request(2, 60), _choices(tmp_path), lines.append)
    assert len(clock.compiled) > count


def test_without_time_kernels_stay_as_modelled(tmp_path: Path) -> None:
    lines: list[str] = []
    found = tune(kernel_plan(FLOAT), CPU, Request(3, 0), _choices(tmp_path), lines.append)
    assert (found.schedules(), found.untimed) == ({}, (FLOAT,))
    assert "no time left" in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_schedule_of_another_kernel_is_not_taken(tmp_path: Path) -> None:
    cache = _choices(tmp_path)
    wrong = replace(FOUND, schedule=Schedule(999, 1))
    cache.write(key(FLOAT, CPU, 3, threads()), wrong)
    found = tune(kernel_plan(FLOAT), CPU, Request(3, 0), cache, lambda line: None)
    assert not found.schedules()
    assert "none of this kernel" in found.problems[0]


@needs_gxx
def test_a_tuned_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It equals golden; compiled again, it is the same file by file."""
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1MB")
    with np.load(DIGITS / "digits_mlp.npz", allow_pickle=False) as data:
        data = {name: array[:64] for name, array in data.items()}
    lines: list[str] = []
    first, second = (
        actc.compile(
            DIGITS / "mlp.onnx",
            "cpu",
            data=data,
            output=tmp_path / name,
            max_drop=1,
            tune=2,
            progress=lines.append,
        )
        for name in ("first", "second")
    )
    found = first.report["tuning"]
    assert first.report["bit_exact"]
    assert found["untimed"] == 0
    assert {row["tried"] for row in found["kernels"]} == {3}
    assert second.report["tuning"] == found
    manifests = [
        json.loads((tmp_path / n / "manifest.json").read_text()) for n in ("first", "second")
    ]
    assert manifests[0]["files"] == manifests[1]["files"]
    assert (tmp_path / "first" / "kernels.txt").read_text().count("\ntuning int8 product") == len(
        found["kernels"]
    )
    assert sum("tune 1/" in line for line in lines) == 3
    golden = tmp_path / "first" / "golden.onnx"  # may be tuned, though it is compiled as it is
    assert actc.compile(golden, "cpu", data=data, tune=2, dry_run=True).plan is not None


@needs_gxx
def test_no_time_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1MB")
    report = actc.compile(
        DIGITS / "mlp.onnx", "cpu", output=tmp_path / "out", max_drop=1, tune=2, tune_seconds=0
    ).report
    assert "ACT0492" in {item["code"] for item in report["diagnostics"]}
    assert report["tuning"]["untimed"] == len(report["tuning"]["kernels"]) > 0


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        ({"target": "onnx", "tune": 4}, ["ACT0490"]),
        ({"target": "verilog", "tune": 4}, ["ACT0490"]),
        ({"target": "cpu:aarch64:cortex-a76", "tune": 4}, ["ACT0491"]),
        ({"target": "cpu:znver1", "tune": 4}, ["ACT0491"]),
        ({"target": "cpu", "tune_seconds": 9.0}, ["ACT0490"]),
        ({"target": "cpu", "tune": -1, "tune_seconds": -1.0}, ["ACT0224", "ACT0224"]),
        ({"target": "onnx", "tune": 4, "weights": "77"}, ["ACT0224", "ACT0490"]),
    ],
)
def test_what_cannot_be_tuned(options: dict[str, Any], codes: list[str]) -> None:
    with pytest.raises(UsageError) as raised:
        actc.compile(DIGITS / "mlp.onnx", **options)
    assert sorted(item.code for item in raised.value.diagnostics) == codes
