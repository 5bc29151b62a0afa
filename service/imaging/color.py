"""Between a picture's own colours and the sRGB that the model sees. Conversions touch only what they are
given.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from service.errors import InvalidColorProfile
from service.imaging.picture import Bytes8, Picture, Pixels

# ITU-R BT.601, the luminance that Pillow's mode L has.
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def base_of(mode: str) -> str:
    """The colour channels behind a mode: L, RGB or CMYK."""
    if mode in ("1", "L", "LA", "I;16"):
        return "L"
    return "CMYK" if mode == "CMYK" else "RGB"


def check_profile(mode: str, icc: bytes | None) -> None:
    """Raise `InvalidColorProfile` where the pixels mean nothing without their profile and it is broken:
    CMYK.
    """
    if mode == "CMYK":
        _transforms("CMYK", icc)


@dataclass(frozen=True, slots=True)
class ColorConverter:
    """Converts windows of one picture; without a profile its numbers are taken as sRGB (CMYK as plain
    inks).
    """

    base: str
    white: int
    forward: ImageCms.ImageCmsTransform | None = None
    backward: ImageCms.ImageCmsTransform | None = None

    def to_srgb(self, colors: Pixels) -> Bytes8:
        """[h, w, C] of the picture's own -> [h, w, 3] sRGB."""
        values = _to_bytes(colors, self.white)
        if self.forward is not None:
            return np.array(ImageCms.applyTransform(_image(values, self.base), self.forward))
        if self.base == "L":
            return np.repeat(values, 3, axis=2)
        return values if self.base == "RGB" else np.array(_image(values, "CMYK").convert("RGB"))

    def from_srgb(self, srgb: npt.NDArray[np.float32]) -> Pixels:
        """[h, w, 3] sRGB in [0, 1] -> [h, w, C] of the picture's own, rounded."""
        if self.base == "L" and self.backward is None:
            gray: Pixels = np.rint((srgb @ LUMINANCE)[..., None] * self.white)
            return gray.astype(np.uint16 if self.white > 255 else np.uint8)
        values = np.rint(srgb * 255).astype(np.uint8)
        if self.backward is not None:
            values = np.array(ImageCms.applyTransform(_image(values, "RGB"), self.backward))
        elif self.base == "CMYK":
            values = np.array(_image(values, "RGB").convert("CMYK"))
        return values if values.ndim == 3 else values[..., None]


def converter_for(picture: Picture) -> tuple[ColorConverter, tuple[str, ...]]:
    """The picture's converter, and a note where its profile had to be ignored (decoding refuses that in
    CMYK).
    """
    base = base_of(picture.mode)
    icc = picture.metadata.icc
    if icc is None or picture.mode in ("1", "I;16"):
        return ColorConverter(base, picture.white), ()
    try:
        forward, backward = _transforms(base, icc)
    except InvalidColorProfile as error:
        return ColorConverter(base, picture.white), (
            f"{error.detail} It was kept; the fill is made as sRGB.",
        )
    return ColorConverter(base, picture.white, forward, backward), ()


def _transforms(
    base: str, icc: bytes | None
) -> tuple[ImageCms.ImageCmsTransform | None, ImageCms.ImageCmsTransform | None]:
    """Both directions between the profile and sRGB; (None, None) without a profile."""
    if icc is None:
        return None, None
    srgb = ImageCms.createProfile("sRGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        if space == SPACES[base]:
            forward = ImageCms.buildTransform(profile, srgb, base, "RGB")
            return forward, ImageCms.buildTransform(srgb, profile, "RGB", base)
    except (OSError, ImageCms.PyCMSError, ValueError, TypeError) as error:
        raise InvalidColorProfile(f"The embedded colour profile can't be read.{_remedy(base)}") from error
    raise InvalidColorProfile(
        f"The embedded colour profile is for {space} pixels, but the picture has {SPACES[base]} ones."
        f"{_remedy(base)}"
    )


def _remedy(base: str) -> str:
    return " Embed a working profile, or send the picture as RGB." if base == "CMYK" else ""


def _image(values: Bytes8, mode: str) -> Image.Image:
    height, width = values.shape[:2]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(values).tobytes())


def _to_bytes(colors: Pixels, white: int) -> Bytes8:
    if white == 255:
        return np.ascontiguousarray(colors, dtype=np.uint8)
    return ((colors.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)
