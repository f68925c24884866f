"""Slow machines fail no property, and the properties stay short: two cores are shared."""

from hypothesis import settings

settings.register_profile("tlog", deadline=None, max_examples=150)
settings.load_profile("tlog")
