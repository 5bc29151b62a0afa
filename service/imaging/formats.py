"""The file formats that are read and written: content type, pixel modes that survive, and limits."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import features

GRAY_16 = "I;16"


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """One format. `modes` are those that a file keeps exactly as to kind (not always as to value);
    `max_side` is the longest side in pixels that its encoder takes; `signatures` are how its files begin.
    """

    content_type: str
    modes: frozenset[str]
    max_side: int
    signatures: tuple[bytes, ...]


FORMATS: dict[str, PictureFormat] = {
    "PNG": PictureFormat(
        "image/png",
        frozenset({"1", "L", "LA", "P", "RGB", "RGBA", GRAY_16}),
        2**31 - 1,
        (b"\x89PNG\r\n\x1a\n",),
    ),
    "JPEG": PictureFormat("image/jpeg", frozenset({"L", "RGB", "CMYK"}), 65_500, (b"\xff\xd8\xff",)),
    "WEBP": PictureFormat("image/webp", frozenset({"RGB", "RGBA"}), 16_383, (b"RIFF",)),
    "TIFF": PictureFormat(
        "image/tiff",
        frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", GRAY_16}),
        2**31 - 1,
        (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
    ),
    "BMP": PictureFormat("image/bmp", frozenset({"1", "L", "P", "RGB"}), 2**31 - 1, (b"BM",)),
    "GIF": PictureFormat("image/gif", frozenset({"L", "P"}), 65_535, (b"GIF87a", b"GIF89a")),
    "PPM": PictureFormat(
        "image/x-portable-anymap",
        frozenset({"1", "L", "RGB", GRAY_16}),
        2**31 - 1,
        (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"),
    ),
}
if features.check("avif"):  # Pillow can be built without it
    FORMATS["AVIF"] = PictureFormat("image/avif", frozenset({"L", "RGB", "RGBA"}), 16_384, ())

FORMAT_NAMES = ", ".join(FORMATS).replace("WEBP", "WebP")

READABLE_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "CMYK", GRAY_16})


def format_by_signature(data: bytes) -> str | None:
    """Name of the format that `data` claims to be by its first bytes, or None."""
    if "AVIF" in FORMATS and data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    for name, picture_format in FORMATS.items():
        if data.startswith(picture_format.signatures):
            return name
    return None
