"""What the enrollment room is plugged into, and what it shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from routerd.clock import Clock
from routerd.conditions import Conditions
from routerd.enroll.anchor import Anchor
from routerd.enroll.exchange import Exchange
from routerd.enroll.hardware import Hardware
from routerd.enroll.identity import IdentityFiles
from routerd.enroll.image import Claim
from routerd.enroll.signer import Signer
from routerd.wire.enrollment import Waiting
from routerd.wire.trust import Trust


@dataclass(frozen=True, slots=True)
class About:
    """What the device says of itself: its model, its versions, hints for a person. Nothing of it decides anything."""

    model: str
    firmware: Mapping[str, str]
    hints: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the room is plugged into. `probe` reads the hardware and may block; `waiting` is what the spool holds.

    `trust_changed` is told each version of the trust that is believed: its anchors and hosts hold from then on.
    `audit` takes (kind, what); `random_bytes` gives bytes of the kernel's pool; `chance` is uniform in [0, 1).
    """

    files: IdentityFiles
    anchor: Anchor
    claim: Claim | None
    exchange: Exchange
    signer: Signer
    clock: Clock
    conditions: Conditions
    about: About
    probe: Callable[[], Hardware]
    waiting: Callable[[], Waiting]
    trust_changed: Callable[[Trust], None]
    audit: Callable[[str, Mapping[str, Any]], None]
    chance: Callable[[], float]


@dataclass(frozen=True, slots=True)
class EnrollSnapshot:
    """`ticket` is what support asks for while a device is pending; `reason` is the last refusal's code."""

    state: str
    key_id: str
    device_id: str
    epoch: int
    enrolled_ms: int | None
    ticket: str
    reason: str
    wait_s: float
    trust_version: int
    clock_source: str
    clock_doubt_ms: int
