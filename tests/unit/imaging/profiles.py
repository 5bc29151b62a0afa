"""Small ICC profiles made in code (ICC.1:2001-04): gray, Adobe RGB, Display P3 and CMYK."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_D50 = (0.9642, 1.0, 0.8249)


def gray_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"wtpt": _xyz(*_D50), b"kTRC": _curve(gamma)})


def wide_rgb_profile() -> bytes:
    """Primaries of Adobe RGB (1998), adapted to D50, gamma 2.2."""
    primaries = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
    return _rgb_profile(primaries, _curve(2.2))


def display_p3_profile() -> bytes:
    """Primaries of DCI-P3 with a D65 white, adapted to D50, and the curve of sRGB (IEC 61966-2-1)."""
    primaries = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
    return _rgb_profile(primaries, _srgb_curve())


def cmyk_profile() -> bytes:
    """Inks that subtract ideally and a black at half strength, so that ignoring the profile is seen."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    rgb = (1 - corners[:, :3]) * (1 - 0.5 * corners[:, 3:])
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    inks = np.concatenate([255 - _from_lab(grid), np.zeros((len(grid), 1), np.uint8)], axis=1)
    tags = {
        b"wtpt": _xyz(*_D50),
        b"A2B0": _lut8(4, 3, 2, _to_lab(np.rint(rgb * 255).astype(np.uint8))),
        b"B2A0": _lut8(3, 4, 9, inks),
    }
    return _profile(b"CMYK", b"Lab ", b"prtr", tags)


def _rgb_profile(primaries: tuple[tuple[float, float, float], ...], curve: bytes) -> bytes:
    """Three primaries in XYZ, one curve for all."""
    tags = {b"wtpt": _xyz(*_D50)}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags |= {name + b"XYZ": _xyz(*primary), name + b"TRC": curve}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags)


def _to_lab(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab: npt.NDArray[np.uint8] = np.array(ImageCms.applyTransform(Image.fromarray(rgb[None]), transform))[0]
    lab[:, 1:] ^= 128  # Pillow's LAB keeps a and b signed; the table's are offset by 128
    return lab


def _from_lab(lab: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    signed = lab.copy()
    signed[:, 1:] ^= 128
    image = Image.frombytes("LAB", (len(lab), 1), signed.tobytes())
    rgb: npt.NDArray[np.uint8] = np.array(ImageCms.applyTransform(image, transform))[0]
    return rgb


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(x) + _fixed(y) + _fixed(z)


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _srgb_curve() -> bytes:
    """1,024 points of it: version 2 has no parametric curves."""
    levels = np.linspace(0, 1, 1_024)
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    points = np.rint(linear * 65_535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(points)) + bytes(points.tobytes())


def _lut8(inputs: int, outputs: int, points: int, table: npt.NDArray[np.uint8]) -> bytes:
    identity = b"".join(_fixed(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ramp = bytes(range(256))
    header = b"mft1\0\0\0\0" + bytes([inputs, outputs, points, 0])
    return header + identity + ramp * inputs + table.tobytes() + ramp * outputs


def _text(value: bytes) -> bytes:
    return b"text\0\0\0\0" + value + b"\0"


def _description(value: bytes) -> bytes:
    counted = struct.pack(">I", len(value) + 1) + value + b"\0"
    return b"desc\0\0\0\0" + counted + bytes(4 + 4 + 2 + 1 + 67)


def _profile(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _description(b"test"), b"cprt": _text(b"CC0"), **tags}
    offset = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        directory += name + struct.pack(">II", offset + len(body), len(data))
        body += padded
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02400000, kind, space, connection)
    header += bytes(12) + b"acsp" + bytes(28)
    header += b"".join(_fixed(v) for v in _D50)
    return header + bytes(128 - len(header)) + directory + body
