"""The PP-OCR text direction classifier inside the package rapidocr, and data for it.

MobileNetV3 (HardSwish decomposed into Add, Clip, Mul, Div; HardSigmoid gates): is a
line of text upright or turned by 180 degrees? The data are lines rendered with
fonts that come with matplotlib and Pillow.
"""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from realmodels.locate import package_file

PACKAGE = "rapidocr"
VERSION = "3.10.0"
MODEL = "models/ch_ppocr_mobile_v2.0_cls_mobile.onnx"
INPUT = "x"
HEIGHT, WIDTH = 48, 192
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "STIXGeneral.ttf",
)
WORDS: list[str] = json.loads(Path(__file__).with_name("words.json").read_text())["signs"]

Arrays = dict[str, npt.NDArray[Any]]


def model_path() -> Path | None:
    """Find the classifier without importing rapidocr; None when it is not installed."""
    return package_file(PACKAGE, MODEL)


def make_data(n: int, seed: int) -> Arrays:
    """Render `n` lines of text, every other one turned by 180 degrees.

    Returns:
        "x" float32 [n, 3, 48, 192] as rapidocr feeds it, "labels" int64 [n]: 0
        upright, 1 turned. Seeds give independent lines.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % 2
    images = np.stack([preprocess(render_line(rng, bool(turned))) for turned in labels])
    return {INPUT: images, "labels": labels}


def render_line(rng: np.random.Generator, turned: bool) -> npt.NDArray[np.uint8]:
    """Render one line with a random font, size, contrast and noise; uint8 [H, W, 3]."""
    font = random_font(rng)
    text = random_text(rng)
    left, top, right, bottom = font.getbbox(text)
    margins = rng.integers(1, 7, 4)
    size = (int(right - left + margins[:2].sum()), int(bottom - top + margins[2:].sum()))
    paper, ink = random_levels(rng)
    image = Image.new("L", size, paper)
    corner = (float(margins[0] - left), float(margins[2] - top))
    ImageDraw.Draw(image).text(corner, text, fill=ink, font=font)
    if turned:
        image = image.transpose(Image.Transpose.ROTATE_180)
    pixels = np.asarray(image, np.float64)[:, :, None].repeat(3, axis=2)
    pixels += rng.normal(0.0, rng.uniform(0.0, 8.0), pixels.shape)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def random_levels(rng: np.random.Generator) -> tuple[int, int]:
    """Choose grey levels of paper and ink, dark on light or the reverse."""
    light, dark = int(rng.integers(170, 256)), int(rng.integers(0, 90))
    return (light, dark) if rng.random() < 0.8 else (dark, light)


def random_font(rng: np.random.Generator) -> ImageFont.FreeTypeFont:
    """Choose one of the bundled fonts at 20 to 43 pixels."""
    size = int(rng.integers(20, 44))
    return load_font(int(rng.integers(len(FONTS) + 1)), size)


@cache
def load_font(index: int, size: int) -> ImageFont.FreeTypeFont:
    """Load a font of FONTS, or the one inside Pillow for the index behind the last."""
    if index < len(FONTS):
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        return ImageFont.truetype(str(folder / FONTS[index]), size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("this Pillow was built without FreeType")
    return font


def random_text(rng: np.random.Generator) -> str:
    """One to four words, sometimes in capitals, sometimes with a number."""
    words = [str(word) for word in rng.choice(WORDS, rng.integers(1, 5))]
    style = rng.integers(4)
    if style == 0:
        words = [word.upper() for word in words]
    elif style == 1:
        words = [word.capitalize() for word in words]
    if rng.random() < 0.4:
        words.append(str(rng.integers(2, 100_000)))
    return " ".join(words)


def preprocess(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Do what rapidocr's TextClassifier.resize_norm_img does; float32 [3, 48, 192].

    Scaled to height 48 with the ratio kept, bilinear and without antialiasing (as
    cv2.INTER_LINEAR), to -1..1, padded with 0 on the right.
    """
    height, width = image.shape[:2]
    scaled_width = min(WIDTH, math.ceil(HEIGHT * width / height))
    matrix = (width / scaled_width, 0.0, 0.0, 0.0, height / HEIGHT, 0.0)
    scaled = Image.fromarray(image).transform(
        (scaled_width, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    padded = np.zeros((3, HEIGHT, WIDTH), np.float32)
    values = np.asarray(scaled, np.float32).transpose(2, 0, 1)
    padded[:, :, :scaled_width] = (values / 255 - 0.5) / 0.5
    return padded
