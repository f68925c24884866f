"""Whether one host may be asked one thing, and what exactly would be sent. Pure; the one place of all limits.

Product research 1.2 to 1.4. Probing is off unless the provider's policy says otherwise, and even then it is one named
host that is already a candidate, the ports of one profile, once a day. Ports in NEVER are refused whatever any
configuration says: a connection there blocks a till's printer, moves a payment terminal or alarms a tank gauge.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from routerd.board.mnsp import ProbePolicy
from routerd.discover.fingerprint import CANDIDATE, Verdict
from routerd.discover.inventory import Device
from routerd.discover.proposal import MAX_PROBE_PORTS, PROBE_KINDS, Profile

GAP_S = 2.0  # between two connections of the whole daemon
REPEAT_MS = 24 * 3600 * 1000  # the same host and port once in this
TIMEOUT_S = 3.0  # for the whole of it, without a second try
MAX_ANSWER_BYTES = 4096
TECHNICIAN = "technician"  # the role that may ask
_NEVER_RANGES = (
    (9100, 9107, "raw printing: one connection blocks the till's print jobs"),
    (515, 515, "print queue"),
    (10001, 10001, "tank gauge behind a serial bridge, without a password"),
    (5015, 5016, "payment terminal control"),
    (9600, 9600, "payment terminal control"),
    (10009, 10009, "payment terminal control"),
    (12345, 12345, "payment terminal control"),
)
NEVER = {port: why for first, last, why in _NEVER_RANGES for port in range(first, last + 1)}
_NEVER_KINDS = ("payment_terminal", "receipt_printer", "tank_gauge", "serial_bridge")


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks what for which reason. `host` is one IPv4 address."""

    host: str
    who: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the limits depend on. `minute_of_day` is store time, None while the clock was never set;
    `wall_ms` 0 likewise; `probed` maps `host:port` to wall milliseconds; `networks` are the approved interfaces'."""

    policy: ProbePolicy
    networks: tuple[str, ...]
    probed: Mapping[str, int]
    wall_ms: int
    minute_of_day: int | None
    is_backfilling: bool = False
    since_last_s: float = GAP_S  # since the last connection to anything


@dataclass(frozen=True, slots=True)
class Step:
    """One connection, `wait_s` after the one before. `sends` is all that would be sent, b"" for connect and close."""

    host: str
    port: int
    kind: str
    sends: bytes
    wait_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, and what is refused and why. Nothing is done while `refusals` name the whole request."""

    request: Request
    steps: tuple[Step, ...]
    refusals: tuple[str, ...]


def plan(
    request: Request, device: Device | None, verdict: Verdict | None, profile: Profile, now: Circumstances, version: str
) -> Plan:
    """Every limit, in one place. A refusal of the request leaves no steps; one of a port leaves the others."""
    refusals = _refusals(request, device, verdict, profile, now)
    steps: list[Step] = []
    port_refusals: list[str] = []
    for each in profile.probes[:MAX_PROBE_PORTS]:
        reason = refuse_port(each.port) or _refuse_again(request.host, each.port, now)
        if not reason and each.kind not in PROBE_KINDS:
            reason = f"{each.kind!r} is nothing that can be done"
        if reason:
            port_refusals.append(f"port {each.port}: {reason}")
        else:
            wait_s = GAP_S if steps else max(0.0, GAP_S - now.since_last_s)
            steps.append(Step(request.host, each.port, each.kind, _sends(each.kind, request.host, version), wait_s))
    if not profile.probes:
        refusals.append(f"profile {profile.id} names no port to ask")
    return Plan(request, () if refusals else tuple(steps), (*refusals, *port_refusals))


def refuse_port(port: int) -> str:
    """Why a port is never touched; "" for others. `prober` asks again before it connects."""
    if not 0 < port < 65536:
        return "no port"
    return f"never connected to ({NEVER[port]})" if port in NEVER else ""


def _refusals(
    request: Request, device: Device | None, verdict: Verdict | None, profile: Profile, now: Circumstances
) -> list[str]:
    found = []
    if not now.policy.allowed:
        found.append("probing is off: the provider's profile must allow it")
    if request.role != TECHNICIAN or not request.who.strip() or not request.reason.strip():
        found.append("a technician must ask, with a name and a reason")
    if device is None or verdict is None or request.host not in (device.place, *device.aliases):
        found.append(f"{request.host} is no device of the inventory")
    else:
        found += _refuse_device(verdict, profile)
    if not _is_inside(request.host, now.networks):
        found.append(f"{request.host} is not inside an approved interface's network")
    if not now.wall_ms:
        found.append("the clock is not set, so nobody can tell what was asked within the last 24 hours")
    if now.is_backfilling:
        found.append("a backfill is running")
    if is_busy(now.policy.busy_hours, now.minute_of_day):
        found.append("the store is busy at this hour, or its clock is not set")
    return found


def _refuse_device(verdict: Verdict, profile: Profile) -> list[str]:
    if verdict.kind in _NEVER_KINDS:
        return [f"it is a {verdict.name}: never connected to"]
    support = verdict.support(profile.classes)
    if support < CANDIDATE:
        return [f"too little speaks for {profile.id}: {support:.2f} of the {CANDIDATE:.2f} needed"]
    if doubt := next((c for c in verdict.candidates if c.kind in _NEVER_KINDS and c.score >= support), None):
        return [f"it may as well be a {doubt.kind.replace('_', ' ')} ({doubt.class_id}): never connected to"]
    return []


def _refuse_again(host: str, port: int, now: Circumstances) -> str:
    before = now.probed.get(f"{host}:{port}")
    if before is None:
        return ""
    return "" if before <= now.wall_ms - REPEAT_MS else "asked within the last 24 hours"


def is_busy(hours: str, minute_of_day: int | None) -> bool:
    """Whether `06:00-23:00` covers a minute of the day; across midnight too. An unset clock counts as busy."""
    if not hours:
        return False
    if minute_of_day is None:
        return True
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in hours.split("-"))
    return start <= minute_of_day < end if start <= end else not end <= minute_of_day < start


def _sends(kind: str, host: str, version: str) -> bytes:
    if kind == "connect-only":
        return b""
    agent = f"routerd/{version} (store inventory)"
    return f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n".encode("ascii")


def _is_inside(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)
