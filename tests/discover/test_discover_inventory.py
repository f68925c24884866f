"""A device's life: new, known, moved, replaced, missing, and the one small file that remembers it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.discover.evidence import ALIVE, ASSIGNED, GONE, HINTED, Evidence, Sighting
from routerd.discover.inventory import (
    FRESH_S,
    LEARNED,
    MAX_ALIASES,
    MAX_DEVICES,
    MAX_HINTS_PER_KIND,
    MISSING,
    MOVED,
    NEW,
    REPLACED,
    RETURNED,
    Device,
    Inventory,
    Moment,
)
from routerd.discover.inventoryfile import InventoryFile, Kept, decode, encode
from routerd.discover.proposal import APPROVED, PROPOSED, Proposal
from routerd.errors import CorruptError

POS, OTHER = "mac:00:0b:4f:01:02:03", "mac:00:26:ab:0a:0b:0c"
HOME, AWAY = "192.168.31.11", "192.168.31.99"


def at(seconds: float) -> Moment:
    return Moment(seconds, 1_790_000_000_000 + int(seconds * 1000))


def see(place: str = HOME, strength: int = ALIVE, key: str = POS, *names: str) -> Sighting:
    return Sighting(key, place, strength, "br-lan", frozenset(Evidence("hostname", name) for name in names))


def kinds(inventory: Inventory, seconds: float, *batch: Sighting) -> list[tuple[str, str]]:
    return [(change.kind, change.was) for change in inventory.observe(batch, at(seconds))]


def test_a_device_is_new_once_and_known_from_then_on() -> None:
    inventory = Inventory()
    assert kinds(inventory, 0, see()) == [(NEW, "")]
    assert kinds(inventory, 1, see(), see(strength=HINTED), see(strength=ASSIGNED)) == []
    assert inventory.devices[POS].first_ms == at(0).wall_ms


def test_a_device_that_stopped_answering_at_its_address_and_shows_at_another_has_moved() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    assert kinds(inventory, 1, see("", GONE, "")) == []
    assert kinds(inventory, 2, Sighting("", HOME, GONE), see(AWAY)) == [(LEARNED, ""), (MOVED, HOME)]
    assert inventory.devices[POS].place == AWAY
    assert inventory.devices[POS].aliases == (HOME,)


def test_a_device_at_a_new_address_has_moved_once_its_old_one_has_gone_quiet() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    assert kinds(inventory, FRESH_S + 1, see(AWAY, HINTED)) == [(MOVED, HOME)]


def test_a_second_address_of_one_card_is_no_move_while_the_first_answers() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    assert kinds(inventory, 10, see(AWAY)) == [(LEARNED, "")]
    for second in range(20, 400, 20):
        assert kinds(inventory, second, see(AWAY), see()) == []
    assert inventory.devices[POS].place == HOME


def test_an_address_that_nobody_asks_was_left_when_only_the_other_answers_for_an_hour() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    told = [kinds(inventory, second, see(AWAY), see(HOME, HINTED)) for second in range(30, 7200, 30)]
    assert [each for each in told if each] == [[(LEARNED, "")], [(MOVED, HOME)]]
    assert inventory.devices[POS].place == AWAY


def test_an_address_given_by_the_dhcp_server_is_a_move_at_once() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    assert kinds(inventory, 1, see(AWAY, ASSIGNED)) == [(MOVED, HOME)]
    assert kinds(inventory, 2, see(AWAY, ASSIGNED), see(HOME, HINTED)) == []


def test_two_leases_of_one_card_do_not_make_it_move_to_and_fro() -> None:
    inventory = Inventory()
    leases = (see(HOME, ASSIGNED), see(AWAY, ASSIGNED))
    assert [kind for kind, _ in kinds(inventory, 0, *leases)] == [NEW, LEARNED]
    place = inventory.devices[POS].place
    for second in range(1, 9):
        assert kinds(inventory, second, *leases) == []
    assert inventory.devices[POS].place == place


def test_other_hardware_at_a_devices_address_has_replaced_it() -> None:
    inventory = Inventory()
    inventory.observe([see()], at(0))
    assert kinds(inventory, 5, see(HOME, ALIVE, OTHER)) == [(REPLACED, POS)]
    assert inventory.devices[POS].place == ""
    assert inventory.devices[OTHER].place == HOME


def test_a_known_device_that_takes_anothers_address_has_replaced_it_too() -> None:
    inventory = Inventory()
    inventory.observe([see(), see(AWAY, ALIVE, OTHER)], at(0))
    assert kinds(inventory, FRESH_S + 1, see(HOME, ALIVE, OTHER)) == [(REPLACED, POS)]
    assert inventory.holder(HOME) == OTHER


def test_a_router_that_answers_for_everybody_does_not_move_for_ever() -> None:
    inventory = Inventory()
    changes = 0
    for number in range(60):
        changes += len(inventory.observe([see(f"10.0.0.{number + 1}")], at(number * (FRESH_S + 1))))
    assert changes <= 2 * MAX_ALIASES
    assert len(inventory.devices[POS].aliases) <= MAX_ALIASES


def test_a_device_is_missing_when_its_last_address_has_been_silent_long_enough_and_is_told_once() -> None:
    inventory = Inventory(missing_after_s=900)
    inventory.observe([see()], at(0))
    assert inventory.deadline_s() is None
    inventory.observe([Sighting("", HOME, GONE)], at(100))
    inventory.observe([Sighting("", HOME, GONE)], at(500))
    assert inventory.deadline_s() == 1000
    assert inventory.overdue(at(999)) == []
    assert [change.kind for change in inventory.overdue(at(1000))] == [MISSING]
    assert inventory.overdue(at(5000)) == []
    assert inventory.deadline_s() is None
    assert kinds(inventory, 6000, see(strength=HINTED)) == []
    assert kinds(inventory, 6001, see()) == [(RETURNED, "")]


def test_quiet_is_not_missing() -> None:
    inventory = Inventory(missing_after_s=900)
    inventory.observe([see()], at(0))
    inventory.observe([see(strength=HINTED)], at(60))
    assert inventory.overdue(at(1e6)) == []


def test_what_is_wanted_must_show_itself_after_a_start() -> None:
    inventory = Inventory([Device(POS, HOME), Device(OTHER, AWAY)], missing_after_s=900)
    inventory.expect([POS], at(0))
    assert [change.device.key for change in inventory.overdue(at(901))] == [POS]
    shown = Inventory([Device(POS, HOME)], missing_after_s=900)
    shown.expect([POS], at(0))
    shown.observe([see()], at(5))
    assert shown.overdue(at(901)) == []


def test_phones_with_made_up_addresses_are_counted_and_not_kept() -> None:
    inventory = Inventory()
    assert kinds(inventory, 0, see(key="mac:8a:00:00:00:00:01"), see(key="mac:8a:00:00:00:00:01")) == []
    assert not inventory.devices
    assert len(inventory.randomised) == 1


def test_hints_of_a_place_go_to_who_has_it() -> None:
    inventory = Inventory()
    told = Sighting("", HOME, HINTED, hints=frozenset({Evidence("mdns", "_ipp._tcp")}))
    assert kinds(inventory, 0, told) == []
    assert kinds(inventory, 1, told, see()) == [(NEW, ""), (LEARNED, "")]
    assert Evidence("mdns", "_ipp._tcp") in inventory.devices[POS].evidence


def test_names_that_change_for_ever_do_not_grow_the_file_for_ever() -> None:
    inventory = Inventory()
    changes = sum(len(kinds(inventory, n, see(HOME, ALIVE, POS, f"host-{n}"))) for n in range(50))
    assert changes == MAX_HINTS_PER_KIND
    assert len(inventory.devices[POS].hints) == MAX_HINTS_PER_KIND


def test_the_inventory_is_bounded_and_what_is_here_or_wanted_stays() -> None:
    old = [Device(f"mac:00:00:00:00:01:{n:02x}", f"10.1.0.{n}", changed_ms=n) for n in range(1, 256)]
    inventory = Inventory([Device(POS, HOME), *old])
    assert len(inventory.devices) == MAX_DEVICES
    inventory.observe([see("10.9.0.1", key="mac:00:00:00:00:02:01")], at(0), keep=[POS])
    assert len(inventory.devices) == MAX_DEVICES
    assert POS in inventory.devices
    assert old[0].key not in inventory.devices
    inventory.observe([see(each.place, key=each.key) for each in old], at(1), keep=[POS])
    assert inventory.refused == 1
    inventory.observe([see("10.9.0.2", key="mac:00:00:00:00:02:02")], at(2), keep=[POS])
    assert inventory.refused == 2
    assert len(inventory.devices) == MAX_DEVICES


SIGHTINGS = st.builds(
    Sighting,
    st.sampled_from([POS, OTHER, "mac:00:00:00:00:00:07", ""]),
    st.sampled_from([HOME, AWAY, "10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    st.sampled_from([GONE, HINTED, ALIVE, ASSIGNED]),
    st.just("br-lan"),
    st.sampled_from([frozenset(), frozenset({Evidence("hostname", "a")})]),
)


@given(st.lists(st.tuples(st.lists(SIGHTINGS, max_size=6), st.integers(1, 200)), max_size=30))
def test_whatever_is_seen_an_address_has_one_owner_and_every_change_is_told(
    story: list[tuple[list[Sighting], int]],
) -> None:
    inventory, now = Inventory(missing_after_s=300), 0.0
    for batch, wait in story:
        now += wait
        before = dict(inventory.devices)
        changes = inventory.observe(batch, at(now))
        inventory.overdue(at(now))
        places = [place for d in inventory.devices.values() for place in (d.place, *d.aliases) if place]
        assert len(places) == len(set(places))
        told = {change.device.key for change in changes} | {change.was for change in changes}
        silent = {key for key, device in inventory.devices.items() if device != before.get(key)} - told
        assert all(before[key].aliases != inventory.devices[key].aliases for key in silent)
        assert inventory.observe([], at(now)) == []


@given(st.lists(SIGHTINGS, max_size=8), st.randoms(use_true_random=False))
def test_the_order_inside_a_batch_does_not_matter(batch: list[Sighting], chance: object) -> None:
    one, two = Inventory(), Inventory()
    shuffled = list(batch)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert one.observe(batch, at(0)) == two.observe(shuffled, at(0))
    assert one.devices == two.devices


KEPT = Kept(
    (Device(POS, HOME, "br-lan", (AWAY,), frozenset({Evidence("opt60", "udhcp 1")}), 1, 2), Device(OTHER, "")),
    (Proposal(POS, "commander", "commander-010203", APPROVED, "Ann", 5, 0.8),),
    {"192.168.31.11:443": 7},
)


def test_the_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    file = InventoryFile(tmp_path / "inventory.json")
    assert file.load() is None
    assert file.save(KEPT)
    again = InventoryFile(tmp_path / "inventory.json")
    loaded = again.load()
    assert loaded == KEPT
    assert (tmp_path / "inventory.json").stat().st_mode & 0o077 == 0


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "inventory.json"
    file = InventoryFile(path)
    assert file.save(KEPT)
    inode = path.stat().st_ino
    assert not file.save(Kept(tuple(reversed(KEPT.devices)), KEPT.proposals, KEPT.probed))
    again = InventoryFile(path)
    again.load()
    assert not again.save(KEPT)
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"version":9}', encode(KEPT)[:-20], encode(KEPT).replace(b"approved", b"perhaps")],
)
def test_a_damaged_file_is_set_aside_and_never_deleted(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "inventory.json"
    path.write_bytes(damage)
    with pytest.raises(CorruptError) as caught:
        InventoryFile(path).load()
    assert caught.value.code == "inventory.damaged"
    [aside] = tmp_path.glob("inventory.json.damaged-*")
    assert aside.read_bytes() == damage


def test_evidence_of_unknown_kinds_in_a_file_is_dropped() -> None:
    document = json.loads(encode(KEPT))
    document["devices"][0]["hints"].append(["future", "x"])
    assert decode(json.dumps(document).encode()) == Kept(
        tuple(sorted(KEPT.devices, key=lambda d: d.key)), KEPT.proposals, KEPT.probed
    )


def test_a_full_inventory_stays_small() -> None:
    hints = frozenset(Evidence("hostname", "till-printer-7") for _ in range(1))
    devices = tuple(
        Device(f"mac:00:00:00:00:01:{n:02x}", f"192.168.31.{n}", "br-lan", (), hints, 1_790_000_000_000, 0)
        for n in range(MAX_DEVICES)
    )
    proposals = tuple(Proposal(d.key, "commander", "commander-010203", PROPOSED, "", 0, 0.8) for d in devices[:8])
    assert len(encode(Kept(devices, proposals, {}))) < 64 * 1024
