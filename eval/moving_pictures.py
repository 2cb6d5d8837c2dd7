"""Three kinds of clips, drawn: a screen on which someone types, slides, and a camera that pans."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

WORDS = ("the", "total", "is", "due", "on", "third", "of", "March", "and", "was", "paid", "late")
SLIDE_FRAMES = 8  # how long a slide is shown
NOISE_LEVELS = 2  # of a camera's sensor


def screen_recording(count: int, height: int, width: int) -> list[np.ndarray]:
    """A page with text, to which each frame adds a word, and a pointer that wanders."""
    page = Image.new("RGB", (width, height), (246, 246, 244))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, width, height // 12), fill=(60, 70, 90))
    places = _word_places(height // 6, height, width)
    for _ in range(30):  # what stands there already
        _write_word(draw, places)
    frames = []
    for number in range(count):
        _write_word(draw, places)
        shown = page.copy()
        x, y = width // 5 + 5 * number % (width // 2), height // 2 + 3 * number % (height // 3)
        ImageDraw.Draw(shown).polygon(
            [(x, y), (x, y + 12), (x + 8, y + 9)], fill=(0, 0, 0), outline=(255, 255, 255)
        )
        frames.append(np.array(shown))
    return frames


def slides(count: int, height: int, width: int) -> list[np.ndarray]:
    """Pages of text and bars, each shown for a while without any change."""
    frames: list[np.ndarray] = []
    for number in range(-(-count // SLIDE_FRAMES)):
        tint = [(255, 255, 255), (240, 246, 255), (255, 248, 235)][number % 3]
        page = Image.new("RGB", (width, height), tint)
        draw = ImageDraw.Draw(page)
        places = _word_places(height // 8, height * 2 // 3, width, skip=7 * number)
        for _ in range(20):
            _write_word(draw, places)
        for bar in range(6):
            top = height - (bar * 37 + number * 53) % (height // 4) - 8
            left = width * (bar + 1) // 8
            draw.rectangle((left, top, left + width // 12, height), fill=(40, 110, 170))
        frames += [np.array(page)] * SLIDE_FRAMES
    return frames[:count]


def camera(count: int, height: int, width: int) -> list[np.ndarray]:
    """A window that moves over a large picture, with a sensor's noise in every frame."""
    draw = np.random.default_rng(0)
    side = (width + 4 * count) // 8 + 1, (height + 2 * count) // 8 + 1
    coarse = draw.integers(0, 256, (side[1], side[0], 3), dtype=np.uint8)
    scene = Image.fromarray(coarse).resize((side[0] * 8, side[1] * 8), Image.Resampling.BICUBIC)
    scene = np.array(scene.filter(ImageFilter.GaussianBlur(1.5))).astype(np.int16)
    frames = []
    for number in range(count):
        window = scene[2 * number : 2 * number + height, 4 * number : 4 * number + width]
        noise = draw.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, window.shape)
        frames.append((window + noise).clip(0, 255).astype(np.uint8))
    return frames


CLIPS: dict[str, Callable[[int, int, int], list[np.ndarray]]] = {
    "screen recording": screen_recording,
    "slides": slides,
    "camera": camera,
}


def _word_places(
    top: int, bottom: int, width: int, *, skip: int = 0
) -> Iterator[tuple[int, int, str]]:
    """Where one word after another stands, line by line; below the last line it begins again."""
    number = skip
    while True:
        for y in range(top, bottom - 12, 16):
            for x in range(12, width - 60, 62):
                yield x, y, WORDS[number % len(WORDS)]
                number += 1


def _write_word(draw: ImageDraw.ImageDraw, places: Iterator[tuple[int, int, str]]) -> None:
    x, y, word = next(places)
    draw.text((x, y), word, fill=(20, 20, 20))


def write_h264(path: Path, frames: Sequence[np.ndarray], *, fps: int = 30) -> Path:
    """Writes frames as a video file, two seconds from one key frame to the next."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=fps, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 2 * fps
        stream.codec_context.thread_count = 1
        for pixels in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode())
    return path
