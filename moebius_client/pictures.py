"""Pictures as people have them (paths, bytes, files, PIL images, NumPy arrays) to bytes of an encoded file."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from moebius_client.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Picture: TypeAlias = (
        str
        | os.PathLike[str]
        | bytes
        | bytearray
        | memoryview
        | BinaryIO
        | Image.Image
        | npt.NDArray[np.uint8]
        | npt.NDArray[np.bool_]
    )
else:
    Picture: TypeAlias = Any

PNG_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"})
ALLOWED = "a path, bytes, an open binary file, a PIL image or a NumPy array"


def picture_bytes(picture: Picture, role: str) -> bytes:
    """The encoded file. Bytes and files are sent as they are; PIL images and arrays become PNG (CMYK: TIFF), which
    loses nothing. `role` is "image" or "mask", for messages.

    An array is [H, W], [H, W, 3] or [H, W, 4] of uint8; a mask may be [H, W] of bool, where True is white. Raises
    `InvalidInput`, and OSError for a file that can't be read.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    if _is_instance(picture, "PIL.Image", "Image"):
        return _encoded(cast("Image.Image", picture), role)
    if _is_instance(picture, "numpy", "ndarray"):
        return _encoded(_image_of_array(picture, role), role)
    if hasattr(picture, "read"):
        return _content(picture, role)
    raise InvalidInput(f"The {role} is of type {type(picture).__name__}, but must be {ALLOWED}.")


def _is_instance(value: object, module: str, name: str) -> bool:
    """Whether it is of that class, without an import: who has such an object has imported its module."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))


def _content(file: Any, role: str) -> bytes:
    data = file.read()
    if not isinstance(data, bytes):
        raise InvalidInput(f"The {role} is a file opened as text. Open it with mode 'rb'.")
    return data


def _image_of_array(array: Any, role: str) -> Image.Image:
    import numpy as np
    from PIL import Image

    if array.dtype == np.bool_ and role == "mask":
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        also = " or bool" if role == "mask" else ""
        raise InvalidInput(f"The {role} is an array of {array.dtype}, but must be uint8 (0 to 255){also}.")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise InvalidInput(
            f"The {role} is an array of shape {array.shape}, but must be [H, W], [H, W, 3] or [H, W, 4]."
        )
    if array.size == 0:
        raise InvalidInput(f"The {role} is an array of shape {array.shape}, which has no pixels.")
    return Image.fromarray(np.ascontiguousarray(array))


def _encoded(image: Image.Image, role: str) -> bytes:
    """With the EXIF data, colour profile and density that the image has."""
    kept: dict[str, Any] = {
        name: image.info[name] for name in ("icc_profile", "dpi", "transparency") if name in image.info
    }
    exif = image.getexif()
    if len(exif):
        kept["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    if image.mode in PNG_MODES:
        image.save(buffer, "PNG", compress_level=1, **kept)
    elif image.mode == "CMYK":
        image.save(buffer, "TIFF", compression="tiff_lzw", **kept)
    else:
        allowed = ", ".join(sorted(PNG_MODES | {"CMYK"}))
        raise InvalidInput(
            f"The {role} is a PIL image of mode {image.mode}; allowed are {allowed}. Convert it."
        )
    return buffer.getvalue()
