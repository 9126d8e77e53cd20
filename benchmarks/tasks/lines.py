"""Lines of text for PP-OCR's direction classifier, drawn as a camera would see them.

Upright or turned by 180 degrees, in 26 fonts (matplotlib's and those of four packages), light
or dark, on even or shaded paper, tilted, blurred, compressed and noisy.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from realmodels import ppocr
from realmodels.documents import WORDS as WORDS_BY_USE

from tasks.base import Arrays, Evaluation, labelled, package_folder

Array = npt.NDArray[Any]

CALIBRATION_SEED, EVALUATION_SEED = 1, 2
LINES, QUICK_LINES = 2000, 100
MATPLOTLIB = "mpl-data/fonts/ttf"
FONTS = {
    "matplotlib": (
        *(f"{MATPLOTLIB}/DejaVu{style}.ttf" for style in
          ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono", "SansMono-Bold", "Serif",
           "Serif-Bold", "Serif-Italic")),
        *(f"{MATPLOTLIB}/STIXGeneral{style}.ttf" for style in ("", "Bol", "Italic")),
    ),
    "font_caladea": tuple(
        f"files/Caladea-{style}.ttf" for style in ("Regular", "Bold", "Italic")
    ),
    "font_hanken_grotesk": tuple(
        f"files/HankenGrotesk-{style}.otf" for style in ("Light", "Regular", "SemiBold", "Italic")
    ),
    "font_source_sans_pro": tuple(
        f"files/SourceSansPro-{style}.ttf" for style in ("Light", "Regular", "Black", "It")
    ),
    "font_source_serif_pro": tuple(
        f"files/SourceSerifPro-{style}.ttf" for style in ("Light", "Regular", "Bold", "It")
    ),
}  # fmt: skip
"""Files by package."""
SIZES = range(14, 41)
MOST_TILT = 3.0
"""Degrees."""
WORDS = sorted({word for words in WORDS_BY_USE.values() for word in words})

Rng = np.random.Generator


def calibration(count: int) -> Arrays:
    """Lines of one seed; float32 [count, 3, 48, 192]."""
    return {ppocr.INPUT: lines(count, CALIBRATION_SEED)[ppocr.INPUT]}


def evaluation(quick: bool) -> Evaluation:
    """Lines of another seed, which draws other texts and images."""
    return labelled(lines(QUICK_LINES if quick else LINES, EVALUATION_SEED))


def lines(count: int, seed: int) -> Arrays:
    """Draw lines, every other one turned.

    Returns:
        "x" float32 [count, 3, 48, 192] as rapidocr feeds it, "labels" int64 [count]: 0
        upright, 1 turned.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 2
    images = [ppocr.preprocess(photograph(rng, bool(turned))) for turned in labels]
    return {ppocr.INPUT: np.stack(images), "labels": labels}


def photograph(rng: Rng, turned: bool) -> npt.NDArray[np.uint8]:
    """One line as it comes out of a camera; uint8 [H, W, 3]."""
    image = written(rng).rotate(
        float(rng.uniform(-MOST_TILT, MOST_TILT)) if rng.random() < 0.5 else 0.0,
        Image.Resampling.BICUBIC,
        fillcolor=0,
    )
    mask = np.asarray(image, np.float64)[:, :, None] / 255
    paper, ink = colours(rng)
    pixels = paper * (1 - mask) + ink * mask
    if rng.random() < 0.5:  # light from one side
        pixels *= np.linspace(1.0, rng.uniform(0.6, 1.0), pixels.shape[1])[None, :, None]
    pixels += rng.standard_normal(pixels.shape, np.float32) * rng.uniform(0.0, 12.0)
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 1.2))))
    if turned:
        picture = picture.transpose(Image.Transpose.ROTATE_180)
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=int(rng.integers(30, 96)))
    return np.asarray(Image.open(held), np.uint8)


def written(rng: Rng) -> Image.Image:
    """A line in one font with margins; how much of each pixel is ink, 0 to 255."""
    paths = fonts()
    font = load_font(paths[int(rng.integers(len(paths)))], int(rng.choice(SIZES)))
    text = random_text(rng)
    left, top, right, bottom = font.getbbox(text)
    margins = rng.integers(1, 9, 4)
    size = (int(right - left + margins[:2].sum()), int(bottom - top + margins[2:].sum()))
    image = Image.new("L", size, 0)
    corner = (float(margins[0] - left), float(margins[2] - top))
    ImageDraw.Draw(image).text(corner, text, fill=255, font=font)
    return image


def colours(rng: Rng) -> tuple[Array, Array]:
    """Paper and ink, float64 [3] each, dark on light or the reverse."""
    light, dark = rng.uniform(140, 256, 3), rng.uniform(0, 110, 3)
    return (light, dark) if rng.random() < 0.75 else (dark, light)


def random_text(rng: Rng) -> str:
    """Words, numbers, prices and dates, up to four."""
    parts = [random_part(rng) for _ in range(int(rng.integers(1, 5)))]
    style = rng.integers(4)
    if style == 0:
        parts = [part.upper() for part in parts]
    elif style == 1:
        parts = [part.capitalize() for part in parts]
    return " ".join(parts)


def random_part(rng: Rng) -> str:
    """One word, or one number in four."""
    if rng.random() < 0.75:
        return str(rng.choice(WORDS))
    kind = rng.integers(3)
    if kind == 0:
        return str(rng.integers(2, 100_000))
    if kind == 1:
        return f"{rng.integers(1, 1000)}.{rng.integers(100):02d}"
    return f"20{rng.integers(10, 40)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"


@cache
def fonts() -> tuple[Path, ...]:
    """All font files.

    Raises:
        NotFetched: one of the packages is not there.
    """
    return tuple(package_folder(name) / path for name, paths in FONTS.items() for path in paths)


@cache
def load_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """Load a font in one size, in pixels."""
    return ImageFont.truetype(str(path), size)
