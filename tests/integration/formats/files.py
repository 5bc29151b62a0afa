"""The files that the tests upload, made as programs make them: every pixel mode, profile and kind of metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ExifTags, Image

from tests.integration.edge.pictures import encode
from tests.unit.imaging.pictures import noise
from tests.unit.imaging.profiles import wide_rgb_profile

SIZE = (96, 80)
HOLE = (32, 24, 56, 56)
AUTHOR = "Ada Lovelace"


def box(size: tuple[int, int] = SIZE, hole: tuple[int, int, int, int] = HOLE) -> Image.Image:
    """White in the hole, black elsewhere."""
    image = Image.new("L", size, 0)
    image.paste(255, hole)
    return image


MASK = encode(box())
FLAGS = np.asarray(box()) > 0


def smooth(size: tuple[int, int] = SIZE) -> Image.Image:
    """A photo without detail, each corner of another colour: lossy coders keep it to a level or two."""
    corners = Image.new("RGB", (2, 2))
    for place, color in {(0, 0): "#c04020", (1, 0): "#208040", (0, 1): "#2040b0", (1, 1): "#c0b040"}.items():
        corners.paste(color, (*place, place[0] + 1, place[1] + 1))
    return corners.resize(size, Image.Resampling.BILINEAR)


def with_object() -> Image.Image:
    """The same with something in the hole that is like nothing around it."""
    image = smooth()
    image.paste("#ff00ff", HOLE)
    return image


def with_palette_alpha() -> Image.Image:
    """A palette picture of which some colours are half or wholly transparent."""
    image = noise("P", *SIZE)
    image.info["transparency"] = bytes([0, 128] + [255] * 38)
    return image


LOSSLESS: dict[str, bytes] = {
    **{f"PNG {mode}": encode(noise(mode, *SIZE)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "PNG palette with alpha": encode(with_palette_alpha(), transparency=bytes([0, 128] + [255] * 38)),
    "PNG with a transparent colour": encode(noise("RGB", *SIZE), transparency=(1, 2, 3)),
    **{
        f"TIFF {mode}": encode(noise(mode, *SIZE), "TIFF")
        for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")
    },
    "TIFF RGB, LZW": encode(noise("RGB", *SIZE), "TIFF", compression="tiff_lzw"),
    "TIFF L, deflate": encode(noise("L", *SIZE), "TIFF", compression="tiff_adobe_deflate"),
    "WebP RGB, lossless": encode(noise("RGB", *SIZE), "WEBP", lossless=True, exact=True),
    "WebP RGBA, lossless": encode(noise("RGBA", *SIZE), "WEBP", lossless=True, exact=True),
    **{f"BMP {mode}": encode(noise(mode, *SIZE), "BMP") for mode in ("1", "L", "P", "RGB")},
    "GIF": encode(noise("P", *SIZE), "GIF"),
    "PPM": encode(noise("RGB", *SIZE), "PPM"),
}

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    f'xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6" dc:creator="{AUTHOR}"/>'
    "</rdf:RDF></x:xmpmeta>"
).encode()


def exif_of(orientation: int = 1) -> bytes:
    """An author, a camera's setting and a place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Artist] = AUTHOR
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 400
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return exif.tobytes()


def described(kind: str, **more: Any) -> bytes:
    """A photo with EXIF, XMP, a wide profile and a density, as far as the format holds them."""
    options: dict[str, Any] = {"exif": exif_of(), "icc_profile": wide_rgb_profile(), "dpi": (300, 300)}
    if kind == "TIFF":
        exif = Image.Exif()
        exif.load(exif_of())
        exif[ExifTags.Base.XMLPacket] = XMP
        options["exif"] = exif
    elif kind != "PNG":
        options["xmp"] = XMP
    return encode(smooth(), kind, **options, **more)
