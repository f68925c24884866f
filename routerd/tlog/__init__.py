"""Dialects: what a frame says about itself, and masking. Pure: no loop, clock, logger or socket.

Invariants:

* `Dialect.describe` never raises on input and never changes a byte.
* `mask` keeps length, touches card data only, and is idempotent.
* Two frames share an identity only if they are the same POS event (or `identity` is None, which claims nothing).
"""

from routerd.tlog.base import Dialect, Facts
from routerd.tlog.masking import mask
from routerd.tlog.registry import DIALECTS, FOR_FRAMER, dialect, sniff

__all__ = ["DIALECTS", "FOR_FRAMER", "Dialect", "Facts", "dialect", "mask", "sniff"]
