"""Plans: what a compilation decided, as a prepared module needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from google.protobuf.message import DecodeError

from actc.artifact import Artifact
from actc.data import DataLike
from actc.diagnostics import Diagnostic, Place
from actc.errors import ActcError, UsageError
from actc.intact import read_intact, read_object
from actc.ir.execute import ExecutionError, Session
from actc.pipeline import Pipeline, pass_name
from actc.prepare import Prepared, prepare
from actc.sensitivity.record import rebuild
from actc.torch.layers import Mismatch, trainable
from actc.torch.shadow import Trainable

Array = np.ndarray[Any, Any]

_SAMPLES, _LENGTH = 3, 8
"""Of made-up inputs, on which the shapes of a model are found again."""
_TOLERANCE = 1e-3
"""Largest difference of a module from the float model of a plan, relative to the largest output."""
_FROM_DATA = ("equalize", "rotate")
"""Passes before calibration that change weights by what they see in the data."""


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """An opened plan.

    Attributes:
        name: the directory as the user gave it, for diagnostics.
        golden: the integer model.
        model: the float graph behind the passes before calibration, with formats.
        source: the float model as it came in.
        trainable: linear operators of golden with the float weights behind them.
    """

    name: str
    golden: ir.Model
    model: ir.Model
    source: onnx.ModelProto
    trainable: list[Trainable]


def directory_of(plan: str | Path | Artifact) -> Path:
    """The directory of a plan.

    Raises:
        UsageError: ACT0372, an artefact without one: a dry run.
    """
    if not isinstance(plan, Artifact):
        return Path(plan)
    if plan.path is None:
        raise UsageError(
            Diagnostic("ACT0372", "a dry run leaves no plan", help="compile without dry_run")
        )
    return plan.path


def open_plan(directory: Path, data: DataLike | None = None) -> Plan:
    """Read what `actc compile` wrote, and rebuild its float graph.

    Args:
        directory: the output directory.
        data: what it was compiled with; needed only where its passes change weights by it.

    Raises:
        UsageError: ACT0372, the directory holds no plan; ACT0067, its files are not those
            of its manifest; ACT0233, what it holds does not fit together; ACT0373, data is needed.
    """
    report = _report(directory)
    if report.get("precision") != "int8":
        raise _no_plan(directory, "it was compiled in float32, without integers to train")
    read_intact(directory)
    golden = _golden(directory)
    passes = [str(step) for step in report.get("passes", [])]
    needed = [
        step for step in Pipeline.parse(",".join(passes)).passes if pass_name(step) in _FROM_DATA
    ]
    if needed and data is None:
        raise UsageError(
            Diagnostic(
                "ACT0373",
                f"pass '{needed[0]}' of the plan needs the data that it was compiled with",
                place=Place(str(directory)),
                help="prepare(module, plan, data=DATA)",
            )
        )
    prepared = _prepared(directory, golden, data)
    try:
        model, _, setting = rebuild(directory, prepared, passes)
        found = trainable(model, setting, golden)
    except UsageError as problem:
        raise _changed(directory, problem.diagnostics[0].message) from problem
    except Mismatch as problem:
        raise _changed(directory, str(problem)) from problem
    return Plan(str(directory), golden, model, prepared.source.proto, found)


def require_same(module: torch.nn.Module, plan: Plan) -> None:
    """Check that a module computes what the float model of a plan computes.

    Raises:
        UsageError: ACT0373, it does not.
    """
    feeds = _made_up(plan.golden, noise=True)
    tensors = [torch.from_numpy(array) for array in feeds.values()]
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            wanted = _arrays(module(*tensors))
        found = list(Session(plan.source).run(feeds).values())
    except (ExecutionError, RuntimeError, TypeError, ValueError, IndexError) as error:
        raise _another(plan, f"it does not run on {_shapes(feeds)}: {_first(error)}") from error
    finally:
        module.train(training)
    for position, (a, b) in enumerate(zip(wanted, found, strict=False)):
        if a.shape != b.shape:
            raise _another(plan, f"output {position} is {list(a.shape)}, not {list(b.shape)}")
        largest = float(np.abs(b, dtype=np.float64).max(initial=1e-6))
        error_size = float(np.abs(a.astype(np.float64) - b).max(initial=0))
        if not error_size <= _TOLERANCE * largest:
            raise _another(plan, f"output {position} differs by {error_size:.3g} of {largest:.3g}")
    if len(wanted) != len(found):
        raise _another(plan, f"it has {len(wanted)} outputs, not {len(found)}")


def _report(directory: Path) -> dict[str, Any]:
    try:
        return read_object(directory / "report.json")
    except (OSError, ValueError) as error:
        raise _no_plan(directory, "it has no report.json that can be read") from error


def _golden(directory: Path) -> ir.Model:
    try:
        return ir.from_proto(onnx.load(directory / "golden.onnx", load_external_data=False))
    except (OSError, DecodeError) as error:
        raise _no_plan(directory, "it has no golden.onnx that can be read") from error


def _prepared(directory: Path, golden: ir.Model, data: DataLike | None) -> Prepared:
    """The float model with data: the user's, or some of golden's shapes."""
    if data is not None:
        return prepare(directory / "float.onnx", data)
    try:
        return prepare(directory / "float.onnx", _made_up(golden))
    except ActcError as error:
        problem = error.diagnostics[0].message
        raise _changed(directory, f"float.onnx does not fit golden.onnx: {problem}") from error


def _changed(directory: Path, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0233",
            f"the plan cannot be rebuilt: {reason}",
            place=Place(str(directory)),
            help="give prepare the data that it was compiled with, or compile the model again",
        )
    )


def _no_plan(directory: Path, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0372",
            f"this is no plan to train with: {reason}",
            place=Place(str(directory)),
            help="give the directory that `actc compile --precision int8` wrote",
        )
    )


def _another(plan: Plan, reason: str) -> UsageError:
    return UsageError(
        Diagnostic(
            "ACT0373",
            f"the module is not what the plan was made of: {reason}",
            place=Place(plan.name),
            help="compile the module again, or give None where there is no module",
        )
    )


def _made_up(golden: ir.Model, noise: bool = False) -> dict[str, Array]:
    """Inputs of the right shape; lengths that vary come with `.lengths`, but not as noise."""
    generator = np.random.default_rng(0)
    feeds: dict[str, Array] = {}
    for value in golden.graph.inputs:
        assert value.shape is not None
        assert value.dtype is not None
        sizes = [size if isinstance(size, int) else None for size in value.shape]
        batch = sizes[0] or _SAMPLES
        shape = [batch, *(size or _LENGTH for size in sizes[1:])]
        dtype = value.dtype.numpy()
        array = np.zeros(shape, dtype)
        if noise and dtype.kind == "f":
            array = generator.standard_normal(shape).astype(dtype)
        feeds[str(value.name)] = array
        if not noise and None in sizes[1:2]:
            feeds[f"{value.name}.lengths"] = np.full(batch, _LENGTH) - np.arange(batch) % 2
    return feeds


def _arrays(outputs: Any) -> list[Array]:
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [array for part in outputs for array in _arrays(part)]
    return [outputs.numpy()]


def _shapes(feeds: Mapping[str, Array]) -> str:
    return ", ".join(str(list(array.shape)) for array in feeds.values())


def _first(error: Exception) -> str:
    return next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), "")
