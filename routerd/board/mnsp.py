"""A provider's profile: its zones, what it lets out, and what it lets discovery do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routerd.board.overlay import Overlay


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the store's network. `interfaces` may be empty where the provider's names are not known."""

    name: str
    role: str
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EgressRule:
    """One line of the list that the provider must let through."""

    name: str
    source: str
    to: str
    port: int
    protocol: str
    why: str


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """`allowed` false forbids every connection for discovery; `queries` lets mDNS ask instead of listening only;
    `busy_hours` (`06:00-23:00`, store time) is when nothing is probed, "" never."""

    allowed: bool = False
    queries: bool = False
    busy_hours: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """Who lets a proposal become a source: a `person`, or the `policy` for the listed classes, scores and zone roles.

    `follow_moves`: an approved source goes after its device when that moves within its zone.
    """

    by: str = "person"
    classes: tuple[str, ...] = ()
    min_score: float = 0.8
    roles: tuple[str, ...] = ()
    follow_moves: bool = True


@dataclass(frozen=True, slots=True)
class Mnsp:
    """A provider. `unverified` lists the tables whose facts no public document confirms."""

    name: str
    zones: tuple[Zone, ...]
    egress: tuple[EgressRule, ...]
    probing: ProbePolicy
    approval: ApprovalPolicy
    claim_url: str
    claim_key_file: str
    cloud_host: str
    cloud_port: int
    unverified: tuple[str, ...]

    def role_of(self, interface: str) -> str:
        """The role of the zone an interface belongs to; "" if the profile does not say."""
        return next((zone.role for zone in self.zones if interface and interface in zone.interfaces), "")


def mnsp_from(overlay: Overlay, name: str) -> Mnsp:
    """The profile from checked tables."""
    zones: Mapping[str, Any] = overlay.get("zones") or {}
    egress: Mapping[str, Any] = overlay.get("egress") or {}
    approval, probing = overlay.get("approval") or {}, overlay.get("probing") or {}
    return Mnsp(
        name=overlay.get("mnsp", "name") or name,
        zones=tuple(_zone(key, zones[key]) for key in zones),
        egress=tuple(_rule(key, egress[key]) for key in egress),
        probing=ProbePolicy(**_known(probing, ("allowed", "queries", "busy_hours"))),
        approval=ApprovalPolicy(**_known(approval, ("by", "classes", "min_score", "roles", "follow_moves"))),
        claim_url=overlay.get("claim", "url") or "",
        claim_key_file=overlay.get("claim", "key_file") or "",
        cloud_host=overlay.get("cloud", "host") or "",
        cloud_port=overlay.get("cloud", "port") or 443,
        unverified=tuple(
            sorted(key.removesuffix(".verified") for key, value, _ in overlay.rows() if _denies(key, value))
        ),
    )


def _denies(key: str, value: Any) -> bool:
    return key.endswith(".verified") and value is False


def _zone(name: str, row: Mapping[str, Any]) -> Zone:
    return Zone(name, row.get("role", "pos"), tuple(row.get("interfaces", ())), tuple(row.get("networks", ())))


def _rule(name: str, row: Mapping[str, Any]) -> EgressRule:
    return EgressRule(
        name,
        row.get("from", "routerd"),
        row.get("to", ""),
        row.get("port", 443),
        row.get("protocol", "tcp"),
        row.get("why", ""),
    )


def _known(row: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: tuple(row[key]) if isinstance(row[key], list) else row[key] for key in keys if key in row}
