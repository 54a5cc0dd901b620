"""The text of one PDF, read in a process of its own: a PDF on standard input, JSON on standard output.

A PDF is a program more than a text. It comes from whoever wrote it, its streams unpack to a thousand times their size, and
its trees may have loops; a library that reads it in our process can take all memory or never return, and a thread cannot be
ended. A process can, and its limits are the kernel's. So this file is run by itself (`_readable`), with nothing of ours in
its environment and nothing imported from here: starting takes a third of a second, once per document.

    {"pages": 3, "read": 3, "silent": 1, "text": "[page 1]\n...", "fault": ""}

`silent` counts the pages without text; `fault` is empty, "encrypted" or "damaged".
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

#: What is read of one document: as many pages as Anthropic takes, and characters for a window of about 150,000 tokens.
MAX_PAGES = 600
MAX_CHARS = 600_000
#: What the process may take: address space in bytes, computing time in seconds.
MAX_MEMORY_BYTES = 768 * 1024 * 1024
MAX_CPU_S = 20


def confine() -> None:
    """Let the kernel end this process rather than the machine. No files are written; where there are no limits, none."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock alone ends it
        return
    for what, limit in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, MAX_CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        try:
            resource.setrlimit(what, (limit, limit))
        except (ValueError, OSError):  # macOS knows no limit of address space
            continue


def read(pdf: bytes) -> dict[str, Any]:
    """The text of a PDF, page by page, as far as it can be had."""
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import DependencyError

    told: dict[str, Any] = {"pages": 0, "read": 0, "silent": 0, "text": "", "fault": ""}
    try:
        reader = PdfReader(io.BytesIO(pdf))
        # Most of the encrypted ones open with an empty password: only printing is forbidden.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            return {**told, "fault": "encrypted"}
        told["pages"] = len(reader.pages)
    except DependencyError:  # AES, for which the library wants another one
        return {**told, "fault": "encrypted"}
    except Exception:  # the library raises whatever a broken file makes it raise
        return {**told, "fault": "damaged"}
    if not told["pages"]:
        return {**told, "fault": "damaged"}
    texts: list[str] = []
    size = 0
    for number in range(min(told["pages"], MAX_PAGES)):
        try:
            text = reader.pages[number].extract_text().strip()
        except DependencyError:
            return {**told, "fault": "encrypted"}
        except Exception:  # one page that cannot be read is no reason to leave out the others
            text = ""
        told["read"] += 1
        told["silent"] += not text
        if text:
            texts.append(f"[page {number + 1}]\n{text[: MAX_CHARS - size]}")
            size += len(text)
        if size >= MAX_CHARS:
            break
    return {**told, "text": "\n\n".join(texts)}


def main() -> None:
    """Read standard input to its end, write one object."""
    confine()
    sys.setrecursionlimit(2_000)
    pdf = sys.stdin.buffer.read()
    try:
        told = read(pdf)
    except (MemoryError, RecursionError):
        sys.exit(3)
    # A page may hold half a surrogate pair; JSON escapes it, and no reader takes it.
    sys.stdout.buffer.write(json.dumps(told).encode("ascii"))


if __name__ == "__main__":
    main()
