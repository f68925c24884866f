"""From a class to the source it should become, and who lets it. Pure; profiles and policy come as data."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from routerd.board.mnsp import ApprovalPolicy
from routerd.discover.fingerprint import Verdict
from routerd.discover.inventory import Device
from routerd.errors import ConfigError, PermanentError
from routerd.model import CommanderLink, SerialLink, Source, TcpConnectLink, TcpListenLink

PROPOSED, APPROVED, IGNORED = "proposed", "approved", "ignored"
STATES = (PROPOSED, APPROVED, IGNORED)
PROBE_KINDS = ("connect-only", "http-get-root-once")  # what `prober` can do; everything else is not data's to ask for
MAX_PROBE_PORTS = 3  # product research 1.2
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")
_TAIL = re.compile(r"[^a-z0-9]")
_TAIL_CHARS = 6  # the half of a MAC that its maker numbers


@dataclass(frozen=True, slots=True)
class ProbePort:
    """One port a profile may ask about, and how."""

    port: int
    kind: str


@dataclass(frozen=True, slots=True)
class Profile:
    """How a class of devices is read. `source` is a [[source]] table whose texts may name `{place}` and `{name}`."""

    id: str
    title: str
    classes: tuple[str, ...]
    source: Mapping[str, Any]
    needs: tuple[str, ...]
    masks: str
    poll_floor_s: float
    backfill_days: int
    probes: tuple[ProbePort, ...]
    references: tuple[str, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A profile offered for a device. `by` and `at_ms`: who decided and when, "" and 0 while nobody has."""

    key: str
    profile: str
    name: str
    state: str
    by: str
    at_ms: int
    score: float


def profiles_from(document: Mapping[str, Any], origin: str) -> tuple[Profile, ...]:
    """The profiles of `board/profiles.toml`, parsed. ConfigError names `origin`, profile, key and remedy."""
    found = []
    for row in document.get("profile", []):
        where = f"{origin}: profile {row.get('id', '(without id)')!r}"
        try:
            profile = _profile(row)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ConfigError(f"{where}: {exc!r}: mend that key") from exc
        if not _NAME.fullmatch(profile.id):
            raise ConfigError(f"{where}: id: use a-z, 0-9 and -, at most 20, since sources are named after it")
        if len(profile.probes) > MAX_PROBE_PORTS or any(each.kind not in PROBE_KINDS for each in profile.probes):
            raise ConfigError(f"{where}: probe: at most {MAX_PROBE_PORTS} ports, of kind {' or '.join(PROBE_KINDS)}")
        if not profile.references:
            raise ConfigError(f"{where}: references: say where its facts come from")
        found.append(profile)
    if len({profile.id for profile in found}) != len(found):
        raise ConfigError(f"{origin}: two profiles have the same id: give each its own")
    return tuple(found)


def _profile(row: Mapping[str, Any]) -> Profile:
    return Profile(
        id=row["id"],
        title=row["title"],
        classes=tuple(row["classes"]),
        source=dict(row["source"]),
        needs=tuple(row.get("needs", ())),
        masks=row["masks"],
        poll_floor_s=float(row.get("poll_floor_s", 0)),
        backfill_days=int(row["backfill_days"]),
        probes=tuple(ProbePort(int(each["port"]), each["kind"]) for each in row.get("probe", ())),
        references=tuple(row["references"]),
        verified=bool(row["verified"]),
    )


def propose(
    devices: Iterable[Device],
    verdicts: Mapping[str, Verdict],
    profiles: Iterable[Profile],
    held: Iterable[Proposal],
) -> list[Proposal]:
    """The proposals there should be beside those `held`: one for each known device and profile of its class."""
    have = {(each.key, each.profile) for each in held}
    return [
        Proposal(device.key, profile.id, source_name(profile, device), PROPOSED, "", 0, verdicts[device.key].score)
        for device in devices
        for profile in profiles
        if device.place
        and device.key in verdicts
        and verdicts[device.key].class_id in profile.classes
        and (device.key, profile.id) not in have
    ]


def source_name(profile: Profile, device: Device) -> str:
    """A name that stays when the device moves: the profile and the end of the hardware's own number."""
    return f"{profile.id}-{_TAIL.sub('', device.key.lower())[-_TAIL_CHARS:]}"


def decide(proposal: Proposal, verdict: Verdict, role: str, policy: ApprovalPolicy, now_ms: int) -> Proposal:
    """What the provider's policy makes of an open proposal. What was decided once stays, whatever is seen later.

    role: the role of the zone the device stands in, "" if unknown; a policy that lists roles approves nothing there.
    """
    if proposal.state != PROPOSED or policy.by != "policy":
        return proposal
    if verdict.class_id not in policy.classes or verdict.score < policy.min_score:
        return proposal
    if policy.roles and role not in policy.roles:
        return proposal
    return replace(proposal, state=APPROVED, by="policy", at_ms=now_ms)


def answer(proposal: Proposal, state: str, by: str, now_ms: int) -> Proposal:
    """What a person says: approved or ignored, and a mind may be changed. PermanentError `proposal.no_name` without
    a name to put under it."""
    if state not in (APPROVED, IGNORED):
        raise PermanentError("proposal.no_answer", f"{state!r}: say {APPROVED} or {IGNORED}")
    if not by.strip():
        raise PermanentError("proposal.no_name", "say who decides: approvals are kept with a name")
    return replace(proposal, state=state, by=by.strip(), at_ms=now_ms)


def table(proposal: Proposal, profile: Profile, device: Device) -> dict[str, Any]:
    """The [[source]] table of an approved proposal, as `config` reads it."""
    filled = {
        key: value.format(place=device.place, name=proposal.name) if isinstance(value, str) else value
        for key, value in profile.source.items()
    }
    return {"name": proposal.name, **filled}


def follow(source: Source, device: Device, was: str, policy: ApprovalPolicy, networks: Iterable[str]) -> Source | None:
    """The source with its link at the device's new place; None if it need not or may not follow.

    was: the place before. networks: where the device may be, as CIDR; none given means anywhere. A move out of them
    is for a person to judge: it may be somebody else's machine with a borrowed address.
    """
    if not policy.follow_moves or not device.place or not _is_inside(device.place, tuple(networks)):
        return None
    link = source.link
    if isinstance(link, CommanderLink | TcpConnectLink) and link.host == was:
        return replace(source, link=replace(link, host=device.place))
    if isinstance(link, TcpListenLink) and was in link.allow:
        return replace(source, link=replace(link, allow=tuple(device.place if a == was else a for a in link.allow)))
    if isinstance(link, SerialLink) and link.port == was:
        return replace(source, link=replace(link, port=device.place))
    return None


def _is_inside(place: str, networks: tuple[str, ...]) -> bool:
    if not networks or place.startswith("usb:"):
        return True
    return any(ipaddress.ip_address(place) in ipaddress.ip_network(network) for network in networks)
