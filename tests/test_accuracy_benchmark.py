"""benchmarks/accuracy.py: its encoder, metrics, choices and tables; slow: its data and a run."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from doc_snippets import shown
from scipy.special import erf, softmax

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import accuracy
import contestants
from accuracy_table import Entry, render
from contestants import FLOAT, FOUR_BIT, INT8, NARROW, PEER, TIME, Job, Result, squared_errors
from tasks import files, lines
from tasks.base import DOWNLOADS, NotFetched, Task, area_under_curve, cosine
from tasks.bert import make_encoder
from tasks.every import TASKS

Array = npt.NDArray[Any]

SCRIPT = Path(accuracy.__file__)
CONFIG = {
    "hidden_size": 12,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "max_position_embeddings": 9,
    "layer_norm_eps": 1e-12,
}
HIDDEN, HEADS, INNER, VOCABULARY = 12, 3, 20, 31


def random_bert() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (9, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    for layer in range(2):
        place = f"encoder.layer.{layer}."
        sizes = {"intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
        square = ("self.query", "self.key", "self.value", "output.dense")
        sizes |= {f"attention.{name}": (HIDDEN, HIDDEN) for name in square}
        for name, shape in sizes.items():
            shapes |= {f"{place}{name}.weight": shape, f"{place}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{place}{name}.weight": (HIDDEN,), f"{place}{name}.bias": (HIDDEN,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def norm(x: Array, tensors: dict[str, Array], name: str) -> Array:
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True))
    result: Array = x * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]
    return result


def bert(tensors: dict[str, Array], ids: Array) -> Array:
    """One text without padding, in float64: Devlin et al., 2018, with post-normalization."""

    def linear(x: Array, name: str) -> Array:
        result: Array = x @ tensors[f"{name}.weight"].T.astype(np.float64)
        return result + tensors[f"{name}.bias"]

    x: Array = tensors["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(
        x + tensors["embeddings.token_type_embeddings.weight"][0], tensors, "embeddings.LayerNorm"
    )
    for layer in range(2):
        place = f"encoder.layer.{layer}."
        parts = []
        q, k, v = (linear(x, f"{place}attention.self.{n}") for n in ("query", "key", "value"))
        for head in range(HEADS):
            part = slice(head * 4, head * 4 + 4)
            weights = softmax(q[:, part] @ k[:, part].T / math.sqrt(4), axis=-1)
            parts.append(weights @ v[:, part])
        mixed = linear(np.concatenate(parts, axis=-1), f"{place}attention.output.dense")
        x = norm(x + mixed, tensors, f"{place}attention.output.LayerNorm")
        up = linear(x, f"{place}intermediate.dense")
        gelu = up * (1 + erf(up / math.sqrt(2))) / 2
        x = norm(x + linear(gelu, f"{place}output.dense"), tensors, f"{place}output.LayerNorm")
    return x


def test_encoder_is_bert_and_padding_changes_nothing() -> None:
    tensors = random_bert()
    model = make_encoder(tensors, CONFIG)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ids = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 0, 0, 0]])
    mask = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])
    (found,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    assert np.asarray(found).shape == (2, 6, HIDDEN)
    np.testing.assert_allclose(found[0], bert(tensors, ids[0]), atol=1e-4)
    np.testing.assert_allclose(found[1][:3], bert(tensors, ids[1][:3]), atol=1e-4)


def test_area_under_curve_counts_ties_half() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 6, 80) / 5.0, rng.random(80) < 0.4
    assert area_under_curve(scores, positive) == pytest.approx(
        metrics.roc_auc_score(positive, scores)
    )


def test_cosine_ignores_length() -> None:
    a = np.array([[1.0, 0.0], [1.0, 1.0]])
    b = np.array([[5.0, 0.0], [0.0, 2.0]])
    assert cosine(a, b) == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_errors_are_per_sample_and_relative() -> None:
    wanted = np.array([[1.0, -1.0], [3.0, -3.0]])
    found = wanted + np.array([[0.5, 0.5], [0.0, 1.0]])
    expected = np.array([0.25, 0.5]) / wanted.var()
    for unit in (1e-6, 1e6):
        assert squared_errors(unit * found, unit * wanted) == pytest.approx(expected)
    assert squared_errors(found[:, 0], wanted[:, 0]) == pytest.approx([0.25, 0])


def entry(contestant: str, method: str = "", chosen: bool = True, **result: Any) -> Entry:
    return Entry("digits-mlp", contestant, method, Result(**result), chosen)


def held_out(mean: float, noise: float, seed: int, count: int = 100) -> list[float]:
    values = np.random.default_rng(seed).normal(size=count)
    values = (values - values.mean()) / values.std(ddof=1)
    return [float(value) for value in mean + noise * values]


def test_the_default_stays_unless_another_is_nearer_by_more_than_noise() -> None:
    default = held_out(1.0, 0.3, 0)

    def other(gain: float) -> list[float]:
        """Better by so many standard errors of the difference; sample by sample much alike."""
        difference = held_out(0.0, 0.1, 1)
        return [a - gain * 0.01 + d for a, d in zip(default, difference, strict=True)]

    assert accuracy.advantage(default, other(1.5)) == pytest.approx(1.5)
    assert accuracy.choose({"minmax": default, "mse": other(1.5)}) == "minmax"
    assert accuracy.choose({"minmax": default, "mse": other(2.5)}) == "mse"
    assert accuracy.choose({"minmax": default, "mse": other(-9)}) == "minmax"
    three = {"minmax": default, "mse": other(2.5), "entropy": other(4), "percentile": other(1)}
    assert accuracy.choose(three) == "entropy"


def test_the_default_stays_where_nothing_can_be_compared() -> None:
    assert accuracy.choose({}) == "minmax"
    assert accuracy.choose({"minmax": []}) == "minmax"
    assert accuracy.choose({"minmax": [1.0, 1.0], "mse": []}) == "minmax"
    assert accuracy.choose({"minmax": [1.0], "mse": [0.5]}) == "minmax"
    assert accuracy.choose({"minmax": [1.0, 2.0], "mse": [1.0, 2.0]}) == "minmax"


ENTRIES = [
    entry(FLOAT, metrics={"accuracy": 0.9}, megabytes=4.0),
    entry(PEER, "entropy", metrics={"accuracy": 0.8}, megabytes=1.0),
    entry(PEER, "minmax", chosen=False, metrics={"accuracy": 0.1}),
    entry(INT8, "mse", metrics={"accuracy": 0.875}, exact=True, seconds=2.5),
    entry(NARROW, "mse", metrics={"accuracy": 0.9}, exact=False),
    entry(FOUR_BIT, "mse", reason="ACT0103: a | b"),
    entry(TIME, chosen=False, milliseconds={FLOAT: 1.5, PEER: 2.5, INT8: 3.5}),
]


def test_table_shows_the_chosen_and_the_reasons() -> None:
    text = render(ENTRIES, TASKS)
    row = next(line for line in text.splitlines() if "accuracy *" in line)
    figures = ["0.9000", "0.8000", "0.8750", "0.9000", "-"]
    assert row.split()[-8:] == ["*", *figures, "75%/100%/-", "entr/mse/mse/"]
    cost = next(line for line in text.splitlines() if line.startswith("digits-mlp  4.00"))
    assert cost.split()[3:] == ["-", "-", "1.50", "2.50", "3.50", "2.50", "-", "yes/NO/-"]
    assert text.splitlines()[-1].split(maxsplit=4)[-1] == "ACT0103: a | b"


def test_markdown_has_as_many_cells_in_every_row() -> None:
    for table in render(ENTRIES, TASKS, markdown=True).strip().split("\n\n"):
        rows = table.replace("\\|", "/").splitlines()
        assert len({row.count("|") for row in rows}) == 1


def test_json_holds_what_is_known() -> None:
    assert ENTRIES[1].to_json() == {
        "task": "digits-mlp",
        "contestant": PEER,
        "method": "entropy",
        "chosen": True,
        "metrics": {"accuracy": 0.8},
        "megabytes": 1.0,
    }


def job(folder: Path, contestant: str, method: str) -> Job:
    return Job("digits-mlp", contestant, method, True, str(folder / "job"), str(folder))


@pytest.mark.slow
def test_a_crash_and_a_late_process_are_results(tmp_path: Path) -> None:
    limits = accuracy.Limits(seconds=300, gigabytes=12, search=0)
    crashed = accuracy.run_job(job(tmp_path / "a", PEER, "no such method"), limits)
    assert "KeyError: 'no such method'" in crashed.reason
    late = accuracy.run_job(
        job(tmp_path / "b", FLOAT, ""), accuracy.Limits(seconds=0.01, gigabytes=12, search=0)
    )
    assert late.reason == "longer than 0 s"
    starved = accuracy.run_job(
        job(tmp_path / "c", FLOAT, ""), accuracy.Limits(seconds=300, gigabytes=0.05, search=0)
    )
    assert starved.reason.startswith("process ended with")


def test_a_trial_is_measured_on_samples_that_it_was_not_calibrated_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.random.default_rng(0).random((7, 64)).astype(np.float32)
    digits = TASKS["digits-mlp"]
    tiny = dataclasses.replace(digits, calibration=lambda _: {"image": images}, batch=2)
    monkeypatch.setitem(TASKS, "digits-mlp", tiny)
    used: list[Array] = []

    def make(task: Task, data: dict[str, Array], _: Job) -> tuple[Path, dict[str, Any]]:
        used.append(data["image"])
        return task.model(Path()), {}

    monkeypatch.setattr(contestants, "make_model", make)
    trial = dataclasses.replace(job(Path(), INT8, "mse"), trial=True)
    assert contestants.attempt(trial).errors == [0, 0, 0]
    np.testing.assert_array_equal(used[0], images[[0, 1, 4, 5]])
    images = images[:2]
    assert "too few" in contestants.attempt(trial).reason


@pytest.mark.slow
def test_digits_from_end_to_end(tmp_path: Path) -> None:
    """The command of docs/accuracy.md, with one model and few samples."""
    (words,) = shown("docs/accuracy.md", "tests/test_accuracy_benchmark.py")
    assert words == [
        *("python", "benchmarks/accuracy.py"),
        *("--json", "docs/data/accuracy.jsonl", "--markdown", "TABLES.md"),
    ]
    places = ["--json", str(tmp_path / "found.jsonl"), "--markdown", str(tmp_path / "TABLES.md")]
    options = ["--models", "digits-mlp", "--quick", "--search", "0", *places]
    command = [sys.executable, str(SCRIPT), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "TABLES.md").stat().st_size > 0
    assert "digits MLP, GELU" in done.stdout
    lines = (tmp_path / "found.jsonl").read_text().splitlines()
    found = {(e["contestant"], e["method"]): e for e in map(json.loads, lines)}
    before, after = found[FLOAT, ""], found[INT8, "minmax"]
    assert before["metrics"]["accuracy"] >= 0.975
    assert after["metrics"]["accuracy"] >= before["metrics"]["accuracy"] - 0.01
    assert after["exact"] is True
    assert set(found[TIME, ""]["milliseconds"]) >= {FLOAT, PEER, INT8}


@pytest.mark.parametrize(("limit", "kept"), [(80, 5), (4, 4)])
def test_files_that_read_the_same_count_once_and_types_are_limited(
    limit: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, archives = tmp_path / "packages", tmp_path / "files"
    for folder in (packages / "one", archives / "two"):
        folder.mkdir(parents=True)
    for index in range(5):
        (packages / "one" / f"{index}.py").write_text(f"number = {index}\n" * 9)
    (packages / "one" / "copy.pyi").write_text("number = 1\n" * 9)
    (packages / "one" / "short.py").write_text("number = 9\n")
    (packages / "one" / "notes.unknown").write_text("number = 9\n" * 9)
    (archives / "two" / "page.HTML").write_text("<p>number</p>" * 9)
    monkeypatch.setattr(files, "PACKAGES", ("one",))
    monkeypatch.setattr(files, "PER_TYPE", limit)
    monkeypatch.setattr(files, "package_folder", lambda name: packages / name)
    monkeypatch.setattr(files, "downloaded", lambda name: tmp_path / name)
    monkeypatch.setattr(files.magika, "labels", lambda: ["html", "python"])
    files.samples.cache_clear()
    try:
        found = files.samples()
    finally:
        files.samples.cache_clear()
    assert found["bytes"].shape == (1 + kept, 2048)
    assert sorted(found["labels"].tolist()) == [0, *[1] * kept]
    assert len({row.tobytes() for row in found["bytes"]}) == 1 + kept


@pytest.mark.slow
def test_lines_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOWNLOADS / "packages"))
    try:
        first, again, other = lines.lines(6, 1), lines.lines(6, 1), lines.lines(6, 2)
    except NotFetched as error:
        pytest.skip(str(error))
    assert first["x"].tobytes() == again["x"].tobytes()
    assert first["labels"].tolist() == [0, 1] * 3
    assert not {row.tobytes() for row in first["x"]} & {row.tobytes() for row in other["x"]}


def samples_of(name: str, array: Array) -> list[Array]:
    """Samples as rows, without padding; a sample of silero is a clip of 64 rows."""
    rows = array.reshape(-1, 64 * 576) if name == "silero" else array.reshape(len(array), -1)
    return [np.trim_zeros(row, "b") for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_calibration_and_evaluation_share_no_sample(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOWNLOADS / "packages"))
    task = TASKS[name]
    try:
        path = task.model(tmp_path)
        data, evaluation = task.calibration(task.samples), task.evaluation(True)
    except NotFetched as error:
        pytest.skip(str(error))
    assert path.is_file()
    first = next(iter(data))
    seen = {sample.tobytes() for sample in samples_of(name, data[first])}
    assert len(seen) > 1
    for feeds in evaluation.feeds:
        assert list(feeds) == list(data)
        assert not any(sample.tobytes() in seen for sample in samples_of(name, feeds[first]))
    assert all(len(array) == len(data[first]) for array in data.values())
