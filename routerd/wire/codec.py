"""How a body becomes a payload. A payload names its codec and dictionary, so that any reader can undo it.

zlib is raw deflate (no header) with a preset dictionary and is spoken by everybody. zstd is spoken where the router
has it (`compression.zstd` from Python 3.14, else the `zstandard` package) and the cloud has said that it reads it.
A dictionary is named by the first four bytes of its SHA-256, so a name can never mean two things.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from routerd.errors import CorruptError

RAW, ZLIB, ZSTD = "raw", "zlib", "zstd"
CODES = {RAW: 0, ZLIB: 1, ZSTD: 2}
NAMES = {code: name for name, code in CODES.items()}
MAX_RAW_BYTES = 4 << 20  # the largest body anybody may declare: a 1 MiB record in a 256 KiB dense segment, with room
_LIVE_LEVEL = 6  # 17:1 on single tickets with a dictionary; 9 costs twice the time for 1 %
_BULK_LEVEL = 2  # past this size the CPU, not the wire, is what a small router lacks
_BULK_BYTES = 24 << 10
_MEM_LEVEL = 8  # with 9 a primed context costs 246 us to copy instead of 53, at the same ratio
_ZSTD_LEVEL, _ZSTD_DENSE_LEVEL = 3, 9  # 9 makes a dense segment a quarter smaller at 60 MB/s; 15 costs 17 times that
_TRAINED = b"\x37\xa4\x30\xec"  # begins a dictionary with entropy tables (RFC 8878, section 5); others are raw content


def dictionary_id(content: bytes) -> int:
    """0 names the empty dictionary."""
    return int.from_bytes(hashlib.sha256(content).digest()[:4], "big") if content else 0


def checksum(head: bytes, payload: bytes) -> int:
    """CRC-32 over a segment's packed head and its payload."""
    return zlib.crc32(payload, zlib.crc32(head))


class _Zstd(Protocol):
    def compress(self, body: bytes, content: bytes, level: int) -> bytes: ...
    def decompress(self, payload: bytes, content: bytes, limit: int) -> bytes: ...


class Codebook:
    """The codecs and dictionaries one side knows. Primed contexts are kept per dictionary."""

    def __init__(self, dictionaries: Mapping[int, bytes]) -> None:
        self._dictionaries = {0: b"", **dictionaries}
        self._primed: dict[tuple[int, int], Any] = {}
        self._zstd = _load_zstd()

    @property
    def codecs(self) -> tuple[str, ...]:
        """What this side can read and write, best first."""
        return (ZSTD, ZLIB, RAW) if self._zstd else (ZLIB, RAW)

    @property
    def dictionary_ids(self) -> tuple[int, ...]:
        return tuple(self._dictionaries)

    def compress(self, body: bytes, codec: str, dict_id: int = 0, *, dense: bool = False) -> bytes:
        """body -> payload; KeyError if codec or dictionary is unknown here.

        `dense` spends the CPU of a small body on a large one too (merged frames, which stay on flash).
        """
        content = self._dictionaries[dict_id]
        if codec == RAW:
            return body
        if codec == ZSTD and self._zstd:
            return self._zstd.compress(body, content, _ZSTD_DENSE_LEVEL if dense else _ZSTD_LEVEL)
        if codec != ZLIB:
            raise KeyError(codec)
        level = _BULK_LEVEL if len(body) > _BULK_BYTES and not dense else _LIVE_LEVEL
        deflate = self._primed_deflate(dict_id, level).copy()
        return bytes(deflate.compress(body) + deflate.flush())

    def decompress(self, payload: bytes, codec: str, dict_id: int, raw_bytes: int) -> bytes:
        """payload -> body of exactly `raw_bytes`. Raises CorruptError, also when a dictionary is not known here."""
        if raw_bytes > MAX_RAW_BYTES:
            raise CorruptError("segment.too_large", f"declares {raw_bytes} bytes, the limit is {MAX_RAW_BYTES}")
        content = self._dictionaries.get(dict_id)
        if content is None:
            raise CorruptError("segment.dictionary", f"dictionary {dict_id:08x} is not known here")
        try:
            body = self._expand(payload, codec, content, raw_bytes)
        except (zlib.error, ValueError, KeyError) as exc:
            raise CorruptError("segment.payload", f"the {codec} payload does not decompress") from exc
        if len(body) != raw_bytes:
            raise CorruptError("segment.payload", f"{len(body)} bytes came out, {raw_bytes} were declared")
        return body

    def _expand(self, payload: bytes, codec: str, content: bytes, raw_bytes: int) -> bytes:
        if codec == RAW:
            return payload
        if codec == ZSTD and self._zstd:
            return self._zstd.decompress(payload, content, raw_bytes)
        if codec != ZLIB:
            raise KeyError(codec)
        inflate = zlib.decompressobj(-15, zdict=content) if content else zlib.decompressobj(-15)
        body = inflate.decompress(payload, raw_bytes + 1)
        if not inflate.eof or inflate.unused_data:
            raise ValueError("the deflate stream does not end where it should")
        return body

    def _primed_deflate(self, dict_id: int, level: int) -> Any:
        primed = self._primed.get((dict_id, level))
        if primed is None:
            content = self._dictionaries[dict_id]
            settings = (level, zlib.DEFLATED, -15, _MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
            primed = zlib.compressobj(*settings, content) if content else zlib.compressobj(*settings)
            self._primed[dict_id, level] = primed
        return primed


class _StandardZstd:
    """`compression.zstd` of Python 3.14 and later."""

    def __init__(self, module: Any) -> None:
        self._zstd = module

    def _dictionary(self, content: bytes) -> Any:
        return self._zstd.ZstdDict(content, is_raw=not content.startswith(_TRAINED)) if content else None

    def compress(self, body: bytes, content: bytes, level: int) -> bytes:
        known = self._dictionary(content)
        return bytes(self._zstd.compress(body, level=level, zstd_dict=known))

    def decompress(self, payload: bytes, content: bytes, limit: int) -> bytes:
        known = self._dictionary(content)
        stream = self._zstd.ZstdDecompressor(zstd_dict=known)
        try:
            body = bytes(stream.decompress(payload, limit + 1))
        except self._zstd.ZstdError as exc:
            raise ValueError(str(exc)) from exc
        if not stream.eof or stream.unused_data:
            raise ValueError("the zstd frame does not end where it should")
        return body


class _PackagedZstd:
    """The `zstandard` package. Contexts are kept: making one costs more than compressing a ticket."""

    def __init__(self, module: Any) -> None:
        self._zstd = module
        self._known: dict[bytes, Any] = {}
        self._compressors: dict[tuple[bytes, int], Any] = {}

    def _dictionary(self, content: bytes) -> Any:
        if content not in self._known:
            self._known[content] = self._zstd.ZstdCompressionDict(content) if content else None
        return self._known[content]

    def compress(self, body: bytes, content: bytes, level: int) -> bytes:
        compressor = self._compressors.get((content, level))
        if compressor is None:
            compressor = self._zstd.ZstdCompressor(level, dict_data=self._dictionary(content))
            self._compressors[content, level] = compressor
        return bytes(compressor.compress(body))

    def decompress(self, payload: bytes, content: bytes, limit: int) -> bytes:
        stream = self._zstd.ZstdDecompressor(dict_data=self._dictionary(content)).decompressobj()
        try:
            if self._zstd.frame_content_size(payload) != limit:  # -1 when it does not say: then nothing bounds it
                raise ValueError("the zstd frame does not hold what was declared")
            body = bytes(stream.decompress(payload))
        except self._zstd.ZstdError as exc:
            raise ValueError(str(exc)) from exc
        if not stream.eof or stream.unused_data:
            raise ValueError("the zstd frame does not end where it should")
        return body


def _load_zstd() -> _Zstd | None:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]

        return _StandardZstd(zstd)
    except ImportError:
        pass
    try:
        import zstandard

        return _PackagedZstd(zstandard)
    except ImportError:
        return None
