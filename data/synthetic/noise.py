"""What a scanner does to a page: tilt, tint, blur, grain, compression, inversion.

Arithmetic is in whole numbers, or in floating point on whole numbers small enough to be exact,
so that the result does not depend on the machine. (Only tilting leaves that rule: it is done by
Pillow's bilinear transform.)
"""

import math
import random
from dataclasses import replace

import numpy as np
from PIL import Image

from .document import Document

_MAX_DEGREES = 1.5


def _cosines() -> np.ndarray:
    """Rows of the 8-point discrete cosine transform, times 64 and rounded.

    Close enough to orthogonal to leave the marks of block compression, and whole, hence exact.
    """
    angles = np.outer(np.arange(8), 2 * np.arange(8) + 1) * math.pi / 16
    scale = np.where(np.arange(8) == 0, math.sqrt(1 / 8), 0.5)[:, None]
    return np.round(64 * scale * np.cos(angles))


_DCT = _cosines()
# Coarser steps for higher frequencies, before scaling by the quality.
_STEPS = 4 + 2 * (np.arange(8)[:, None] + np.arange(8)[None, :])


def add_noise(document: Document, rng: random.Random, strength: float, multiple: int) -> Document:
    """Returns the document as a worse and worse scan; `strength` 0 leaves it as it is.

    Args:
        document: the crisp document.
        rng: the random source.
        strength: from 0 to 1: how likely and how strong each defect is.
        multiple: if the sides are multiples of this many pixels they stay so when tilted.
    """
    if strength <= 0:
        return document
    done: list[str] = []
    if strength >= 0.3 and rng.random() < 0.5 * strength:
        document = tilt(document, rng.uniform(-1, 1) * _MAX_DEGREES * strength, multiple)
        done.append("tilt")
    pixels = document.image.astype(np.int32)
    grain = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))

    def happens(name: str, chance: float) -> bool:
        if rng.random() < chance:
            done.append(name)
            return True
        return False

    if happens("fade", 0.5 * strength):
        keep = rng.randint(round(256 - 120 * strength), 256)
        pixels = 255 - (255 - pixels) * keep // 256
    if happens("shade", 0.4 * strength):
        pixels = _shade(pixels, rng, round(50 * strength))
    if happens("blur", 0.4 * strength):
        pixels = _blur(pixels)
    if happens("scan lines", 0.2 * strength):
        period, depth = rng.randint(2, 6), rng.randint(5, 10 + round(30 * strength))
        pixels[rng.randrange(period) :: period] -= depth
    if happens("invert", 0.15):
        pixels = 255 - pixels
    if happens("grain", 0.7 * strength):
        pixels = _grain(pixels, grain, rng.randint(2, 3 + round(15 * strength)))
    if happens("specks", 0.3 * strength):
        _speck(pixels, grain, strength)
    if happens("blocks", 0.5 * strength):
        pixels = _compress(np.clip(pixels, 0, 255), rng.randint(2, 2 + round(10 * strength)))
    image = np.clip(pixels, 0, 255).astype(np.uint8)
    return replace(document, image=image, meta={**document.meta, "noise": tuple(done)})


def tilt(document: Document, degrees: float, multiple: int) -> Document:
    """Turns the page counter-clockwise on a sheet grown just enough to hold it."""
    height, width = document.image.shape[:2]
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    aligned = height % multiple == 0 and width % multiple == 0
    new_width = math.ceil(width * cos + height * abs(sin))
    new_height = math.ceil(height * cos + width * abs(sin))
    if aligned:
        new_width = -(-new_width // multiple) * multiple
        new_height = -(-new_height // multiple) * multiple
    # Pillow wants the way back: from a pixel of the result to one of the source.
    cx, cy, nx, ny = width / 2, height / 2, new_width / 2, new_height / 2
    back = (cos, -sin, cx - cos * nx + sin * ny, sin, cos, cy - sin * nx - cos * ny)
    corner = tuple(int(value) for value in document.image[0, 0])
    turned = Image.fromarray(document.image).transform(
        (new_width, new_height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR,
        fillcolor=corner,
    )  # fmt: skip

    def forward(points: np.ndarray) -> np.ndarray:
        x, y = points[:, 0] - cx, points[:, 1] - cy
        return np.stack([nx + cos * x + sin * y, ny - sin * x + cos * y], axis=1)

    boxes = document.char_boxes
    corners = np.stack([forward(boxes[:, pair]) for pair in ([0, 1], [2, 1], [0, 3], [2, 3])])
    return replace(
        document,
        image=np.asarray(turned),
        char_centers=forward(document.char_centers).astype(np.float32),
        char_boxes=np.concatenate([corners.min(0), corners.max(0)], axis=1).astype(np.float32),
    )


def _shade(pixels: np.ndarray, rng: random.Random, depth: int) -> np.ndarray:
    """Light that falls off towards one side, and a tint."""
    height, width = pixels.shape[:2]
    ramp = np.arange(width)[None, :] * depth // width
    if rng.random() < 0.5:
        ramp = np.arange(height)[:, None] * depth // height
    if rng.random() < 0.5:
        ramp = ramp[::-1, ::-1]
    tint = np.array([rng.randint(0, 1 + depth // 3) for _ in range(3)], dtype=np.int32)
    return pixels - ramp[:, :, None].astype(np.int32) - tint


def _blur(pixels: np.ndarray) -> np.ndarray:
    """A 3 x 3 binomial filter."""
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:] + 8) >> 4


def _grain(pixels: np.ndarray, grain: np.random.Generator, deviation: int) -> np.ndarray:
    """Nearly Gaussian grey noise: the sum of four bytes has a deviation of 148."""
    height, width = pixels.shape[:2]
    noise = np.frombuffer(grain.bytes(4 * height * width), dtype=np.uint8)
    total = noise.reshape(4, height, width).sum(axis=0, dtype=np.int32) - 510
    return pixels + (total * deviation // 148)[:, :, None]


def _speck(pixels: np.ndarray, grain: np.random.Generator, strength: float) -> None:
    """Single pixels of dirt, dark or light."""
    height, width = pixels.shape[:2]
    count = max(1, round(height * width * 0.002 * strength))
    rows, columns = grain.integers(0, height, count), grain.integers(0, width, count)
    pixels[rows, columns] = grain.integers(0, 2, (count, 1)) * 255


def _compress(pixels: np.ndarray, coarseness: int) -> np.ndarray:
    """Rounds the brightness of 8 x 8 blocks in the frequency domain, as JPEG does."""
    height, width = pixels.shape[:2]
    grey = (pixels.sum(axis=2) + 1) // 3
    padded = np.pad(grey, ((0, -height % 8), (0, -width % 8)), mode="edge")
    rows, columns = padded.shape[0] // 8, padded.shape[1] // 8
    blocks = padded.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3).astype(np.float64)
    waves = _DCT @ blocks @ _DCT.T  # whole numbers below 2**53: exact in any order of summing
    step = (_STEPS * coarseness * 64).astype(np.float64)  # 64 * 64 is one grey level of a wave
    coarse = np.floor((waves * 2 + step * 64) / (step * 128)) * step * 64
    flat = _DCT.T @ coarse @ _DCT
    rebuilt = np.floor((flat + 2.0**23) / 2.0**24).astype(np.int32)
    rebuilt = rebuilt.transpose(0, 2, 1, 3).reshape(padded.shape)[:height, :width]
    return pixels + (rebuilt - grey)[:, :, None]
