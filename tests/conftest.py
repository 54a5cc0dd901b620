"""What all tests share: how property tests draw.

Drawn afresh each time, a law that fails once in a thousand runs stops somebody's unrelated change. So the examples are the
same on every run, and searching for new ones is a thing to do on purpose: `HEDGEROW_EXPLORE=1` draws at random, ten times
as many where a test does not say how many.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("steady", deadline=None, max_examples=30, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=500, derandomize=False)
settings.load_profile("explore" if os.environ.get("HEDGEROW_EXPLORE") else "steady")
