"""The page's files: small, whole, and in step with what the service takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import EnumType
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from service.contracts import Params
from service.edge.playground.files import FOLDER, read_files

EXAMPLES = Path(__file__).resolve().parents[4] / "examples"
MOST_BYTES = 150_000
SIDES = ("min", "max")
SAMPLE = {"sample.jpg": "seabed.jpg", "sample-mask.png": "seabed-mask.png"}
NOT_ON_THE_PAGE = {
    "mask_polarity",  # the page makes the mask itself
    "effective_mask",  # for who works on with the files
}


class Controls(HTMLParser):
    """The fields of the page's form, by name: their attributes and, of a list, their values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}
        self.options: dict[str, list[str]] = {}
        self._list: str | None = None
        self._value: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        name = attributes.get("name")
        if tag in ("input", "select") and name:
            self.found[name] = attributes
            self._list = name if tag == "select" else None
        if tag == "option":
            self._value = attributes.get("value")

    def handle_data(self, data: str) -> None:
        if self._list and data.strip():
            value = data.strip() if self._value is None else self._value
            self.options.setdefault(self._list, []).append(value)
            self._value = None

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._list = None


@pytest.fixture(scope="module")
def controls() -> Controls:
    parser = Controls()
    parser.feed((FOLDER / "index.html").read_text("utf-8"))
    return parser


def limits(schema: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for option in schema.get("anyOf", [schema]):
        for ours, theirs in (("minimum", "min"), ("maximum", "max")):
            if ours in option:
                yield theirs, option[ours]


def test_the_page_without_its_sample_has_at_most_150_kb() -> None:
    sizes = {name: len(file.content) for name, file in read_files().items() if name not in SAMPLE}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


def test_the_sample_is_that_of_the_examples() -> None:
    for name, example in SAMPLE.items():
        assert read_files()[name].content == (EXAMPLES / example).read_bytes()


def test_each_file_has_a_tag_of_its_own_that_only_its_bytes_change(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text("1")
    before = read_files(tmp_path)["one.js"].etag
    assert read_files(tmp_path)["one.js"].etag == before
    (tmp_path / "one.js").write_text("2")
    assert read_files(tmp_path)["one.js"].etag != before
    assert re.fullmatch(r'"[0-9a-f]{32}"', before)


def test_the_page_offers_every_parameter_and_no_other(controls: Controls) -> None:
    assert set(controls.found) == set(Params.model_fields) - NOT_ON_THE_PAGE


def test_the_fields_have_the_limits_of_the_parameters(controls: Controls) -> None:
    properties = Params.model_json_schema()["properties"]
    for name, attributes in controls.found.items():
        if attributes.get("type") == "number":
            told = {side: float(limit) for side, limit in attributes.items() if side in SIDES and limit}
            for side, limit in limits(properties[name]):
                assert told[side] == limit, f"{side} of {name}"


def test_the_lists_offer_the_values_of_the_parameters(controls: Controls) -> None:
    offered = {name: [value for value in values if value] for name, values in controls.options.items()}
    for name, values in offered.items():
        assert values == enumerated(name), name


def enumerated(name: str) -> list[str]:
    """The values of a parameter's enumeration, in order; of others none."""
    annotation = Params.model_fields[name].annotation
    kinds = getattr(annotation, "__args__", (annotation,))
    return [str(value) for kind in kinds if isinstance(kind, EnumType) for value in kind.__members__.values()]


def test_what_counts_as_left_out_is_the_parameters_own_default(controls: Controls) -> None:
    for name, attributes in controls.found.items():
        default = Params.model_fields[name].default
        if "data-default" in attributes:
            told = (
                str(default).lower() if isinstance(default, bool) else str(getattr(default, "value", default))
            )
            assert attributes["data-default"] in (told, told.removesuffix(".0")), name


def test_no_script_is_longer_than_a_reader_s_patience() -> None:
    for path in FOLDER.glob("*.js"):
        assert len(path.read_text("utf-8").splitlines()) <= 200, path.name
