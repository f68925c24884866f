"""The room: what a router says two minutes after it was plugged into an unknown store, and in the years after."""

from dataclasses import replace
from pathlib import Path

import pytest

from routerd.board.mnsp import ApprovalPolicy, Zone
from routerd.discover.discover import LEARNING_S
from routerd.discover.evidence import ASSIGNED, GONE, HINTED, Evidence, Sighting
from routerd.discover.kernel import Report
from routerd.discover.netlink import NetLink
from routerd.discover.proposal import APPROVED, IGNORED
from routerd.errors import PermanentError
from tests.discover.stores import ADAPTER, AWAY, GENERIC, HOME, LAPTOP, PHONE, POS, PRINTER, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


async def test_a_router_in_an_unknown_store_says_what_there_is_and_what_it_would_read(store: Store) -> None:
    told = Sighting("", "192.168.31.40", HINTED, hints=frozenset({Evidence("mdns", "_pdl-datastream._tcp")}))
    async with store.running(POS, PRINTER, ADAPTER, LAPTOP, PHONE) as room:
        room.take([told])
        rows = {row["place"]: row for row in room.snapshot().devices}
        assert rows[HOME]["class"] == "verifone-commander"
        assert rows["192.168.31.40"]["kind"] == "receipt_printer"
        assert rows["usb:1-1.2"]["kind"] == "serial_adapter"
        assert rows["192.168.31.77"]["class"] == "unknown"
        assert {(p.name, p.state) for p in room.snapshot().proposals} == {
            ("commander-010203", "proposed"),
            ("journal-6001a1", "proposed"),
        }
        assert room.snapshot().randomised == 1
    messages = store.raised()
    assert set(messages) == {("device.new", POS.key), ("device.new", ADAPTER.key)}
    assert "192.168.31.11" in messages["device.new", POS.key]
    assert "approve or ignore the proposed source commander-010203" in messages["device.new", POS.key]
    assert store.follower.sources == []


async def test_what_appears_after_the_learning_time_is_told_if_it_is_recognised(store: Store) -> None:
    async with store.running(POS) as room:
        store.clock.move(LEARNING_S + 1)
        printer = replace(PRINTER, hints=frozenset({Evidence("mdns", "_printer._tcp")}))
        room.take([printer, LAPTOP])
        assert ("device.new", PRINTER.key) in store.raised()
        assert ("device.new", LAPTOP.key) not in store.raised()
        room.acknowledge(PRINTER.key)
        assert ("device.new", PRINTER.key) not in store.raised()
        room.take([replace(printer, hints=frozenset({Evidence("hostname", "printer-1")}))])
        assert ("device.new", PRINTER.key) not in store.raised()


async def test_in_the_pos_zone_even_the_unknown_is_told(tmp_path: Path) -> None:
    zones = (Zone("pos", "pos", ("br-pos",), ()),)
    store = Store(tmp_path, replace(GENERIC, zones=zones))
    async with store.running() as room:
        store.clock.move(LEARNING_S + 1)
        room.take([LAPTOP, replace(LAPTOP, key="mac:3c:00:00:00:00:10", place="10.9.9.9", interface="br-guest")])
        assert [subject for _, subject in store.raised()] == [LAPTOP.key]


async def test_somebody_new_makes_the_other_edges_look(store: Store) -> None:
    async with store.running(POS) as room:
        assert store.nudged == 1
        room.take([POS])
        assert store.nudged == 1


async def test_an_approval_is_on_disk_when_it_is_answered_and_survives_a_restart(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", APPROVED, "Ann")
        assert store.path.exists()
        assert "device.new" not in store.codes()
    [source] = store.follower.sources
    assert (source["name"], source["host"]) == ("commander-010203", HOME)
    store.follower.sources.clear()
    async with store.running() as room:
        assert room.sources() == [source]
        assert store.follower.sources == [source]
        assert room.snapshot().proposals[0].by == "Ann"


async def test_what_was_ignored_is_not_offered_again(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", IGNORED, "Ann")
    async with store.running(POS) as room:
        assert [p.state for p in room.snapshot().proposals] == [IGNORED]
        assert store.raised() == {}
        assert room.sources() == []


async def test_an_unknown_proposal_is_refused_with_the_names_there_are(store: Store) -> None:
    async with store.running(POS) as room:
        with pytest.raises(PermanentError, match="commander-010203"):
            await room.answer("comander", APPROVED, "Ann")


async def test_the_providers_policy_may_approve(tmp_path: Path) -> None:
    policy = ApprovalPolicy("policy", ("verifone-commander",), 0.8, ("pos",))
    zones = (Zone("pos", "pos", ("br-pos",), ()),)
    store = Store(tmp_path, replace(GENERIC, approval=policy, zones=zones))
    async with store.running(POS) as room:
        assert [(p.state, p.by) for p in room.snapshot().proposals] == [(APPROVED, "policy")]
        assert len(store.follower.sources) == 1
        assert "device.new" not in store.codes()
        room.take([POS])
        assert len(store.follower.sources) == 1


async def test_an_approved_pos_that_moves_is_followed_and_told(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", APPROVED, "Ann")
        room.take([replace(POS, place=AWAY, strength=ASSIGNED)])
        assert store.follower.moves == [("commander-010203", AWAY, HOME)]
        assert store.codes() == {"device.moved"}
        room.acknowledge(POS.key)
        assert store.codes() == set()


async def test_other_hardware_at_the_address_of_a_pos_is_told_whatever_it_is(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", APPROVED, "Ann")
        room.take([replace(LAPTOP, place=HOME)])
        assert ("device.replaced", LAPTOP.key) in store.raised()
        assert POS.key in store.raised()["device.replaced", LAPTOP.key]
        assert store.follower.moves == []


async def test_it_is_told_of_a_pos_at_any_address_because_the_pos_is_read(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", APPROVED, "Ann")
        room.take([replace(POS, place=AWAY, strength=ASSIGNED), replace(LAPTOP, place=AWAY)])
        assert ("device.replaced", LAPTOP.key) in store.raised()


async def test_an_approved_pos_that_does_not_show_itself_after_a_restart_is_missing(store: Store) -> None:
    async with store.running(POS) as room:
        await room.answer("commander-010203", APPROVED, "Ann")
    async with store.running(PRINTER) as room:
        store.clock.move(901)
        room.check_missing()
        assert ("device.missing", POS.key) in store.raised()


async def test_a_pos_that_does_not_answer_is_missing_until_it_is_back(store: Store) -> None:
    async with store.running(POS) as room:
        room.take([Sighting("", HOME, GONE)])
        store.clock.move(899)
        room.check_missing()
        assert "device.missing" not in store.codes()
        store.clock.move(2)
        room.check_missing()
        assert "device.missing" in store.codes()
        room.take([POS])
        assert "device.missing" not in store.codes()


async def test_a_printer_switched_off_at_night_wakes_nobody(store: Store) -> None:
    async with store.running(PRINTER, LAPTOP) as room:
        room.take([Sighting("", PRINTER.place, GONE), Sighting("", LAPTOP.place, GONE)])
        store.clock.move(5000)
        room.check_missing()
        assert store.codes() == set()


def port(name: str, *, carrier: bool, up: bool = True, present: bool = True) -> NetLink:
    return NetLink(3, name, up, carrier, True, present)


async def test_a_cable_pulled_out_is_told_by_its_port_and_mended_when_it_is_back(store: Store) -> None:
    async with store.running(port("lan1", carrier=True), port("lan2", carrier=False)) as room:
        assert store.codes() == set()  # lan2 was empty from the start
        room.take([port("lan1", carrier=False)])
        assert list(store.raised()) == [("lan.no_carrier", "lan1")]
        room.take([port("lan1", carrier=True)])
        assert store.codes() == set()
        room.take([port("lan1", carrier=False)])
        room.take([port("lan1", carrier=False, up=False)])  # switched off on purpose
        assert store.codes() == set()
        room.take([port("lan1", carrier=True)])
        room.take([port("lan1", carrier=False)])
        room.take([port("lan1", carrier=False, present=False)])
        assert store.codes() == set()
        assert [link.name for link in room.snapshot().links] == ["lan2"]


class Blind:
    async def run(self, report: Report) -> None:
        raise PermissionError(1, "Operation not permitted")


async def test_an_edge_that_is_refused_is_told_and_leaves_the_others_watching(store: Store) -> None:
    async with store.running() as room:
        await room._watch("usb", Blind())
        assert "Operation not permitted" in store.raised()["discover.blind", "usb"]
        room.take([POS])
        assert len(room.snapshot().devices) == 1


async def test_a_hint_that_came_before_its_device_is_not_lost(store: Store) -> None:
    told = Sighting("", PRINTER.place, HINTED, hints=frozenset({Evidence("mdns", "_printer._tcp")}))
    async with store.running(told) as room:
        room.take([PRINTER])
        [row] = room.snapshot().devices
        assert row["class"] == "star-micronics"
