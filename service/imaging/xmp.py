"""A picture's XMP packet: what of it still holds once the picture is upright and its hole filled."""

from __future__ import annotations

import re

LONGEST = 2**20  # bytes; real packets have a hundredth of it
ORIENTATION = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>\s*))[0-9]""")
EXTENDED = re.compile(rb"""xmpNote:HasExtendedXMP\s*=\s*["'][^"'<>]*["']""")
THUMBNAILS = ((b"<xmp:Thumbnails", b"</xmp:Thumbnails>"), (b"<xap:Thumbnails", b"</xap:Thumbnails>"))
PICTURES = (
    b"xmpGImg:image",
    b"GImage:Data",
    b"GDepth:Data",
)  # they still show what was removed from the photo


def still_true(packet: bytes) -> bytes | None:
    """The packet with orientation 1, and without thumbnails and the mention of a part elsewhere in the file, which is
    not kept. None if it is too long, not UTF-8, or holds pictures in some other way.
    """
    if len(packet) > LONGEST or b"<rdf:RDF" not in packet:
        return None
    for start, end in THUMBNAILS:
        packet = _without(packet, start, end)
    if any(name in packet for name in PICTURES):
        return None
    return EXTENDED.sub(b"", ORIENTATION.sub(rb"\g<1>1", packet))


def _without(packet: bytes, start: bytes, end: bytes) -> bytes:
    """Without what is between the two, themselves included, in one pass. What has no end stays."""
    kept, position = [], 0
    while (first := packet.find(start, position)) >= 0 and (last := packet.find(end, first)) >= 0:
        kept.append(packet[position:first])
        position = last + len(end)
    return b"".join([*kept, packet[position:]])
