"""The page at /docs: routes, parameters and problem codes in plain HTML, without scripts or assets."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from service.contracts import Params
from service.edge.parameters import allowed_values
from service.errors import ERROR_TABLE

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ccc; }
pre { background: #f3f3f3; padding: .8rem; overflow-x: auto; }
:target { background: #fff3c4; }
"""
EXAMPLE = """\
# Wait for the picture:
curl -F image=@photo.jpg -F mask=@mask.png http://127.0.0.1:8080/v1/inpaint -o filled.jpg

# Or queue a job, watch it and fetch its picture; ID is in the first answer:
curl -F image=@photo.jpg -F mask=@mask.png http://127.0.0.1:8080/v1/jobs
curl -N http://127.0.0.1:8080/v1/jobs/ID/events
curl http://127.0.0.1:8080/v1/jobs/ID/result -o filled.jpg"""
KEY_NOTE = "Every route under /v1 and /api/v1 needs an API key: Authorization: Bearer KEY."


def reference_page(document: dict[str, Any]) -> str:
    """The whole page, from the OpenAPI `document`, `Params` and the table of errors."""
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title} {escape(document['info']['version'])}</h1>"
        f"<p>{escape(document['info']['description'])}</p><pre>{escape(EXAMPLE)}</pre>"
        f"<p>{escape(KEY_NOTE) if _needs_key(document) else ''}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"<h2>Routes</h2>{_table(('route', 'what it does'), _routes(document))}"
        f"<h2>Parameters of /v1/inpaint and /v1/jobs</h2>"
        f"{_table(('name', 'allowed', 'meaning'), _parameters())}"
        f"<h2>Headers and parameters of the address</h2>{_table(('name', 'route', 'meaning'), _addressed(document))}"
        f"<h2>Problems</h2>{_table(('code', 'status', 'meaning', 'worth a retry'), _problems())}</html>"
    )


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    return f"<table><tr>{''.join(f'<th>{escape(cell)}' for cell in head)}</tr>{''.join(rows)}</table>"


def _row(cells: Iterable[str], anchor: str = "") -> str:
    identity = f' id="{escape(anchor)}"' if anchor else ""
    return f"<tr{identity}>{''.join(f'<td>{escape(cell)}' for cell in cells)}</tr>"


def _routes(document: dict[str, Any]) -> Iterable[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield _row((f"{method.upper()} {path}", f"{operation['summary']}. {operation['description']}"))


def _addressed(document: dict[str, Any]) -> Iterable[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if "description" in parameter:
                    name = parameter["name"]
                    yield _row((name, f"{method.upper()} {path}", parameter["description"]))


def _needs_key(document: dict[str, Any]) -> bool:
    return "securitySchemes" in document["components"]


def _parameters() -> Iterable[str]:
    for name, field in Params.model_fields.items():
        yield _row((name, allowed_values(name), field.description or ""))


def _problems() -> Iterable[str]:
    for code, mapping in ERROR_TABLE.items():
        cells = (code, str(mapping.http_status), mapping.title, "yes" if mapping.retryable else "no")
        yield _row(cells, anchor=code)
