"""What an HTTP answer means to a router: one table, one function. No answer ever deletes anything."""

from dataclasses import dataclass
from enum import StrEnum

PROTOCOL = "1.0"
PROTOCOL_HEADER = "Routerd-Protocol"
MEDIA_TYPE = "application/msgpack"


class Reaction(StrEnum):
    """What the router does next. Data is kept in every case."""

    TAKE = "take"  # read the answer
    RETRY = "retry"  # wait (exactly as told, else with backoff), send the same again
    QUARANTINE = "quarantine"  # the batch is at fault: find the segment, set it aside, go on
    HALVE = "halve"  # too large: send less at once
    PLAIN = "plain"  # encoding not understood: send it in the plainest encoding
    HOLD = "hold"  # refused: wait at the ceiling, raise a condition
    CAPTIVE = "captive"  # somebody else answered


@dataclass(frozen=True, slots=True)
class Meaning:
    """A reaction, the stable code of the condition it raises (empty for none), and what a person should do."""

    reaction: Reaction
    code: str
    remedy: str


_TAKE = Meaning(Reaction.TAKE, "", "")
_CAPTIVE = Meaning(
    Reaction.CAPTIVE,
    "cloud.captive",
    "something between router and cloud answers in its place: check the internet line",
)
_LATER = Meaning(Reaction.RETRY, "cloud.unavailable", "the cloud has trouble: nothing to do here, it is retried")
_UNREADABLE = Meaning(Reaction.QUARANTINE, "cloud.batch_invalid", "the cloud cannot read a segment: it is set aside")
_BY_STATUS = {
    401: Meaning(Reaction.HOLD, "cloud.refused", "the cloud does not know this key: check the device's registration"),
    403: Meaning(Reaction.HOLD, "cloud.refused", "the cloud has disabled this device: ask support"),
    404: _LATER,  # a wrong route or a proxy, never a statement about the data
    406: Meaning(Reaction.PLAIN, "cloud.encoding", "the cloud does not read this codec: sending plain zlib"),
    409: _LATER,
    413: Meaning(Reaction.HALVE, "cloud.too_large", "the cloud wants smaller batches"),
    415: Meaning(Reaction.PLAIN, "cloud.encoding", "the cloud does not read this codec: sending plain zlib"),
    426: Meaning(Reaction.HOLD, "cloud.incompatible", "the cloud speaks another protocol version: update routerd"),
    429: Meaning(Reaction.RETRY, "cloud.busy", "the cloud asked for a pause: nothing to do here"),
    503: Meaning(Reaction.RETRY, "cloud.busy", "the cloud asked for a pause: nothing to do here"),
}
_BY_CODE = {
    (400, "batch_invalid"): _UNREADABLE,
    (422, "batch_invalid"): _UNREADABLE,
    (400, "digest_mismatch"): Meaning(
        Reaction.RETRY, "cloud.damaged", "uploads arrive damaged: check the internet line"
    ),
    (401, "nonce_stale"): Meaning(Reaction.RETRY, "", ""),
    (401, "nonce_invalid"): Meaning(Reaction.RETRY, "", ""),
}


def meaning(status: int, code: str, protocol: str | None) -> Meaning:
    """Read an answer: HTTP status, the error body's code (or empty), the protocol header (None when absent).

    An answer without our protocol header, or with another major, is not from our cloud whatever its status says.
    """
    if protocol is None:
        return _CAPTIVE
    if protocol.split(".", 1)[0] != PROTOCOL.split(".", 1)[0]:
        return _BY_STATUS[426]
    if 200 <= status < 300:
        return _TAKE
    if 300 <= status < 400 or status == 511:
        return _CAPTIVE
    return _BY_CODE.get((status, code)) or _BY_STATUS.get(status, _LATER)
