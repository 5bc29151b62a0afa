"""The routes of the page: nobody needs a key to load it, and it may load nothing but from this service."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from service.edge.playground.files import INDEX, PageFile, read_files
from service.errors import UnknownRoute

router = APIRouter(include_in_schema=False)

READ = ["GET", "HEAD"]
# What the page may load and ask (Content Security Policy Level 3): itself, and pictures that it made.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    # To be asked for again each time, which costs a 304: a new version of the service is a new page at once.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
NOT_MODIFIED = 304
FILES = read_files()


@router.api_route("/", methods=READ)
async def page(request: Request) -> Response:
    """The page itself."""
    return _answer(request, FILES[INDEX])


@router.api_route("/playground/{name}", methods=READ)
async def page_file(request: Request, name: str) -> Response:
    """A script, a style or a picture of the page. Raises UnknownRoute."""
    file = FILES.get(name)
    if file is None:
        raise UnknownRoute("The page has no such file. Load / again: the service may have been updated.")
    return _answer(request, file)


def _answer(request: Request, file: PageFile) -> Response:
    headers = HEADERS | {"ETag": file.etag}
    if _is_known(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _is_known(if_none_match: str | None, etag: str) -> bool:
    """By weak comparison (RFC 9110, section 13.1.2): proxies that compress make a strong tag a weak one."""
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or etag in tags
