"""The laws of the package docstring, as checks every framer's tests share."""

import random
from collections.abc import Callable

from routerd.framing import MAX_NOISE_BYTES, Frame, Framer, Noise, Piece

Make = Callable[[], Framer]
REASONS = {"unframed", "oversize", "truncated", "checksum"}


def cut(make: Make, data: bytes, sizes: list[int] | None = None) -> list[Piece]:
    """Everything a fresh framer makes of `data`, fed whole or in chunks of these sizes over and over, then closed."""
    framer = make()
    pieces: list[Piece] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        pieces += framer.feed(data[at : at + size])
        at += size
        turn += 1
    pieces += framer.close()
    assert framer.pending == b""
    return pieces


def joined(pieces: list[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def records(pieces: list[Piece]) -> list[bytes]:
    return [piece.data for piece in pieces if isinstance(piece, Frame) and not piece.envelope]


def envelopes(pieces: list[Piece]) -> list[bytes]:
    return [piece.data for piece in pieces if isinstance(piece, Frame) and piece.envelope]


def noises(pieces: list[Piece]) -> list[tuple[str, bytes]]:
    return [(piece.reason, piece.data) for piece in pieces if isinstance(piece, Noise)]


def random_sizes(seed: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.choice((0, 1, 1, 2, 3, 7, 20, 150, 1000)) for _ in range(40)] + [1]


def check_laws(make: Make, data: bytes, *, limit: int, seed: int = 0, ordered: bool = True) -> list[Piece]:
    """Conservation, cut invariance, caps and well-formed noise on one input; returns what it was cut into."""
    whole = cut(make, data)
    assert cut(make, data, [1]) == whole
    assert cut(make, data, random_sizes(seed)) == whole
    if ordered:
        assert joined(whole) == data
    else:
        assert sorted(joined(whole)) == sorted(data)
    for piece in whole:
        assert piece.data
        assert len(piece.data) <= (limit if isinstance(piece, Frame) else MAX_NOISE_BYTES)
        assert isinstance(piece, Frame) or piece.reason in REASONS
    check_midway(make, data, limit=limit, seed=seed, ordered=ordered)
    return whole


def check_midway(make: Make, data: bytes, *, limit: int, seed: int, ordered: bool) -> None:
    """Conservation and the cap hold after every chunk, not only at the end."""
    framer = make()
    made = b""
    at = 0
    for size in random_sizes(seed):
        made += joined(framer.feed(data[at : at + size]))
        at += size
        pending = framer.pending
        assert len(pending) <= max(limit, 2 * MAX_NOISE_BYTES)
        fed = data[:at]
        assert made + pending == fed if ordered else sorted(made + pending) == sorted(fed)


def restart(make: Make, data: bytes, at: int) -> list[Piece]:
    """What comes out when the framer is replaced at `at` by a fresh one that is fed what was pending."""
    first, second = make(), make()
    pieces = first.feed(data[:at])
    pieces += second.feed(first.pending)
    pieces += second.feed(data[at:])
    return pieces + second.close()
