"""From a stored record to what it says. Pure: decoding itself comes in as an argument."""

from collections.abc import Callable

from fleetd.ledger.base import Decoded
from fleetd.ledger.entries import Outcome
from routerd.errors import CorruptError
from routerd.model import DOCUMENT, ENVELOPE, GAP, RECORD, Draft
from routerd.wire.body import unpack_document, unpack_gap

Decode = Callable[[int, bytes, str], tuple[Decoded, ...]]
"""(kind, data, POS kind) -> what the record says. Raises CorruptError."""

MAX_FRAMES = 1 << 20  # of a document: 250 times the busiest day seen
MAX_SEQ = (1 << 63) - 1


def read(draft: Draft, decode: Decode) -> Outcome:
    """Never raises. Noise says nothing. Whatever a decoder trips over sets this one record aside."""
    try:
        if draft.kind in (RECORD, ENVELOPE):
            return decode(draft.kind, draft.data, draft.pos_kind)
        if draft.kind == GAP:
            return unpack_gap(draft.data)
        if draft.kind == DOCUMENT:
            document = unpack_document(draft.data)
            if document.frames > MAX_FRAMES or any(run.last > MAX_SEQ for run in document.runs):
                raise CorruptError("document.size", f"a document of {document.frames} frames")
            return document
    except CorruptError as exc:
        return exc
    except Exception as exc:  # one record that shows a decoder's bug must not stop the book
        return CorruptError("decode.failed", f"{type(exc).__name__}: {exc}")
    return ()
