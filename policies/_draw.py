"""A lot that is drawn again the same: by hashing what it is for, never by a generator of random numbers.

A generator gives a number once. A plan that was drawn with it cannot be folded again from its stored view, and two looks at
one request differ. So a lot is the digest of the request's seed, of the purpose, and of whom it is drawn for: another for each
of these, and for all three together always the same.
"""

from __future__ import annotations

from hashlib import blake2b


def draw(seed: int, purpose: str, whom: object) -> float:
    """A number above 0 and below 1. `seed` is the view's, `purpose` the policy's kind, `whom` a candidate or a number."""
    text = f"{seed}\0{purpose}\0{whom}".encode("utf-8", "surrogatepass")
    return (int.from_bytes(blake2b(text, digest_size=6).digest(), "big") + 0.5) / 2**48
