"""Any Pillow mode to upright 8-bit RGB: alpha onto white, wide values scaled, EXIF turned."""

import numpy as np
from PIL import Image, ImageCms

from ...errors import MediaError

_ORIENTATION = 0x0112
_PHOTOMETRIC = 262  # TIFF 6.0: 0 means that zero is white

# EXIF 2.3, tag Orientation: how the stored rows must be turned to stand upright.
_TURN = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_rgb(image: Image.Image, *, name: str) -> Image.Image:
    """A fresh RGB image without metadata; the given one is left as it is.

    Gray of more than 8 bits is scaled, not cut: 16-bit by 1/257; 32-bit integers as 8 or
    16 bits, by their largest value; floats 0 to 1 by 255, or as 8 or 16 bits likewise.

    Raises:
        MediaError: values that mean no brightness (negative, too large, NaN), or a mode that
            has no way to RGB.
    """
    turn = _TURN.get(_orientation(image))
    if image.mode.startswith("I") or image.mode == "F":
        rgb = _wide_gray(image, name)
    elif image.mode == "LAB":
        rgb = _lab(image)
    elif image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgb = _on_white(image)
    else:
        try:
            rgb = image.convert("RGB")
        except ValueError as error:
            raise MediaError(
                f"{name} has colours of the kind {image.mode}, unknown here."
            ) from error
    if turn is not None:
        rgb = rgb.transpose(turn)
    rgb.info = {}  # an EXIF orientation left here would be applied a second time further on
    return rgb


def on_white(rgba: Image.Image) -> Image.Image:
    """An RGBA image over a white page."""
    page = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(page, rgba).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":  # premultiplied gray has only this way out
        image = image.convert("LA")
    return on_white(image.convert("RGBA"))


def _orientation(image: Image.Image) -> int:
    # Damaged EXIF is common and says nothing about the pixels: then the picture stays as stored.
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _wide_gray(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        gray = scale_uint16(values)
    else:
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 65535):  # written so that NaN fails too
            raise MediaError(
                f"{name} has gray values from {low:g} to {high:g}, which no scale is known for; "
                "save it with 8 or 16 bits, or floats from 0 to 1."
            )
        if image.mode == "F" and high <= 1:
            values = values * 255
        elif high > 255:
            values = values / 257
        gray = np.round(values).astype(np.uint8)
    if getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0:  # Pillow inverts only up to 8 bits
        gray = 255 - gray
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray = np.where(np.asarray(image) == transparent, np.uint8(255), gray)
    return Image.fromarray(gray).convert("RGB")


def scale_uint16(values: np.ndarray) -> np.ndarray:
    """16-bit brightness to 8-bit, rounded: 65535 -> 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _lab(image: Image.Image) -> Image.Image:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only inPlace=True gives None
    return converted
