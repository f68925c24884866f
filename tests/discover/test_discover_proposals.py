"""From a class to a source: what is offered, who approves it, and how it follows its device."""

import tomllib
from pathlib import Path

import pytest

from routerd import config
from routerd.board.mnsp import ApprovalPolicy
from routerd.discover.fingerprint import UNKNOWN, Candidate, Verdict
from routerd.discover.inventory import Device
from routerd.discover.proposal import (
    APPROVED,
    IGNORED,
    PROPOSED,
    Profile,
    Proposal,
    answer,
    decide,
    follow,
    profiles_from,
    propose,
    table,
)
from routerd.errors import ConfigError, PermanentError
from routerd.model import CommanderLink, FolderLink, SerialLink, Source, TcpConnectLink, TcpListenLink

FILE = Path(__file__).parents[2] / "board/profiles.toml"
DOCUMENT = tomllib.loads(FILE.read_text(encoding="utf-8"))
PROFILES = profiles_from(DOCUMENT, "profiles.toml")
KEY, HOME, AWAY = "mac:00:0b:4f:01:02:03", "192.168.31.11", "192.168.31.20"
DEVICE = Device(KEY, HOME, "br-pos")
POLICY = ApprovalPolicy(by="policy", classes=("verifone-commander",), min_score=0.8, roles=("pos",))


def verdict(class_id: str = "verifone-commander", score: float = 0.8) -> Verdict:
    return Verdict(class_id, "site_controller", "a device", score, (), (Candidate(class_id, "site_controller", score),))


def offered(class_id: str = "verifone-commander", device: Device = DEVICE) -> list[Proposal]:
    return propose([device], {device.key: verdict(class_id)}, PROFILES, [])


def profile_of(proposal: Proposal) -> Profile:
    return next(each for each in PROFILES if each.id == proposal.profile)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda each: each.id)
def test_every_profile_makes_a_source_that_the_configuration_takes(profile: Profile) -> None:
    place = "usb:1-1.2" if profile.source["link"] == "serial" else HOME
    [proposal] = [p for p in offered(profile.classes[0], Device(KEY, place)) if p.profile == profile.id]
    row = table(proposal, profile, Device(KEY, place))
    document = {"forward": {"url": "https://cloud.example"}, "source": [row]}
    [source] = config.parse(document, "here").sources
    assert source.name == proposal.name
    poll_s = getattr(source.link, "poll_s", None)
    assert poll_s is None or poll_s >= profile.poll_floor_s


def test_a_known_device_is_offered_once() -> None:
    [proposal] = offered()
    assert (proposal.state, proposal.name, proposal.by) == (PROPOSED, "commander-010203", "")
    assert propose([DEVICE], {KEY: verdict()}, PROFILES, [proposal]) == []


def test_nothing_is_offered_for_the_unknown_or_for_what_has_no_place() -> None:
    assert offered(UNKNOWN) == []
    assert offered("epson-tm") == []
    assert offered(device=Device(KEY, "")) == []


def test_a_person_approves_unless_the_provider_says_otherwise() -> None:
    [proposal] = offered()
    assert decide(proposal, verdict(), "pos", ApprovalPolicy(), 5) == proposal
    decided = decide(proposal, verdict(), "pos", POLICY, 5)
    assert (decided.state, decided.by, decided.at_ms) == (APPROVED, "policy", 5)


@pytest.mark.parametrize(
    ("seen", "role"),
    [(verdict(score=0.79), "pos"), (verdict("gilbarco-passport"), "pos"), (verdict(), "guest"), (verdict(), "")],
)
def test_the_policy_approves_only_its_classes_scores_and_zones(seen: Verdict, role: str) -> None:
    [proposal] = offered()
    assert decide(proposal, seen, role, POLICY, 5).state == PROPOSED


def test_what_was_decided_stays_decided() -> None:
    [proposal] = offered()
    ignored = answer(proposal, IGNORED, "Ann", 3)
    assert decide(ignored, verdict(), "pos", POLICY, 5) == ignored
    approved = answer(ignored, APPROVED, "Ann", 4)
    assert decide(approved, verdict(UNKNOWN, 0), "", ApprovalPolicy(), 9) == approved


def test_an_approval_has_a_name_under_it() -> None:
    [proposal] = offered()
    for state, by in ((APPROVED, " "), ("started", "Ann"), (PROPOSED, "Ann")):
        with pytest.raises(PermanentError):
            answer(proposal, state, by, 1)


def source(link: object) -> Source:
    return Source("till", link, "text")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("link", "moved"),
    [
        (CommanderLink(HOME, Path("/l")), CommanderLink(AWAY, Path("/l"))),
        (TcpConnectLink(HOME, 9301), TcpConnectLink(AWAY, 9301)),
        (TcpListenLink("0.0.0.0", 9, (HOME, "10.0.0.1")), TcpListenLink("0.0.0.0", 9, (AWAY, "10.0.0.1"))),
    ],
)
def test_an_approved_source_follows_its_device(link: object, moved: object) -> None:
    followed = follow(source(link), Device(KEY, AWAY), HOME, ApprovalPolicy(), ["192.168.31.0/24"])
    assert followed == source(moved)


def test_a_serial_source_follows_its_adapter_to_another_port() -> None:
    device = Device("usb:0403:6001:A1", "usb:1-1.4")
    followed = follow(source(SerialLink("usb:1-1.2", 19200)), device, "usb:1-1.2", ApprovalPolicy(), ["10.0.0.0/8"])
    assert followed == source(SerialLink("usb:1-1.4", 19200))


def test_nobody_follows_out_of_the_zone_or_against_the_policy_or_for_another_device() -> None:
    link, there = source(CommanderLink(HOME, Path("/l"))), Device(KEY, AWAY)
    assert follow(link, there, HOME, ApprovalPolicy(follow_moves=False), []) is None
    assert follow(link, there, HOME, ApprovalPolicy(), ["10.0.0.0/8"]) is None
    assert follow(link, there, "192.168.31.12", ApprovalPolicy(), []) is None
    assert follow(link, Device(KEY, ""), HOME, ApprovalPolicy(), []) is None
    assert follow(source(FolderLink(Path("/x"))), there, HOME, ApprovalPolicy(), []) is None
    assert follow(link, there, HOME, ApprovalPolicy(), []) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"id": "Has Spaces"},
        {"id": "x" * 21},
        {"references": []},
        {"classes": None},
        {"backfill_days": "many"},
        {"probe": [{"port": 443, "kind": "log-in"}]},
        {"probe": [{"port": port, "kind": "connect-only"} for port in (1, 2, 3, 4)]},
    ],
)
def test_an_impossible_profile_is_named_with_a_remedy(change: dict[str, object]) -> None:
    row = {**DOCUMENT["profile"][0], **change}
    with pytest.raises(ConfigError, match=r"^here: profile"):
        profiles_from({"profile": [row]}, "here")


def test_two_profiles_may_not_share_a_name() -> None:
    with pytest.raises(ConfigError, match="same id"):
        profiles_from({"profile": [DOCUMENT["profile"][0]] * 2}, "here")
