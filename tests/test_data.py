"""Data: read, checked against the model with all problems at once, cut into batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actc.data import Dataset, InputInfo, load, synthesize
from actc.errors import UsageError

F32, I32, U8, BOOL = (np.dtype(t) for t in (np.float32, np.int32, np.uint8, np.bool_))
IMAGE = InputInfo("image", F32, (None, 3, 4))
TOKENS = InputInfo("tokens", I32, (None, None))


def images(count: int = 5) -> Any:
    return np.arange(count * 12, dtype=np.float32).reshape(count, 3, 4)


def problems(data: Any, *inputs: InputInfo) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(data, list(inputs))
    assert {d.code for d in caught.value.diagnostics} <= {"ACT0220", "ACT0221"}
    return [d.message for d in caught.value.diagnostics]


def helps(data: Any, *inputs: InputInfo) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(data, list(inputs))
    return [d.help for d in caught.value.diagnostics]


def test_named_arrays_and_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    tokens = np.ones((5, 7), np.int64)
    np.savez(path, tokens=tokens, image=images(), labels=np.arange(5, dtype=np.uint8))
    dataset = load(path, [IMAGE, TOKENS])
    assert list(dataset.inputs) == ["image", "tokens"]
    assert dataset.inputs["tokens"].dtype == I32
    assert dataset.labels is not None
    assert dataset.labels.dtype == np.int64
    assert (dataset.samples, dataset.synthetic, dataset.batch) == (5, False, None)


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_a_single_array_may_have_any_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"d{suffix}"
    if suffix == ".npz":
        np.savez(path, whatever=images())
    else:
        np.save(path, images())
    np.testing.assert_array_equal(load(path, [IMAGE]).inputs["image"], images())


def test_a_bare_array_in_memory() -> None:
    np.testing.assert_array_equal(load(images(), [IMAGE]).inputs["image"], images())


def test_a_single_array_and_its_lengths_under_another_name() -> None:
    data = {"x": np.ones((2, 6), np.int32), "x.lengths": np.array([6, 2])}
    dataset = load(data, [TOKENS])
    np.testing.assert_array_equal(dataset.lengths["tokens"], [6, 2])


def test_wrong_names_suggest_the_right_ones() -> None:
    data = {"imgae": images(), "token": np.ones((5, 7), np.int32)}
    found = helps(data, IMAGE, TOKENS)
    assert "is it called 'imgae' in the data?" in found[0]
    assert "is it called 'token' in the data?" in found[1]
    assert found[2:] == ["the model's inputs are: image, tokens"] * 2
    missing = problems({"image": images()}, IMAGE, TOKENS)
    assert missing == ["no array for the model input 'tokens'"]
    assert "holds: nothing" in helps({}, IMAGE)[0]


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 5), (5, 4, 3), (12,), (), (5, 1, 3, 4)])
def test_wrong_shapes(shape: tuple[int, ...]) -> None:
    (message,) = problems({"image": np.zeros(shape, np.float32)}, IMAGE)
    assert f"shape {list(shape)}" in message
    assert "[samples, 3, 4]" in message


def test_dynamic_dimensions_take_any_size() -> None:
    assert load({"t": np.zeros((2, 9), np.int32)}, [TOKENS]).samples == 2


@pytest.mark.parametrize(
    ("dtype", "given", "good"),
    [
        (F32, np.float64, True),
        (F32, np.uint8, True),
        (F32, np.bool_, True),
        (I32, np.int64, True),
        (U8, np.int64, True),
        (I32, np.float32, False),
        (F32, np.complex64, False),
        (F32, np.str_, False),
        (F32, np.object_, False),
        (BOOL, np.float32, False),
        (BOOL, np.bool_, True),
    ],
)
def test_types(dtype: np.dtype[Any], given: Any, good: bool) -> None:
    info = InputInfo("x", dtype, (None, 2))
    data = {"x": np.array([[1, 0]]).astype(given)}
    if good:
        assert load(data, [info]).inputs["x"].dtype == dtype
    else:
        assert "has type" in problems(data, info)[0]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [(U8, [256, 0]), (U8, [-1, 0]), (I32, [2**40, 0]), (F32, [1e300, 0.0])],
)
def test_values_that_the_type_cannot_hold(dtype: np.dtype[Any], values: list[Any]) -> None:
    """A silent wrap-around would calibrate on other numbers than the user gave."""
    info = InputInfo("x", dtype, (None, 2))
    assert "beyond the range" in problems({"x": np.array([values])}, info)[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    broken = images()
    broken[3, 1, 1] = value
    assert "NaN or infinite" in problems({"image": broken}, IMAGE)[0]


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        (np.zeros(4, np.int64), "has shape [4], expected [5]"),
        (np.zeros((5, 2), np.int64), "has shape [5, 2]"),
        (np.zeros(5, np.float32), "has type float32"),
    ],
)
def test_wrong_labels(labels: Any, part: str) -> None:
    (message,) = problems({"image": images(), "labels": labels}, IMAGE)
    assert part in message


@pytest.mark.parametrize(
    ("lengths", "part"),
    [
        ([1, 2, 0], "integers in 1..6"),
        ([1, 2, 7], "integers in 1..6"),
        ([1, 2], "must hold 3 integers"),
        ([1.0, 2.0, 3.0], "integers"),
    ],
)
def test_wrong_lengths(lengths: list[Any], part: str) -> None:
    data = {"tokens": np.ones((3, 6), np.int32), "tokens.lengths": np.array(lengths)}
    (message,) = problems(data, TOKENS)
    assert part in message


def test_lengths_of_nothing_and_of_a_fixed_length() -> None:
    data = {"image": images(), "tokens": np.ones((5, 6), np.int32)}
    found = problems({**data, "x.lengths": np.ones(5, np.int64)}, IMAGE, TOKENS)
    assert found == ["'x.lengths' belongs to no array"]
    found = problems({**data, "image.lengths": np.ones(5, np.int64)}, IMAGE, TOKENS)
    assert "has a fixed length" in found[0]


def test_different_numbers_of_samples_and_none() -> None:
    data = {"image": images(5), "tokens": np.ones((4, 2), np.int32)}
    assert problems(data, IMAGE, TOKENS) == ["the arrays hold different numbers of samples"]
    assert problems({"image": images(0)}, IMAGE) == ["the data holds no samples"]


def test_all_problems_at_once() -> None:
    data = {
        "image": np.full((5, 3, 5), np.nan, np.float64),
        "tokns": np.ones((5, 2), np.int32),
        "labels": np.zeros(4, np.float32),
    }
    found = " | ".join(problems(data, IMAGE, TOKENS))
    for part in ("'tokens'", "'tokns'", "shape", "NaN", "expected [5]", "expected integers"):
        assert part in found


def test_labels_are_not_judged_against_no_samples() -> None:
    data = {"a": images(), "b": images(), "labels": np.zeros(5, np.int64)}
    assert not any("labels" in message for message in problems(data, IMAGE))


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, image=np.array([{"a": 1}], dtype=object))
    (message,) = problems(path, IMAGE)
    assert "plain arrays" in message


def test_nobody_is_told_to_unpickle_a_file(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "objects.npz", image=np.array([{"a": 1}], dtype=object))
    for name in ("text.npz", "objects.npz"):
        (message,) = problems(tmp_path / name, IMAGE)
        assert "pickle" not in message


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


def test_a_pickle_in_disguise_is_not_run(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    assert problems(tmp_path / "d.npy", IMAGE)


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    noise = np.random.default_rng(0).standard_normal((5, 3, 4)).astype(np.float32)
    np.savez_compressed(path, image=noise)
    whole = path.read_bytes()
    for size in range(0, len(whole), 29):
        path.write_bytes(whole[:size])
        assert problems(path, IMAGE)
    refused = 0
    for position in range(40, len(whole), 13):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            load(path, [IMAGE])
        except UsageError as error:
            refused += {d.code for d in error.diagnostics} <= {"ACT0220", "ACT0221"}
    assert refused > 10


def test_missing_file(tmp_path: Path) -> None:
    (message,) = problems(tmp_path / "absent.npz", IMAGE)
    assert "no such file" in message


def test_batches_cover_every_sample_once() -> None:
    dataset = load({"image": images(7), "labels": np.arange(7)}, [IMAGE])
    parts = list(dataset.batches(3))
    assert [real for _, real in parts] == [3, 3, 1]
    joined = np.concatenate([feeds["image"] for feeds, _ in parts])
    np.testing.assert_array_equal(joined, images(7))


def test_a_fixed_batch_is_filled_with_the_last_sample() -> None:
    dataset = load({"image": images(5)}, [InputInfo("image", F32, (4, 3, 4))])
    assert dataset.batch == 4
    (first, a), (second, b) = dataset.batches(64)
    assert (a, b) == (4, 1)
    assert first["image"].shape == second["image"].shape == (4, 3, 4)
    for row in second["image"]:
        np.testing.assert_array_equal(row, images(5)[4])


def test_varying_lengths_come_one_by_one_and_cut() -> None:
    data = {"tokens": np.arange(18, dtype=np.int32).reshape(3, 6), "tokens.lengths": [6, 1, 4]}
    parts = list(load(data, [TOKENS]).batches(64))
    assert [feeds["tokens"].tolist() for feeds, _ in parts] == [
        [[0, 1, 2, 3, 4, 5]],
        [[6]],
        [[12, 13, 14, 15]],
    ]
    assert [real for _, real in parts] == [1, 1, 1]


def test_take() -> None:
    data = {"t": np.ones((3, 6), np.int32), "t.lengths": [6, 1, 4], "labels": [1, 2, 3]}
    part = load(data, [TOKENS]).take(2)
    assert part.samples == 2
    assert part.labels is not None
    assert part.labels.tolist() == [1, 2]
    assert part.lengths["tokens"].tolist() == [6, 1]


def test_synthetic_samples_repeat_and_have_the_right_types() -> None:
    inputs = [IMAGE, TOKENS, InputInfo("mask", BOOL, (8, 2)), InputInfo("pixels", U8, (None, 2))]
    first, second = synthesize(inputs, 50), synthesize(inputs, 50)
    assert isinstance(first, Dataset)
    assert first.synthetic
    for info in inputs:
        array = first.inputs[info.name]
        assert array.dtype == info.dtype
        assert len(array) == 50
        assert len(np.unique(array)) > 1
        np.testing.assert_array_equal(array, second.inputs[info.name])
    assert first.inputs["tokens"].shape == (50, 1)
    assert first.inputs["tokens"].min() >= 0
    assert abs(float(first.inputs["image"].mean())) < 0.2
