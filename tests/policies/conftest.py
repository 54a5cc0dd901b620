"""Property tests share their machine with other work, so a slow example is no failure, and seconds count."""

from hypothesis import settings

settings.register_profile("hedgerow", deadline=None, max_examples=50)
settings.load_profile("hedgerow")
