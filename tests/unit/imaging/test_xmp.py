"""XMP packets: kept as they are, but for what is not true of the filled picture."""

from __future__ import annotations

import pytest

from service.imaging.xmp import LONGEST, still_true

START, END = b'<x:xmpmeta><rdf:RDF xmlns:tiff="t">', b"</rdf:RDF></x:xmpmeta>"


def packet(body: bytes) -> bytes:
    return START + body + END


def test_an_ordinary_packet_is_kept_byte_for_byte() -> None:
    data = packet(b"<dc:creator>Ada</dc:creator>") + b" " * 2000
    assert still_true(data) == data


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'tiff:Orientation="6"', b'tiff:Orientation="1"'),
        (b"tiff:Orientation='8'", b"tiff:Orientation='1'"),
        (b"<tiff:Orientation>3</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b'a xmpNote:HasExtendedXMP="0123ABCD" b', b"a  b"),
        (b"a<xmp:Thumbnails><rdf:li xmpGImg:image='/9j'/></xmp:Thumbnails>b", b"ab"),
        (b"a<xap:Thumbnails>1</xap:Thumbnails>b<xap:Thumbnails>2</xap:Thumbnails>c", b"abc"),
    ],
)
def test_what_is_no_longer_true_is_mended(before: bytes, after: bytes) -> None:
    assert still_true(packet(before)) == packet(after)


@pytest.mark.parametrize(
    "data",
    [
        b"no packet at all",
        packet(b"").decode().encode("utf-16"),
        packet(b"<xmp:Thumbnails><rdf:li xmpGImg:image='/9j'/>"),
        packet(b'GImage:Data="/9j"'),
        packet(b" " * LONGEST),
    ],
    ids=["no RDF", "UTF-16", "a thumbnail without an end", "the photo before it was edited", "too long"],
)
def test_a_packet_that_can_not_be_mended_is_left_out(data: bytes) -> None:
    assert still_true(data) is None


def test_a_packet_of_a_million_beginnings_takes_no_time() -> None:
    hostile = packet(b"<xmp:Thumbnails" * 60_000)
    assert still_true(hostile) == hostile
