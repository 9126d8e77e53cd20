"""Silero's voice activity detector (package silero-vad), the 16 kHz sequence model.

Evaluation: telephone announcements and music on hold from Debian's packages
asterisk-core-sounds-en-wav and asterisk-moh-opsound-wav, 8 kHz, resampled to 16 kHz:
clips of 64 frames of 32 ms. Is a clip speech? And in how many frames does the decision
agree with the float model's? Calibration: other recordings, and other minutes of music.
"""

from __future__ import annotations

import wave
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from scipy.signal import resample_poly

from tasks.base import Arrays, Evaluation, Run, Task, area_under_curve, downloaded, package_folder

Array = npt.NDArray[Any]

FRAME, CONTEXT, STATE = 512, 64, 128
CLIP_FRAMES = 64
CLIP_SAMPLES = FRAME * CLIP_FRAMES
SOURCE_RATE = 8000
SPEECH = "debian/usr/share/asterisk/sounds/en_US_f_Allison"
MUSIC = "debian/usr/share/asterisk/moh"
CALIBRATION_CLIPS = 16
"""Of each class; the first ones, so that a smaller calibration never meets evaluation."""
EVALUATION_CLIPS, QUICK_CLIPS = 58, 12


def model(folder: Path) -> Path:
    """Fix the sequence model to clips: the state begins at zero, and 64 frames follow."""
    proto = onnx.load(package_folder("silero_vad") / "data" / "silero_vad_16k_sequence.onnx")
    graph = proto.graph
    frames = graph.input[0]
    for state in ("h", "c"):
        zeros = np.zeros((1, 1, STATE), np.float32)
        graph.initializer.append(numpy_helper.from_array(zeros, state))
    del graph.input[1:], graph.output[1:]
    for value in (frames, graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_value = CLIP_FRAMES
    path = folder / "silero.onnx"
    onnx.save(proto, path)
    return path


def read_wave(path: Path) -> Array:
    """Read a mono 8 kHz recording; float32 in -1..1 at 16 kHz."""
    with wave.open(str(path)) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (SOURCE_RATE, 1, 2):
            raise ValueError(f"{path.name} is not 8 kHz, mono, 16 bit")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return resample_poly(samples / 32768.0, 2, 1).astype(np.float32)


def frames_of(audio: Array) -> Array:
    """Cut a clip into frames, each behind the end of the one before; [64, 576]."""
    frames = audio[:CLIP_SAMPLES].reshape(CLIP_FRAMES, FRAME)
    context = np.zeros((CLIP_FRAMES, CONTEXT), np.float32)
    context[1:] = frames[:-1, -CONTEXT:]
    return np.concatenate([context, frames], axis=1)


@cache
def speech_clips() -> tuple[Array, ...]:
    """The beginnings of the recordings that are long enough, in an order that names decide."""
    paths = [path for path in downloaded(SPEECH).rglob("*.wav") if "silence" not in path.parts]
    paths.sort(key=lambda path: (zlib.crc32(path.name.encode()), path.name))
    clips = []
    for path in paths:
        audio = read_wave(path)
        if len(audio) >= CLIP_SAMPLES:
            clips.append(frames_of(audio))
        if len(clips) == CALIBRATION_CLIPS + EVALUATION_CLIPS:
            break
    return tuple(clips)


@cache
def music_clips() -> tuple[Array, ...]:
    """Clips at even distances in each piece of music, piece by piece in turns."""
    pieces = [read_wave(path) for path in sorted(downloaded(MUSIC).glob("*.wav"))]
    count = -(-(CALIBRATION_CLIPS + EVALUATION_CLIPS) // len(pieces))
    clips = []
    for index in range(count):
        for piece in pieces:
            start = index * (len(piece) // count)
            clips.append(frames_of(piece[start : start + CLIP_SAMPLES]))
    return tuple(clips)


def calibration(count: int) -> Arrays:
    """Half speech, half music; float32 [count * 64, 576], whole clips one after another."""
    half = min(count // 2, CALIBRATION_CLIPS)
    clips = [
        clip
        for pair in zip(speech_clips()[:half], music_clips()[:half], strict=True)
        for clip in pair
    ]
    return {"input": np.concatenate(clips)}


def evaluation(quick: bool) -> Evaluation:
    """Clips of speech and music in turns, one per inference; the truth: is it speech."""
    count = QUICK_CLIPS if quick else EVALUATION_CLIPS
    part = slice(CALIBRATION_CLIPS, CALIBRATION_CLIPS + count)
    pairs = zip(speech_clips()[part], music_clips()[part], strict=True)
    feeds = [{"input": clip} for pair in pairs for clip in pair]
    return Evaluation(feeds, np.arange(len(feeds)) % 2 == 0)


def predict(run: Run, batches: list[Arrays]) -> Array:
    """Probability of speech per clip and frame, [clips, 64]."""
    return np.stack([run(feeds)["speech_probs"].reshape(CLIP_FRAMES) for feeds in batches])


def metrics(probabilities: Array, reference: Array, is_speech: Array) -> dict[str, float]:
    """Frames that are decided as in float, and speech against music per clip."""
    mean = probabilities.mean(axis=1)
    return {
        "frame agreement": float(np.mean((probabilities > 0.5) == (reference > 0.5))),
        "clip AUC": area_under_curve(mean, is_speech),
        "clip accuracy": float(np.mean((mean > 0.5) == is_speech)),
    }


TASK = Task(
    name="silero",
    title="Silero VAD 16k",
    model=model,
    calibration=calibration,
    evaluation=evaluation,
    predict=predict,
    metrics=metrics,
    samples=2 * CALIBRATION_CLIPS,
    decisive="frame agreement",
    batch=CLIP_FRAMES,
)
