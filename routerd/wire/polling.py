"""`POST /v1/poll`: the heartbeat that waits. What a router tells of itself, and what the cloud has for it.

    up     {"v", "wait_s", "mono_ms", "trusted_ms"?, "vitals", "health"?, "results"?, "cmd_ack"?}
    down   {"v", "epoch", "status", "commands", "directive"?, "next": {"wait_s", "not_before_s"?},
            "drain": {"max_bps"?, "not_before_s"?}}

Signed like every request, at most 16 KiB up. The cloud holds the answer for at most `wait_s` and gives it at once when
a command comes. `directive` is a command about the identity itself, answered before any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from routerd.wire import fields
from routerd.wire.commands import Envelope, Result, envelope_values, read_envelope, read_result, result_values
from routerd.wire.fields import Fields

MAX_POLL_BYTES = 16 << 10
MAX_ANSWER_BYTES = 256 << 10
MIN_WAIT_S, MAX_WAIT_S, WAIT_S = 5, 240, 55  # front ends cut at 60 s
MAX_PAUSE_S = 3600  # a cloud may slow a router, not silence it
ACTIVE, RETIRING, CONFLICT = "active", "retiring", "conflict"
_STATUSES = (ACTIVE, RETIRING, CONFLICT)
_MAX_COMMANDS = 8
_MAX_RESULTS = 16


@dataclass(frozen=True, slots=True)
class Vitals:
    """The 200 bytes of every poll. Ages are by the router's monotonic clock; `audit_head` is 16 hex digits."""

    q_rows: int
    q_bytes: int
    pos_up: int
    pos_total: int
    clock: str
    errs_1h: int
    trust: int
    cfg: str
    audit_head: str
    oldest_age_s: int | None = None
    last_tlog_age_s: int | None = None
    offset_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """`wait_s`: how long an answer may be held. `mono_ms` and `trusted_ms` are of one moment, for dating records."""

    wait_s: int
    mono_ms: int
    vitals: Vitals
    trusted_ms: int | None = None
    health: Mapping[str, Any] | None = None
    results: Sequence[Result] = ()
    acked: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """`max_bps` and the two `not_before_s` pace a fleet that comes back; None leaves it to the router."""

    epoch: int
    status: str
    wait_s: int = WAIT_S
    commands: Sequence[Envelope] = ()
    directive: Envelope | None = None
    not_before_s: int | None = None
    drain_max_bps: int | None = None
    drain_not_before_s: int | None = None


def pack_poll(poll: Poll) -> bytes:
    vitals = {name: value for name, value in asdict(poll.vitals).items() if value is not None}
    said: dict[str, Any] = {"wait_s": poll.wait_s, "mono_ms": poll.mono_ms, "trusted_ms": poll.trusted_ms}
    if poll.results:
        said["results"] = [result_values(result) for result in poll.results]
    if poll.acked:
        said["cmd_ack"] = list(poll.acked)
    return fields.pack({**said, "vitals": vitals, "health": poll.health})


def read_poll(data: bytes) -> Poll:
    """Raises CorruptError `poll.malformed` or `result.malformed`. The health document is `health.read`'s to judge."""
    document = fields.read(data, "poll", MAX_POLL_BYTES)
    return Poll(
        document.integer("wait_s", 0, MAX_WAIT_S),
        document.integer("mono_ms"),
        _vitals(document.table("vitals")),
        _optional(document, "trusted_ms"),
        document.values("health") if document.has("health") else None,
        [read_result(row) for row in _rows(document, "results", _MAX_RESULTS)],
        document.texts("cmd_ack", _MAX_RESULTS, 26) if document.has("cmd_ack") else (),
    )


def pack_poll_answer(answer: PollAnswer) -> bytes:
    pause = {"max_bps": answer.drain_max_bps, "not_before_s": answer.drain_not_before_s}
    following = {"wait_s": answer.wait_s, "not_before_s": answer.not_before_s}
    said: dict[str, Any] = {"epoch": answer.epoch, "status": answer.status}
    said["commands"] = [envelope_values(envelope) for envelope in answer.commands]
    said["directive"] = answer.directive and envelope_values(answer.directive)
    said["next"] = {name: value for name, value in following.items() if value is not None}
    said["drain"] = {name: value for name, value in pause.items() if value is not None}
    return fields.pack(said)


def read_poll_answer(data: bytes) -> PollAnswer:
    """Raises CorruptError `polled.malformed` or `command.malformed`."""
    document = fields.read(data, "polled", MAX_ANSWER_BYTES)
    status = document.text("status")
    if status not in _STATUSES:
        raise document.malformed("status")
    following, drain = document.table("next"), document.table("drain")
    return PollAnswer(
        document.integer("epoch"),
        status,
        following.integer("wait_s", MIN_WAIT_S, MAX_WAIT_S),
        [read_envelope(row) for row in document.rows("commands", _MAX_COMMANDS)],
        read_envelope(document.values("directive")) if document.has("directive") else None,
        _optional(following, "not_before_s", MAX_PAUSE_S),
        _optional(drain, "max_bps"),
        _optional(drain, "not_before_s", MAX_PAUSE_S),
    )


def _vitals(table: Fields) -> Vitals:
    counts = (table.integer(name) for name in ("q_rows", "q_bytes", "pos_up", "pos_total"))
    q_rows, q_bytes, pos_up, pos_total = counts
    return Vitals(
        q_rows,
        q_bytes,
        pos_up,
        pos_total,
        table.text("clock", 16),
        table.integer("errs_1h"),
        table.integer("trust"),
        table.text("cfg", 64, 0),
        table.text("audit_head", 16, 0),
        _optional(table, "oldest_age_s"),
        _optional(table, "last_tlog_age_s"),
        table.integer("offset_ms", -fields.MAX_INTEGER) if table.has("offset_ms") else None,
    )


def _optional(table: Fields, name: str, high: int = fields.MAX_INTEGER) -> int | None:
    return table.integer(name, 0, high) if table.has(name) else None


def _rows(document: Fields, name: str, most: int) -> list[Any]:
    return document.rows(name, most) if document.has(name) else []
