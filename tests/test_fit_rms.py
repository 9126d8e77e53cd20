"""`actc fit --objective rms`: weights, errors, files and what it says of wrong input."""

from __future__ import annotations

import itertools
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from command_line import CommandLine

import actc

X = np.linspace(-4, 4, 41)
COUNTS = np.round(1000 * np.exp(-(X**2)))


def save(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


def test_document(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", "--objective", "rms", "--segments", "8", "--json")
    assert done.status == 0, done.stderr
    found = done.document
    assert (found["objective"], found["weights"], found["domain"]) == ("rms", "normal", [-8, 8])
    assert (found["bounds"], found["certified"], found["certificate"]) == ("rms", False, None)
    assert "dynamic programming" in found["note"]
    assert found["rms"] == pytest.approx(math.sqrt(found["mse"]))
    assert 0.9999 * found["rms"] < found["lower_bound"] <= found["rms"] < found["max_error"]
    (other,) = found["alternatives"]
    assert other["objective"] == "max"
    assert other["rms"] > found["rms"]
    assert other["max_error"] < found["max_error"]
    path = actc_cli.directory / "fit.json"
    path.write_text(json.dumps(found))
    verified = actc_cli("verify", path, "--json")
    assert (verified.status, verified.codes) == (2, ["ACT0341"])
    assert "has no certificate" in verified.document["diagnostics"][0]["message"]


def test_text(actc_cli: CommandLine) -> None:
    done = actc_cli("fit", "GELU", "--objective", "rms", "--weights", "uniform", "--domain=-2,2")
    assert done.status == 0
    assert done.stdout.startswith("GELU on [-2, 2]\n")
    for part in ("uniform weights", "of the rms", "certificate  none", "pwl, least max error"):
        assert part in done.stdout


@pytest.mark.parametrize(("segments", "least"), [(8, 1.2e-5), (16, 8.3e-7)])
def test_published_setting(segments: int, least: float, tmp_path: Path) -> None:
    """GQA-LUT (Dong et al., 2024) samples GELU on [-4, 4] in steps of 0.01."""
    x = np.round(np.arange(-4, 4, 0.01), 2)
    save(tmp_path / "grid.npz", x=x, weight=np.ones_like(x))
    found = actc.fit("GELU", objective="rms", weights=tmp_path / "grid.npz", segments=segments)
    assert found.errors.mse < least
    assert np.mean((found(x.astype(np.float32)) - gelu(x)) ** 2) < 1.001 * least


def gelu(x: Any) -> Any:
    from scipy import special

    return x * special.ndtr(x)


def test_no_segmentation_of_a_histogram_is_better(tmp_path: Path) -> None:
    x, counts = X[::3], COUNTS[::3]
    save(tmp_path / "h.npz", x=x, weight=counts)
    found = actc.fit("GELU", objective="rms", weights=tmp_path / "h.npz", segments=3)
    x32 = x.astype(np.float32).astype(np.float64)
    used = counts > 0
    x32, weight, y = x32[used], counts[used], gelu(x32[used])

    def cost(first: int, end: int) -> float:
        root = np.sqrt(weight[first:end])
        matrix = np.stack([x32[first:end], np.ones(end - first)], axis=1) * root[:, None]
        line, *_ = np.linalg.lstsq(matrix, y[first:end] * root, rcond=None)
        return float(((matrix @ line - y[first:end] * root) ** 2).sum())

    best = min(
        sum(itertools.starmap(cost, itertools.pairwise((0, *cuts, len(x32)))))
        for cuts in itertools.combinations(range(1, len(x32)), 2)
    )
    rms = math.sqrt(best / weight.sum())
    assert found.lower_bound <= rms * (1 + 1e-12)
    assert found.errors.rms == pytest.approx(rms, rel=1e-4)
    assert (found.weights, found.segments) == ("h.npz", 3)
    error = found(x32) - y
    assert found.errors.rms == pytest.approx(math.sqrt(np.average(error**2, weights=weight)))


@pytest.mark.parametrize("kind", ["onnx", "numpy", "c"])
def test_files(kind: str, actc_cli: CommandLine) -> None:
    arguments = ("--segments", "5", "--emit", kind, "-o", "form", "--plot", "form.png")
    done = actc_cli("fit", "GELU", "--objective", "rms", *arguments)
    assert done.status == 0, done.stderr
    found = actc.fit("GELU", objective="rms", segments=5)
    content = (actc_cli.directory / "form").read_bytes()
    assert content == found.emit(kind)
    if kind == "onnx":
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        x = np.linspace(-8, 8, 999).astype(np.float32)
        (y,) = session.run(None, {"x": x})
        np.testing.assert_allclose(y, found(x), atol=2e-6)


def test_coefficients_are_float32() -> None:
    form = actc.fit("SiLU", objective="rms", segments=6).approximation
    for values in (form.breakpoints, form.slopes, form.intercepts):
        np.testing.assert_array_equal(values, values.astype(np.float32))


def test_one_sample(tmp_path: Path) -> None:
    save(tmp_path / "one.npz", x=np.array([0.5]), weight=np.array([3]))
    found = actc.fit("GELU", objective="rms", weights=tmp_path / "one.npz")
    assert found.segments == 1
    assert found.errors.max_error < 1e-7


def test_a_function_with_a_pole_between_the_samples(tmp_path: Path) -> None:
    save(tmp_path / "h.npz", x=np.array([-1.0, -0.5, 0.5, 1.0]), weight=np.ones(4))
    found = actc.fit("1/x", objective="rms", weights=tmp_path / "h.npz", segments=2)
    assert found.errors.rms < 1e-6


# --- wrong weights

FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no weight": (lambda p: save(p, x=X), "no array 'weight'"),
    "no x": (lambda p: save(p, weight=X), "no array 'x'"),
    "lengths": (lambda p: save(p, x=X, weight=COUNTS[1:]), "x holds 41 numbers, but weight"),
    "negative": (lambda p: save(p, x=X, weight=-COUNTS), "negative"),
    "zeros": (lambda p: save(p, x=X, weight=0 * COUNTS), "zeros only"),
    "backwards": (lambda p: save(p, x=X[::-1], weight=COUNTS), "does not increase"),
    "equal in float32": (
        lambda p: save(p, x=np.array([1, 1 + 1e-12]), weight=np.ones(2)),
        "does not increase",
    ),
    "NaN": (lambda p: save(p, x=X, weight=np.where(X == 0, np.nan, 1)), "weight holds a number"),
    "infinite": (lambda p: save(p, x=np.array([0, np.inf]), weight=np.ones(2)), "x holds a number"),
    "beyond float32": (lambda p: save(p, x=np.array([0, 1e39]), weight=np.ones(2)), "float32"),
    "too many": (lambda p: save(p, x=np.arange(5000.0), weight=np.ones(5000)), "5000 samples"),
    "far too many": (lambda p: save(p, x=np.arange(1e6), weight=X), "more than 4096 samples"),
    "none": (lambda p: save(p, x=X[:0], weight=X[:0]), "0 samples"),
    "a matrix": (lambda p: save(p, x=X[None], weight=COUNTS), "one row of real numbers"),
    "complex": (lambda p: save(p, x=X + 0j, weight=COUNTS), "one row of real numbers"),
    "objects": (lambda p: save(p, x=np.array([None, 1]), weight=X), "no .npz file"),
    "one array": (lambda p: p.write_bytes(b"\x93NUMPY" + bytes(99)), "no .npz file"),
    "text": (lambda p: p.write_text("x,weight\n"), "no .npz file"),
    "empty": (lambda p: p.write_bytes(b""), "no .npz file"),
    "huge shape": (lambda p: claim_a_huge_shape(p), "no .npz file"),
    "absent": (lambda p: None, "no such file"),
    "a directory": (lambda p: p.mkdir(), "is a directory"),
}


def claim_a_huge_shape(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624,), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x76\x00" + header)


@pytest.mark.parametrize("name", FILES)
def test_wrong_weights(name: str, actc_cli: CommandLine) -> None:
    write, says = FILES[name]
    write(actc_cli.directory / "weights.npz")
    done = actc_cli("fit", "GELU", "--objective", "rms", "--weights", "weights.npz", "--json")
    assert (done.status, done.codes) == (2, ["ACT0365"]), done.stderr
    (found,) = done.document["diagnostics"]
    assert says in found["message"]
    assert found["file"] == "weights.npz"
    assert "normal or uniform" in found["help"]


WRONG = {
    "objective": (["--objective", "mse"], "ACT0334", "did you mean 'rms'?"),
    "weights alone": (["--weights", "normal"], "ACT0334", "--objective rms"),
    "error": (["--objective", "rms", "--max-error", "1"], "ACT0334", "--segments"),
    "form": (["--objective", "rms", "--form", "table"], "ACT0334", "--form pwl"),
    "formats": (
        ["--objective", "rms", "--input", "s8.4", "--output", "s8.4"],
        "ACT0360",
        "leave",
    ),
    "ulps": (["--objective", "rms", "--ulp", "1"], "ACT0360", "formats"),
    "segments": (["--objective", "rms", "--segments", "0"], "ACT0334", "16"),
    "emission": (["--objective", "rms", "--emit", "hls", "-o", "f"], "ACT0360", "formats"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options(name: str, actc_cli: CommandLine) -> None:
    arguments, code, hint = WRONG[name]
    done = actc_cli("fit", "GELU", *arguments, "--json")
    assert (done.status, done.codes) == (2, [code]), done.stderr
    assert hint in done.document["diagnostics"][0]["help"]


def test_a_file_says_where(actc_cli: CommandLine) -> None:
    save(actc_cli.directory / "h.npz", x=X, weight=COUNTS)
    arguments = ("--objective", "rms", "--weights", "h.npz", "--domain", "0,1", "--json")
    done = actc_cli("fit", "GELU", *arguments)
    assert (done.status, done.codes) == (2, ["ACT0334"])


@pytest.mark.parametrize(
    ("function", "code"), [("log(x)", "ACT0303"), ("1e37*x*x*x", "ACT0335"), ("1/(x-8)", "ACT0304")]
)
def test_impossible_functions(function: str, code: str, actc_cli: CommandLine) -> None:
    done = actc_cli("fit", function, "--objective", "rms", "--json")
    assert (done.status, done.codes) == (2, [code])
