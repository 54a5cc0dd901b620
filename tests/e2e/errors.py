"""One failure should read as one failure.

Every nursery wraps what goes through it in an ExceptionGroup, and a test here stands in three of them: a failed assertion
would be reported as a tree three levels deep, and `pytest.raises(SomeError)` would not see it at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lone_errors_bare() -> Iterator[None]:
    """Raise a group that holds a single exception as that exception; groups of several pass as they are."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaf: BaseException = group
        while isinstance(leaf, BaseExceptionGroup) and len(leaf.exceptions) == 1:
            leaf = leaf.exceptions[0]
        if leaf is group:
            raise
        cause, context = leaf.__cause__, leaf.__context__
        try:
            raise leaf
        finally:  # `raise` has just made the group its context, which would print the tree again
            leaf.__cause__, leaf.__context__ = cause, context
