"""check(): measure a compiled artefact again, on other data."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from actc import data as data_module
from actc.artifact import open_artifact, runnable
from actc.bounds import bound_outputs
from actc.checks.stages import run_artifact, run_model
from actc.data import DataLike, InputInfo
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.files import open_regular
from actc.measured import emulated, not_executed, too_far
from actc.numerics.compare import agreement, errors, identical, top1
from actc.output import unchanged
from actc.ranking import rank_sites
from actc.targets.base import Rung

_FILES = {"float": "float.onnx", "approximated": "approximated.onnx", "golden": "golden.onnx"}


def check(
    directory: str | Path,
    data: DataLike,
    *,
    sites: bool = False,
    bound: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run every stage of a compiled model on data and compare them.

    Args:
        directory: what `actc.compile` wrote.
        data: as for `actc.compile`.
        sites: also rank what each rounding contributes to the error, see
            `actc.ranking.rank_sites`.
        bound: also prove a bound of |float - golden|, for every input of a region:
            "format" (what the input quantizers represent) or "data" (the box of the
            data), see `actc.bounds.bound_outputs`.
        progress: called with a line per site.

    Returns:
        JSON-ready: target, precision, accuracy, bit_exact, samples, outputs,
        diagnostics (ACT0601 accuracy budget missed, ACT0602 artefact differs); with
        `sites` also ranking, what `rank_sites` returns; with `bound` also bound, what
        `bound_outputs` returns.

    Raises:
        UsageError: no such directory, the data does not fit, `sites` or `bound` of a
            model that cannot be rebuilt, or a network that has no bound (ACT0366,
            ACT0367); ACT0207.
        ModelError: ACT0065, a model of the directory does not run.
    """
    with unchanged(Path(directory)), runnable(Path(directory)):
        return _check(directory, data, sites, bound, progress)


def _check(
    directory: str | Path,
    data: DataLike,
    sites: bool,
    bound: str | None,
    progress: Callable[[str], None] | None,
) -> dict[str, Any]:
    artifact = open_artifact(directory)
    assert artifact.path is not None
    models = {
        stage: _model(artifact.path / name)
        for stage, name in _FILES.items()
        if (artifact.path / name).exists()
    }
    # The later models have the shapes that the data gave when they were compiled. A model that
    # came as golden has no approximated stage.
    last = "golden" if "golden" in models else "approximated"
    _require_alike(models, artifact.path)
    dataset = data_module.load(data, _inputs(models[last]))
    outputs = {stage: run_model(model, dataset) for stage, model in models.items()}
    diagnostics = []
    reason = artifact.target.not_run(artifact.path)
    if reason:
        diagnostics.append(not_executed(artifact.target.spec, reason, str(directory)))
    else:
        outputs["artifact"] = run_artifact(artifact.target, artifact.load(), dataset)
    accuracy = {stage: top1(found, dataset.labels) for stage, found in outputs.items()}
    same, differing = (False, 0) if reason else identical(outputs[last], outputs["artifact"])
    int8, problem = "golden" in outputs, ""
    if int8 and not reason and not same:
        problem = f"the artefact differs from golden.onnx on {differing} samples"
    if not int8 and not reason:
        tolerance = artifact.target.tolerance(artifact.path)
        problem = too_far(outputs[last], outputs["artifact"], tolerance, models[last])
    if problem:
        diagnostics.append(Diagnostic("ACT0602", problem, place=Place(str(directory))))
    executed = [Rung("artifact", "not run", reason)] if reason else []
    how = "" if reason else artifact.target.emulation(artifact.path)
    if how:
        precision = str(artifact.report["precision"])
        executed.append(emulated(how, precision, dataset.samples, same=not problem))
    rungs = artifact.target.recheck(artifact.path)
    diagnostics += [
        Diagnostic("ACT0603", f"{rung.name}: {rung.detail}", place=Place(str(directory)))
        for rung in rungs
        if rung.result == "differs"
    ]
    max_drop = float(artifact.report["options"]["max_drop"])
    before, after = accuracy["float"], accuracy["artifact" if not reason else last]
    if before is not None and after is not None and before - after > max_drop + 1e-12:
        message = f"accuracy drops by {before - after:.4f}, more than the budget of {max_drop:g}"
        diagnostics.append(Diagnostic("ACT0601", message, place=Place(str(directory))))
    return {
        **{
            key: artifact.report[key]
            for key in ("target", "precision", "activations", "left_float")
        },
        **{
            key: artifact.report[key] for key in ("bytes", "sizes", "model", "options", "operators")
        },
        "accuracy": {stage: accuracy.get(stage) for stage in (*_FILES, "artifact")},
        "bit_exact": same if int8 and not reason else None,
        "samples": 0 if reason else dataset.samples,
        "rungs": [
            *map(asdict, executed),
            *(asdict(rung) for rung in rungs if rung.result == "not run"),
        ],
        "data": {
            "synthetic": False,
            "labels": dataset.labels is not None,
            "samples": dataset.samples,
        },
        "outputs": [
            {
                "name": name,
                "stage": stage,
                **errors(outputs["float"][name], array),
                "top1_agreement": agreement(outputs["float"][name], array),
            }
            for stage, found in outputs.items()
            if stage != "float"
            for name, array in found.items()
        ],
        "diagnostics": [d.to_json() for d in diagnostics],
        **({"ranking": rank_sites(directory, data, progress=progress)} if sites else {}),
        **({"bound": bound_outputs(directory, data, bound)} if bound is not None else {}),
    }


def _model(path: Path) -> onnx.ModelProto:
    """A stage of the compilation, read again."""
    try:
        with os.fdopen(open_regular(path), "rb") as stream:
            model = onnx.load_model_from_string(stream.read())
    except (OSError, DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not complete"
        raise _unreadable(path, str(reason).lower()) from error
    if not model.graph.output:
        raise _unreadable(path, "it holds no network")
    return model


def _require_alike(models: Mapping[str, onnx.ModelProto], directory: Path) -> None:
    """Refuse stages of different inputs or outputs, which are not those of one compilation.

    Raises:
        UsageError: ACT0204.
    """
    wanted = _ends(models["float"]) if "float" in models else None
    for stage, model in models.items():
        wanted = wanted or _ends(model)
        if _ends(model) != wanted:
            reason = "its inputs and outputs are not those of the model"
            raise _unreadable(directory / _FILES[stage], reason)


def _ends(model: onnx.ModelProto) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in constants]
    return inputs, [value.name for value in model.graph.output]


def _unreadable(path: Path, reason: str) -> UsageError:
    message = f"cannot read {path.name}: {reason}"
    help_text = "compile the model again"
    return UsageError(Diagnostic("ACT0204", message, place=Place(str(path)), help=help_text))


def _inputs(model: onnx.ModelProto) -> list[InputInfo]:
    infos = []
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        infos.append(InputInfo(value.name, dtype, shape))
    return infos
