"""From evidence to a class: what adds up, what never does."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.discover.evidence import Evidence
from routerd.discover.fingerprint import Rules, classify, maker, rules_from
from routerd.errors import ConfigError

FILE = Path(__file__).parents[2] / "board/fingerprints.json"
DOCUMENT = json.loads(FILE.read_text(encoding="utf-8"))
RULES = rules_from(DOCUMENT, "fingerprints.json")
WEAK = ("oui", "hostname", "mdns", "opt60", "opt55", "model", "banner")


def plain(entry: object) -> str:
    return entry["match"] if isinstance(entry, dict) else str(entry)


def samples() -> list[Evidence]:
    """Something that fits, for every pattern of the shipped file, and some that fit nothing."""
    found = [Evidence("oui", ":".join((prefix + "000000")[at : at + 2] for at in range(0, 12, 2)).lower())
             for prefix in DOCUMENT["makers"]]  # fmt: skip
    for row in DOCUMENT["classes"]:
        for kind in ("address", "hostname", "mdns", "opt55", "usb", "banner"):
            found += [Evidence(kind, plain(entry).replace("*", "1234")) for entry in row.get(kind, [])]
    found += [Evidence("opt60", text) for text in ("MSFT 5.0", "udhcp 1.36.1", "dhcpcd-9.4:Linux", "android-dhcp-13")]
    found += [Evidence("model", text) for text in ("EPSON TM-T88VI", "Star TSP143", "nothing")]
    return [*found, Evidence("oui", "8a:00:00:00:00:01"), Evidence("address", "192.168.99.99")]


SAMPLES = samples()
evidence = st.lists(st.sampled_from(SAMPLES), max_size=12)


def test_the_commander_is_known_by_its_address_and_its_maker() -> None:
    verdict = classify([Evidence("oui", "00:0b:4f:01:02:03"), Evidence("address", "192.168.31.11")], RULES)
    assert (verdict.class_id, verdict.kind, verdict.score) == ("verifone-commander", "site_controller", 0.8)
    assert "address 192.168.31.11 (+0.50)" in verdict.evidence
    assert "MAC registered to Verifone, Inc. (+0.30)" in verdict.evidence


def test_its_page_at_its_address_makes_it_nearly_certain() -> None:
    seen = [Evidence("address", "192.168.31.11"), Evidence("banner", "<title>System Journal Browser</title>")]
    assert classify(seen, RULES).score == 0.9


def test_a_receipt_printer_is_known_by_maker_and_announcement() -> None:
    verdict = classify([Evidence("oui", "00:11:62:01:02:03"), Evidence("mdns", "_pdl-datastream._tcp")], RULES)
    assert (verdict.class_id, verdict.kind) == ("star-micronics", "receipt_printer")
    named = classify([Evidence("oui", "00:26:ab:01:02:03"), Evidence("model", "EPSON TM-T88VI")], RULES)
    assert (named.class_id, named.kind) == ("epson-tm", "receipt_printer")


def test_a_usb_adapter_is_known_by_its_ids() -> None:
    assert classify([Evidence("usb", "0403:6001")], RULES).class_id == "usb-serial-adapter"


def test_the_neighbours_of_a_pos_server_are_not_taken_for_it() -> None:
    for address in ("10.5.60.14", "10.5.60.15", "10.5.60.16", "10.5.60.17"):
        assert classify([Evidence("address", address)], RULES).class_id != "gilbarco-passport"


def test_an_ordinary_windows_computer_is_no_pos() -> None:
    assert classify([Evidence("opt60", "MSFT 5.0"), Evidence("mdns", "_smb._tcp")], RULES).kind == "computer"


@pytest.mark.parametrize("fact", [each for each in SAMPLES if each.kind in WEAK], ids=str)
def test_no_single_weak_hint_names_a_device(fact: Evidence) -> None:
    verdict = classify([fact], RULES)
    assert not verdict.is_known
    assert verdict.evidence  # it is told all the same


def test_an_address_with_one_poor_source_names_nothing_alone() -> None:
    assert not classify([Evidence("address", "192.168.150.1")], RULES).is_known


@given(evidence, st.randoms(use_true_random=False))
def test_the_order_of_evidence_never_matters(seen: list[Evidence], chance: object) -> None:
    shuffled = list(seen)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert classify(seen, RULES) == classify(shuffled, RULES) == classify(seen * 2, RULES)


@given(evidence, st.sampled_from(SAMPLES))
def test_more_evidence_never_takes_support_from_a_class(seen: list[Evidence], more: Evidence) -> None:
    before, after = classify(seen, RULES), classify([*seen, more], RULES)
    for candidate in before.candidates:
        assert after.support([candidate.class_id]) >= candidate.score
    assert after.score >= before.score
    assert after.is_known >= before.is_known


def test_saying_the_same_thing_twice_is_no_second_evidence() -> None:
    assert not classify([Evidence("mdns", "_ipp._tcp"), Evidence("mdns", "_printer._tcp")], RULES).is_known


def test_all_evidence_together_stays_below_certainty() -> None:
    seen = [Evidence("oui", "00:0b:4f:01:02:03"), Evidence("address", "192.168.31.11")]
    assert classify([*seen, Evidence("banner", "/JournalBrowser")], RULES).score == 0.99


@given(evidence)
def test_a_score_is_certain_to_no_one(seen: list[Evidence]) -> None:
    verdict = classify(seen, RULES)
    assert 0 <= verdict.score <= 0.99
    assert verdict.is_known == (verdict.score >= 0.5)


@pytest.mark.parametrize(
    ("mac", "registrant"),
    [
        ("70:b3:d5:26:9f:ff", "Gilbarco Veeder-Root"),  # 36 bits
        ("70:b3:d5:26:8f:ff", ""),  # its neighbour belongs to somebody else
        ("1c:59:74:6f:ff:ff", "Square Inc."),  # 28 bits
        ("1c:59:74:7f:ff:ff", ""),
        ("00:0b:4f:ff:ff:ff", "Verifone, Inc."),  # 24 bits
        ("02:0b:4f:ff:ff:ff", ""),  # made up by the device
    ],
)
def test_the_longest_registered_prefix_owns_a_mac(mac: str, registrant: str) -> None:
    assert maker(mac, RULES)[0] == registrant


def test_a_longer_prefix_wins_over_a_shorter_one() -> None:
    makers = {"AABBCC": ("wide", ()), "AABBCCD": ("narrower", ()), "AABBCCDEE": ("narrow", ())}
    rules = Rules((), makers, RULES.points, 50, 99)
    assert [maker(mac, rules)[0] for mac in ("a8:bb:cc:de:e0:00", "aa:bb:cc:de:e0:00")] == ["", ""]  # aa: made up
    makers = {prefix.replace("AA", "A8"): row for prefix, row in makers.items()}
    rules = Rules((), makers, RULES.points, 50, 99)
    found = [maker(mac, rules)[0] for mac in ("a8:bb:cc:00:00:00", "a8:bb:cc:d0:00:00", "a8:bb:cc:de:e0:00")]
    assert found == ["wide", "narrower", "narrow"]


def test_every_row_names_its_sources_and_they_are_all_listed() -> None:
    for row in DOCUMENT["classes"]:
        exceptions = [entry for value in row.values() for entry in value if isinstance(entry, dict)]
        named = {*row["source"], *(name for entry in exceptions for name in entry.get("source", ()))}
        assert named <= set(DOCUMENT["sources"]), row["id"]
        assert row["confidence"] in ("high", "medium", "low")


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"weights": {}},
        {"classes": [{"id": "x"}]},
        {"classes": [{"id": "x", "kind": "y", "name": "z", "confidence": "high", "source": []}]},
        {"classes": [{"id": "x", "kind": "y", "name": "z", "confidence": "sure", "source": ["s"], "mdns": ["a"]}]},
        {"makers": {"AB": {"name": "x", "classes": []}}},
        {"makers": {"AABBCC": {"name": "x", "classes": ["nobody"]}}},
    ],
)
def test_a_damaged_file_is_named_with_a_remedy(damage: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"^here: "):
        rules_from({**DOCUMENT, **damage}, "here")
