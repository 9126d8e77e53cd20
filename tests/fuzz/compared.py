"""Oracles of models: float, approximated, golden twice, QDQ, and the target cpu."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from onnx import numpy_helper

import actc
from actc import outcome
from actc.artifact import Artifact
from actc.bounds import bound_outputs
from actc.errors import ActcError
from actc.ir import islands, spec
from actc.ir.execute import Session
from fuzz.oracles import Case, Mismatch, Oracle

Array = np.ndarray[Any, Any]
Outputs = Mapping[str, Array]

NEAR = 4
"""The first so many samples of a probe are like those of the calibration."""
RELATIVE = 1e-5
"""Of a float32 artefact, in units of an output's largest value."""
_WOBBLES = 4
_SHAKEN = 1e-6
"""Relative change of inputs and weights that shows how much a rounding can do."""


_PLOTTED = 16
"""The report of one case in so many has plots: they take as long as the rest."""


def compiled(case: Case, target: str, **more: Any) -> Artifact:
    """The case, compiled into a temporary folder."""
    folder = Path(tempfile.mkdtemp()) / "out"
    data = {name: np.array(array) for name, array in case.data.items()}
    with _fewer_plots(case):
        return actc.compile(case.proto, target, data=data, output=folder, **more)


@contextmanager
def _fewer_plots(case: Case) -> Iterator[None]:
    """Reports without curves to plot, but for few cases."""
    if int(case.digest[8:], 16) % _PLOTTED == 0:
        yield
        return
    with patch.object(outcome, "curves", lambda context: {}):
        yield


def batches(case: Case, arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """The samples, in batches as the model takes them."""
    first = case.proto.graph.input[0].type.tensor_type.shape.dim[0]
    batch = first.dim_value if first.HasField("dim_value") else 8
    total = len(next(iter(arrays.values())))
    starts = range(0, total - batch + 1, batch)
    return [{name: a[k : k + batch] for name, a in arrays.items()} for k in starts]


def differing(found: Outputs, expected: Outputs) -> str:
    """Which outputs are not the same bit for bit; "" where all are."""
    wrong = []
    for name, array in expected.items():
        other = found[name]
        if array.dtype != other.dtype or array.shape != other.shape:
            wrong.append(f"'{name}': {other.dtype}{other.shape}, not {array.dtype}{array.shape}")
        elif array.tobytes() != other.tobytes():
            places = np.argwhere(~((array == other) | ((array != array) & (other != other))))
            at = tuple(int(k) for k in places[0]) if len(places) else ()
            wrong.append(f"'{name}' in {len(places)} places, first {at}: {other[at]}, "
                         f"not {array[at]}")  # fmt: skip
    return "; ".join(wrong)


@dataclass(frozen=True)
class Golden:
    """golden.onnx by onnxruntime, rewritten or not, and by numpy: the same bits on far samples."""

    name: str = "golden"
    every: int = 1
    seconds: float = 60

    def accepts(self, case: Case) -> bool:
        """Every case."""
        return True

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe."""
        artifact = compiled(case, "onnx", **case.options)
        assert artifact.path is not None
        golden = onnx.load(artifact.path / "golden.onnx")
        fast, plain = islands.session(golden), islands.session(golden, optimize=False)
        found = []
        for feeds in batches(case, case.probe):
            expected, loaded = spec.run(golden, feeds), plain.run(feeds)
            for what, got in (("rewritten", fast.run(feeds)), ("as it stands", loaded)):
                wrong = differing(got, expected)
                if wrong:
                    found.append(Mismatch(f"golden in onnxruntime ({what}) and numpy", wrong))
        return found[:1] + _exported(case, artifact.path) + _reproduced(case, artifact.path)


def _exported(case: Case, folder: Path) -> list[Mismatch]:
    """model.qdq.onnx is valid, loads in onnxruntime and runs."""
    path = folder / "model.qdq.onnx"
    if not path.exists():
        return []
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = Session(model)
    outputs = [output.name for output in case.proto.graph.output]
    found = session.run(batches(case, case.data)[0])
    return [] if list(found) == outputs else [Mismatch("outputs of model.qdq.onnx", str(found))]


def _reproduced(case: Case, folder: Path) -> list[Mismatch]:
    """What the artefact says of itself holds: its certificates, and its own comparison."""
    probe = {name: np.array(array) for name, array in case.probe.items()}
    actc.check(folder, probe)
    return []


@dataclass(frozen=True)
class Bound:
    """|float - golden| on the data stays within the bound that is proven."""

    name: str = "bound"
    every: int = 6
    seconds: float = 60

    def accepts(self, case: Case) -> bool:
        """Models without binary layers, of few rules."""
        return "binarize" not in case.options and len(case.operators) <= 6

    def run(self, case: Case) -> list[Mismatch]:
        """Prove; the proof itself compares with the data."""
        artifact = compiled(case, "onnx", **case.options)
        assert artifact.path is not None
        data = {name: np.array(array) for name, array in case.data.items()}
        try:
            bound_outputs(artifact.path, data, "data")
        except ActcError as error:
            if any(d.code == "ACT0901" for d in error.diagnostics):
                raise
        return []


@dataclass(frozen=True)
class Cpu:
    """Machine code of integers and golden: the same bits."""

    name: str = "cpu"
    every: int = 3
    seconds: float = 60

    def accepts(self, case: Case) -> bool:
        """Activations that the target takes."""
        bits = case.options.get("activations", "8")
        return bits in ("auto", "8") or (bits.isdigit() and int(bits) < 8)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe."""
        artifact = compiled(case, "cpu", **case.options)
        assert artifact.path is not None
        golden, run = islands.session(onnx.load(artifact.path / "golden.onnx")), artifact.load()
        for feeds in batches(case, case.probe):
            wrong = differing(run(feeds), golden.run(feeds))
            if wrong:
                return [Mismatch("cpu (int8) and golden", wrong)]
        return []


@dataclass(frozen=True)
class Float:
    """Machine code of float32, activations exact, and onnxruntime: as near as roundings allow."""

    name: str = "float32"
    every: int = 3
    seconds: float = 60

    def accepts(self, case: Case) -> bool:
        """Every case."""
        return True

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the near samples."""
        artifact = compiled(case, "cpu", precision="float32", approx="exact")
        run, model = artifact.load(), case.proto
        near = {name: array[:NEAR] for name, array in case.probe.items()}
        shaken = [_shaken(model, seed) for seed in range(_WOBBLES)]
        for feeds in batches(case, near):
            expected = Session(model).run(feeds)
            others = [Session(m).run(_shaken_feeds(feeds, k)) for k, m in enumerate(shaken)]
            wrong = too_far(run(feeds), expected, others)
            if wrong:
                return [Mismatch("cpu (float32) and onnxruntime", wrong)]
        return []


def too_far(found: Outputs, expected: Outputs, others: list[dict[str, Array]]) -> str:
    """Which outputs are further from what is expected than roundings explain; "" if none.

    Args:
        found: of the artefact.
        expected: of onnxruntime.
        others: of onnxruntime for inputs and weights changed in their last digits.
    """
    for name, array in expected.items():
        if array.shape != found[name].shape:
            return f"'{name}' has shape {found[name].shape}, not {array.shape}"
        with np.errstate(all="ignore"):
            reference = array.astype(np.float64)
            spread = np.max([np.abs(o[name] - reference) for o in others], axis=0)
            finite = np.isfinite(reference) & np.isfinite(spread)
            size = np.abs(reference[finite]).max(initial=1e-6)
            error = np.abs(found[name].astype(np.float64) - reference)
            allowed = RELATIVE * size + 50 * spread
            over = finite & ~(error <= allowed)
        if over.any():
            at = tuple(int(k) for k in np.argwhere(over)[0])
            return (
                f"'{name}' at {at}: {found[name][at]}, not {array[at]}; "
                f"{allowed[at]:.3g} is allowed; {int(over.sum())} of {over.size} places"
            )
    return ""


def _shaken_feeds(feeds: Mapping[str, Array], seed: int) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {name: _shake(array, generator) for name, array in feeds.items()}


def _shake(array: Array, generator: np.random.Generator) -> Array:
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        factor = 1 + _SHAKEN * generator.choice([-1.0, 1.0], array.shape)
        return np.asarray(array * factor, np.float32)


def _shaken(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The model with its float constants changed in their last digits."""
    generator = np.random.default_rng(100 + seed)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and not re.match("[sb]", tensor.name):
            tensor.CopyFrom(numpy_helper.from_array(_shake(array, generator), tensor.name))
    return changed


ORACLES: tuple[Oracle, ...] = (Golden(), Cpu(), Float(), Bound())
