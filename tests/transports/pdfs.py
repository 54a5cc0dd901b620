"""PDFs small enough to be written by hand, good ones and such as only an attacker writes."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Sequence
from typing import Any

from pypdf import PdfReader, PdfWriter


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, the first of which is its catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def stream(content: bytes, more: bytes = b"") -> bytes:
    """A stream object; `more` are further entries of its dictionary."""
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(content), more, content)


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def page(content: int) -> bytes:
    """A page whose content is that object, and whose font is the third."""
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
        b"/Resources << /Font << /F1 3 0 R >> >> >>" % content
    )


def written(text: str) -> bytes:
    """A page's content that shows a line of text; nothing for an empty one."""
    return f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1") if text else b""


def pdf(*pages: str) -> bytes:
    """A page for each text."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [CATALOGUE, b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)), FONT]
    for number, text in enumerate(pages):
        objects += [page(5 + 2 * number), stream(written(text))]
    return assembled(objects)


def one_page(content: bytes, more: bytes = b"") -> bytes:
    """One page with this content stream."""
    return assembled([CATALOGUE, b"<< /Type /Pages /Kids [4 0 R] /Count 1 >>", FONT, page(5), stream(content, more)])


def encrypted(text: str, password: str) -> bytes:
    """A page that opens with this password; RC4, which needs no further library."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(text))))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def bomb(megabytes: int) -> bytes:
    """A content stream that unpacks to this size: twice over, so that a kilobyte a gigabyte is enough."""
    packer = zlib.compressobj(9)
    first, again = (packer.compress(b" " * 1024 * 1024) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    once = first + again * (megabytes - 1)  # what follows a full flush can be repeated without being packed again
    return one_page(zlib.compress(once, 9), b"/Filter [/FlateDecode /FlateDecode]")


def own_parent() -> bytes:
    """A tree of pages that is its own branch."""
    return assembled(
        [CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 4 0 R] /Count 2 >>", FONT, page(5), stream(written("x"))]
    )


def many_pages(count: int) -> bytes:
    """One page, listed this many times, in a tree that claims a thousand million."""
    kids = b"4 0 R " * count
    tree = b"<< /Type /Pages /Kids [%b] /Count 1000000000 >>" % kids
    return assembled([CATALOGUE, tree, FONT, page(5), stream(written("again"))])


def endless(operations: int) -> bytes:
    """A page that is written, letter by letter, this many times."""
    letter = b"BT /F1 12 Tf 1 0 0 1 9 9 Tm (x) Tj ET\n"
    return one_page(zlib.compress(letter * operations, 9), b"/Filter /FlateDecode")


def document(content: bytes, media_type: str = "application/pdf", **more: Any) -> dict[str, Any]:
    """A document block, as Claude Code sends it."""
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(content).decode()}
    return {"type": "document", "source": source, **more}
