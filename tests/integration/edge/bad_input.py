"""THE TABLE of bad input: requests, and the problem that each is refused with. test_bad_input.py sends them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from service.contracts import MAX_UPLOAD_BYTES
from tests.integration.edge.pictures import JPEG, MASK, PHOTO, SIZE, encode, mask, photo, png_header

ROUTE = "/v1/inpaint"
FRAMES = [photo(), photo().rotate(180)]


@dataclass(frozen=True)
class Row:
    """One bad request, and what the answer must be."""

    name: str
    send: dict[str, Any]
    status: int
    code: str
    words: tuple[str, ...]
    method: str = "POST"
    path: str = ROUTE
    headers: dict[str, str] = field(default_factory=dict)


def form(image: bytes | None = PHOTO, mask_file: bytes | None = MASK, **fields: Any) -> dict[str, Any]:
    """A multipart body."""
    pictures = {"image": ("photo.png", image), "mask": ("mask.png", mask_file)}
    return {"files": {name: file for name, file in pictures.items() if file[1] is not None}, "data": fields}


def document(**fields: Any) -> dict[str, Any]:
    """A JSON body."""
    pictures = {"image": base64.b64encode(PHOTO).decode(), "mask": base64.b64encode(MASK).decode()}
    return {"json": {**pictures, **fields}}


def raw(content: bytes | Iterator[bytes], content_type: str | None) -> dict[str, Any]:
    """A body that is sent as it is."""
    return {"content": content, "headers": {"Content-Type": content_type} if content_type else {}}


def multipart(*parts: bytes) -> dict[str, Any]:
    """A multipart body from whole parts."""
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return raw(body, "multipart/form-data; boundary=x")


def part(name: str, value: bytes, filename: str = "") -> bytes:
    """One part of a multipart body."""
    suffix = f'; filename="{filename}"' if filename else ""
    return f'Content-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'.encode() + value


def endless(chunks: int) -> Iterator[bytes]:
    """A chunked body whose length nobody declared."""
    yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    for _ in range(chunks):
        yield b"\0" * 1024 * 1024


HUGE = MAX_UPLOAD_BYTES + 1024
BOTH = (part("image", PHOTO, "a.png"), part("mask", MASK, "m.png"))
INVALID = (422, "invalid_parameter")
MALFORMED = (422, "invalid_request")

PICTURES = [
    Row("image over 30 MB", form(image=b"\0" * HUGE), 413, "payload_too_large", ("31,457,280",)),
    Row(
        "chunked body over 30 MB",
        raw(endless(40), "multipart/form-data; boundary=x"),
        413,
        "payload_too_large",
        ("31,457,280", "more than"),
    ),
    Row("JSON over 30 MB", raw(b" " * HUGE, "application/json"), 413, "payload_too_large", ("31,457,280",)),
    Row(
        "over 50 megapixels",
        form(image=encode(Image.new("1", (10_000, 5_001)))),
        422,
        "too_many_pixels",
        ("image", "50,010,000", "50,000,000"),
    ),
    Row(
        "mask over 50 megapixels",
        form(mask_file=encode(Image.new("1", (10_000, 5_001)))),
        422,
        "too_many_pixels",
        ("mask", "50,000,000"),
    ),
    Row("bomb", form(image=png_header(60_000, 60_000)), 422, "too_many_pixels", ("50,000,000",)),
    Row(
        "animated GIF",
        form(image=encode(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:])),
        422,
        "animated_image",
        ("still", "one frame"),
    ),
    Row(
        "animated PNG",
        form(image=encode(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:])),
        422,
        "animated_image",
        ("still",),
    ),
    Row(
        "animated WebP",
        form(image=encode(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:])),
        422,
        "animated_image",
        ("still",),
    ),
    Row(
        "multi-page TIFF",
        form(image=encode(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])),
        422,
        "animated_image",
        ("pages",),
    ),
    Row("not an image", form(image=b"just some text, not a picture at all"), 422, "not_an_image", ("PNG",)),
    Row("mask is not an image", form(mask_file=b"just some text"), 422, "not_an_image", ("mask", "PNG")),
    Row("truncated JPEG", form(image=JPEG[: len(JPEG) // 2]), 422, "truncated_image", ("complete",)),
    Row("truncated PNG", form(image=PHOTO[: len(PHOTO) // 2]), 422, "truncated_image", ("complete",)),
    Row("truncated mask", form(mask_file=MASK[: len(MASK) - 40]), 422, "truncated_image", ("mask",)),
    Row("empty file", form(image=b""), 422, "not_an_image", ("image", "0 bytes")),
    Row("zero-sized", form(image=png_header(0, 0)), 422, "picture_too_small", ("0", "8")),
    Row("side under 8 px", form(image=encode(photo(size=(7, 90)))), 422, "picture_too_small", ("7", "8")),
    Row(
        "CMYK with a broken profile",
        form(image=encode(photo("CMYK"), "JPEG", icc_profile=b"no profile" * 20)),
        422,
        "invalid_color_profile",
        ("profile",),
    ),
    Row("mask empty", form(mask_file=encode(Image.new("L", SIZE))), 422, "empty_mask", ("mask", "white")),
    Row(
        "mask inverted and empty",
        form(mask_file=encode(Image.new("L", SIZE, 255)), mask_polarity="black"),
        422,
        "empty_mask",
        ("black",),
    ),
    Row(
        "opaque mask asked for transparency",
        form(mask_polarity="transparent"),
        422,
        "empty_mask",
        ("transparent",),
    ),
    Row(
        "mask of another aspect",
        form(mask_file=encode(mask((80, 96)))),
        422,
        "mask_size_mismatch",
        ("80", "96"),
    ),
]

PARAMETERS = [
    Row("unknown field", form(step=20), 422, "unknown_field", ("'step'", "'steps'", "guidance_scale")),
    Row("unknown JSON field", document(promt="x"), 422, "unknown_field", ("'promt'", "Allowed")),
    Row(
        "unknown JSON field that is no text",
        raw(b'{"\\ud800": 1}', "application/json"),
        422,
        "unknown_field",
        ("Allowed",),
    ),
    Row("steps 0", form(steps=0), *INVALID, ("steps", "from 1 to 100", "left out")),
    Row("steps 1000", form(steps=1000), *INVALID, ("steps", "'1000'", "from 1 to 100")),
    Row("steps 1000 in JSON", document(steps=1000), *INVALID, ("steps", "1000", "from 1 to 100")),
    Row("steps no number", form(steps="many"), *INVALID, ("steps", "whole number")),
    Row("steps a fraction", form(steps="1.5"), *INVALID, ("steps", "whole number")),
    Row("steps empty", form(steps=""), *INVALID, ("steps", "whole number")),
    Row("steps a text in JSON", document(steps="20"), *INVALID, ("steps", "whole number")),
    Row("steps a boolean in JSON", document(steps=True), *INVALID, ("steps", "whole number")),
    Row(
        "steps an enormous number",
        raw(b'{"steps": ' + b"9" * 5000 + b"}", "application/json"),
        *MALFORMED,
        ("JSON",),
    ),
    Row("guidance NaN", form(guidance_scale="nan"), *INVALID, ("guidance_scale", "from 1", "to 20")),
    Row("guidance infinite", form(guidance_scale="inf"), *INVALID, ("guidance_scale", "to 20")),
    Row(
        "guidance NaN in JSON",
        raw(b'{"guidance_scale": NaN}', "application/json"),
        *INVALID,
        ("NaN", "finite"),
    ),
    Row(
        "guidance beyond floats in JSON",
        raw(b'{"image":"","mask":"","guidance_scale":1e999}', "application/json"),
        *INVALID,
        ("guidance_scale",),
    ),
    Row("strength too low", form(strength=0.1), *INVALID, ("strength", "0.3", "1")),
    Row("n 0", form(n=0), *INVALID, ("n is", "from 1 to 10")),
    Row("n 11", form(n=11), *INVALID, ("n is", "from 1 to 10")),
    Row(
        "no step left",
        form(steps=1, strength=0.5),
        *INVALID,
        ("steps is 1", "strength is 0.5", "steps x strength must be at least 1"),
    ),
    Row("seed negative", form(seed=-1), *INVALID, ("seed", "from 0 to 4294967295")),
    Row("seed too large", form(seed=2**32), *INVALID, ("seed", "4294967295")),
    Row(
        "seeds of candidates too large",
        form(n=2, seed=2**32 - 1),
        *INVALID,
        ("seed", "4294967294"),
        headers={"Accept": "application/json"},
    ),
    Row("timeout 0", form(timeout=0), *INVALID, ("timeout", "above 0", "86400")),
    Row("sampler unknown", form(sampler="euler"), *INVALID, ("sampler", "ddim, dpm-solver++")),
    Row("polarity unknown", form(mask_polarity="blue"), *INVALID, ("white, black, transparent",)),
    Row("output format unknown", form(output_format="bmp"), *INVALID, ("png, jpeg, webp",)),
    Row("quality 101", form(quality=101), *INVALID, ("quality", "from 1 to 100")),
    Row("color_match no boolean", form(color_match="maybe"), *INVALID, ("color_match", "true or false")),
    Row("several at once", form(steps=0, n=0), *INVALID, ("steps", "n is")),
    Row("a very long value", form(sampler="x" * 50_000), *INVALID, ("sampler", "ddim")),
    Row(
        "steps that a few-step model is not distilled to",
        form(model="few-step", steps=20),
        *INVALID,
        ("steps is 20", "few-step is distilled to 4 steps", "leave `steps` out or say 4", "use moebius-nano"),
    ),
    Row(
        "steps that a few-step model is not distilled to, in JSON",
        document(model="few-step", steps=3),
        *INVALID,
        ("steps is 3", "say 4"),
    ),
    Row(
        "guidance that a few-step model does not have",
        form(model="few-step", guidance_scale=2),
        *INVALID,
        ("guidance_scale is 2", "few-step has a guidance of 2.5", "leave `guidance_scale` out or say 2.5"),
    ),
    Row(
        "a sampler that a few-step model is not distilled to",
        form(model="few-step", sampler="dpm-solver++"),
        *INVALID,
        (
            "sampler is dpm-solver++",
            "few-step is distilled to the steps of ddim",
            "leave `sampler` out or say ddim",
        ),
    ),
    Row("model unknown", form(model="sdxl"), 422, "unknown_model", ("'sdxl'", "moebius-nano")),
]

BODIES = [
    Row("missing image", form(image=None), 422, "missing_part", ("image", "both")),
    Row("missing mask", form(mask_file=None), 422, "missing_part", ("mask", "both")),
    Row("missing both in JSON", {"json": {}}, 422, "missing_part", ("image and mask",)),
    Row("image as a text field", multipart(part("image", b"abc"), BOTH[1]), *MALFORMED, ("as a file",)),
    Row(
        "whole image as a text field",
        multipart(part("image", bytes(100_000)), BOTH[1]),
        *MALFORMED,
        ("64KB", "as files"),
    ),
    Row("steps as a file", multipart(*BOTH, part("steps", b"20", "s.txt")), *MALFORMED, ("steps", "text")),
    Row("duplicate image", multipart(*BOTH, BOTH[0]), *MALFORMED, ("more than once", "image")),
    Row(
        "duplicate steps",
        multipart(*BOTH, part("steps", b"2"), part("steps", b"3")),
        *MALFORMED,
        ("more than once", "steps"),
    ),
    Row(
        "duplicate JSON name",
        raw(b'{"steps": 2, "steps": 3}', "application/json"),
        *MALFORMED,
        ("more than once", "steps"),
    ),
    Row("too many parts", multipart(*[part("steps", b"2")] * 100), *MALFORMED, ("64",)),
    Row(
        "huge header field of a part",
        multipart(b"X-Long: " + b"a" * 20_000 + b"\r\n" + BOTH[0]),
        *MALFORMED,
        ("multipart",),
    ),
    Row("part without a name", multipart(b"Content-Disposition: form-data\r\n\r\nx"), *MALFORMED, ("name",)),
    Row("no boundary", raw(b"--x\r\n", "multipart/form-data"), *MALFORMED, ("boundary",)),
    Row(
        "multipart that is none", raw(b"hello", "multipart/form-data; boundary=x"), *MALFORMED, ("multipart",)
    ),
    Row(
        "multipart that ends early",
        raw(b"--x\r\n" + BOTH[0][:500], "multipart/form-data; boundary=x"),
        *MALFORMED,
        ("ended before",),
    ),
    Row("empty multipart", raw(b"", "multipart/form-data; boundary=x"), *MALFORMED, ("ended before",)),
    Row("multipart without parts", multipart(), 422, "missing_part", ("image",)),
    Row(
        "wrong content type",
        raw(PHOTO, "image/png"),
        415,
        "unsupported_media_type",
        ("'image/png'", "multipart/form-data", "application/json"),
    ),
    Row("form without files", {"data": {"image": "x"}}, 415, "unsupported_media_type", ("multipart",)),
    Row("no content type", raw(PHOTO, None), 415, "unsupported_media_type", ("missing", "multipart")),
    Row("empty body", raw(b"", "application/json"), *MALFORMED, ("empty",)),
    Row("broken JSON", raw(b'{"image": ', "application/json"), *MALFORMED, ("JSON", "line 1")),
    Row("JSON that is no UTF-8", raw(b'{"image": "\xff"}', "application/json"), *MALFORMED, ("JSON",)),
    Row("JSON nested without end", raw(b"[" * 200_000, "application/json"), *MALFORMED, ("JSON",)),
    Row("JSON with a crowd of values", document(image=[[]] * 300), *MALFORMED, ("brackets", "256", "flat")),
    Row("JSON with a crowd of fields", document(**{f"x{i}": 0 for i in range(300)}), *MALFORMED, ("256",)),
    Row("JSON array", raw(b"[]", "application/json"), *MALFORMED, ("object",)),
    Row("bad base64", document(image="!!!!"), *INVALID, ("image", "base64")),
    Row("base64 cut", document(mask=base64.b64encode(MASK).decode()[:-3]), *INVALID, ("mask", "padding")),
    Row("base64 that is no ASCII", document(image="Aäöü"), *INVALID, ("image", "base64", "character 1")),
    Row("image a number", document(image=5), *INVALID, ("image", "base64")),
    Row("image null", document(image=None), *INVALID, ("image", "base64")),
    Row("image an address", document(image="http://127.0.0.1/a.png"), *INVALID, ("not fetched",)),
    Row("data URI without base64", document(image="data:image/png,abc"), *INVALID, ("base64",)),
    Row("empty base64", document(image=""), 422, "not_an_image", ("0 bytes",)),
]

ANSWERS = [
    Row("several candidates as one picture", form(n=2), 406, "not_acceptable", ("application/json", "n=1")),
    Row(
        "Accept that we can't give",
        form(),
        406,
        "not_acceptable",
        ("image/png", "application/json"),
        headers={"Accept": "text/html"},
    ),
    Row(
        "Accept against output_format",
        form(output_format="png"),
        406,
        "not_acceptable",
        ("output_format", "image/webp"),
        headers={"Accept": "image/webp"},
    ),
    Row("unknown path", form(), 404, "unknown_route", ("/v2/inpaint", "/docs"), path="/v2/inpaint"),
    Row(
        "method of no route", {}, 405, "method_not_allowed", ("DELETE, GET",), method="PUT", path="/v1/jobs/x"
    ),
    Row("wrong method", {}, 405, "method_not_allowed", ("POST",), method="GET"),
]

TABLE = [*PICTURES, *PARAMETERS, *BODIES, *ANSWERS]
