"""Which changes among the devices a person must hear of, and in which words. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from routerd.discover.fingerprint import Verdict
from routerd.discover.inventory import MISSING, MOVED, REPLACED, Change, Device
from routerd.discover.proposal import PROPOSED, Proposal

DEVICE_NEW, DEVICE_MOVED = "device.new", "device.moved"
DEVICE_REPLACED, DEVICE_MISSING = "device.replaced", "device.missing"
NO_CARRIER = "lan.no_carrier"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition to raise: `subject` is the device's key."""

    code: str
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class View:
    """What is known about the device of a change. `role`: of its zone, "" if unknown."""

    verdict: Verdict
    proposals: tuple[Proposal, ...]
    role: str
    is_read: bool  # a source reads it: approved here or written in the configuration


def of_new(device: Device, view: View, *, is_learning: bool) -> Alarm | None:
    """A device not seen before. While a store is seen for the first time everything is new: then only what there is a
    proposal for is told; later everything that is recognised or stands in the POS zone."""
    has_offer = any(each.state == PROPOSED for each in view.proposals)
    is_decided = bool(view.proposals) and not has_offer
    matters = has_offer or (not is_learning and (view.verdict.is_known or view.role == "pos"))
    if is_decided or not matters:
        return None
    return Alarm(DEVICE_NEW, device.key, f"{describe(device, view.verdict)}: {_offer(view.proposals)}")


def of_change(change: Change, view: View, offered: Collection[str]) -> Alarm | None:
    """A device that moved, was replaced or is missing, if it is read or of a class in `offered` (with a profile)."""
    if not view.is_read and view.verdict.class_id not in offered:
        return None
    device, text = change.device, describe(change.device, view.verdict)
    if change.kind == MOVED:
        return Alarm(DEVICE_MOVED, device.key, f"{text}, before at {change.was}: check that its source followed")
    if change.kind == REPLACED:
        told = f"{text} has taken the place of {change.was}: approve it if a POS was exchanged, or find out who it is"
        return Alarm(DEVICE_REPLACED, device.key, told)
    if change.kind == MISSING:
        return Alarm(
            DEVICE_MISSING, device.key, f"{text} does not answer: see whether it is switched on and plugged in"
        )
    return None


def describe(device: Device, verdict: Verdict) -> str:
    """`Verifone … at 192.168.31.11 (0.80: address 192.168.31.11 (+0.50), …)`."""
    place = f"at {device.place}" if device.place else f"({device.key})"
    return f"{verdict.name} {place} ({verdict.score:.2f}: {', '.join(verdict.evidence) or 'no evidence'})"


def _offer(proposals: Collection[Proposal]) -> str:
    names = ", ".join(each.name for each in proposals if each.state == PROPOSED)
    return f"approve or ignore the proposed source {names}" if names else "acknowledge it"
