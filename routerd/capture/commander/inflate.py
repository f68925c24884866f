"""A body that is gzip or plain, in pieces of bounded size. Pure.

A kilobyte of gzip can hold a megabyte: output is taken out piece by piece, and there is an end to it.
"""

import zlib

from routerd.errors import CorruptError, TransientError

PIECE_BYTES = 32 << 10  # a dozen tickets: small beside what the framer holds, large beside the cost of a call
MAX_DOCUMENT_BYTES = 64 << 20  # 16 times the largest day seen (3.8 MB)
_GZIP = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class Inflater:
    """`give` what arrived, `take` until there is nothing, and at the end of all input `end`."""

    def __init__(self) -> None:
        self._input = b""
        self._total = 0
        self._is_plain: bool | None = None
        self._stream = zlib.decompressobj(_GZIP_WINDOW)
        self._has_begun = False

    def give(self, data: bytes) -> None:
        self._input += data
        if self._is_plain is None and len(self._input) >= len(_GZIP):
            self._is_plain = not self._input.startswith(_GZIP)

    def take(self) -> bytes:
        """At most PIECE_BYTES; b"" means more input is needed.

        Raises CorruptError pos.document_oversized past MAX_DOCUMENT_BYTES, TransientError pos.cut for damage.
        """
        if self._is_plain is None:
            return b""
        piece = self._plain() if self._is_plain else self._inflated()
        self._total += len(piece)
        if self._total > MAX_DOCUMENT_BYTES:
            raise CorruptError("pos.document_oversized", f"it is larger than {MAX_DOCUMENT_BYTES >> 20} MiB")
        return piece

    def end(self) -> bytes:
        """All input was given and taken: what is still due (a body of one byte).

        Raises TransientError pos.cut when gzip's end is missing.
        """
        if self._is_plain is None:
            return self._plain()
        if self._has_begun and not self._stream.eof:
            raise TransientError("pos.cut", "it ends in the middle")
        return b""

    def _plain(self) -> bytes:
        piece, self._input = self._input[:PIECE_BYTES], self._input[PIECE_BYTES:]
        return piece

    def _inflated(self) -> bytes:
        while self._input:
            self._has_begun = True
            try:
                piece = self._stream.decompress(self._input, PIECE_BYTES)
            except zlib.error as exc:
                raise TransientError("pos.cut", "its compression is damaged") from exc
            self._input = self._stream.unconsumed_tail
            if self._stream.eof:
                self._next_member()
            if piece:
                return piece
        return b""

    def _next_member(self) -> None:
        """RFC 1952 lets members follow each other; anything else behind the last is padding."""
        behind = self._stream.unused_data
        if behind.startswith(_GZIP):
            self._stream = zlib.decompressobj(_GZIP_WINDOW)
            self._input = behind
        else:
            self._input = b""
