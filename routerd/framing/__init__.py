"""Framers: pure objects that cut a byte stream into frames and noise.

Invariants, held by `tests/framing/` for every framer:

* Conservation: the bytes of all frames and noise, in order, plus `pending`, equal what was fed.
  (`vsi-add` regroups by register, so there the bytes are conserved but not their order.)
* Cut invariance: the list of results does not depend on how the input was cut into chunks.
* No framer raises on input, whatever it is; damage comes out as `Noise`.
* Memory: `pending` never exceeds `MAX_FRAME_BYTES` plus the last chunk.

A framer touches no loop, clock, logger or socket.
"""

from routerd.framing.base import MAX_FRAME_BYTES, MAX_NOISE_BYTES, Frame, Framer, Noise, Piece
from routerd.framing.registry import FRAMERS, build

__all__ = ["FRAMERS", "MAX_FRAME_BYTES", "MAX_NOISE_BYTES", "Frame", "Framer", "Noise", "Piece", "build"]
