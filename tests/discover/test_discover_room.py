"""The room: what a router says two minutes after it was plugged into an unknown store, and in the years after."""

import asyncio
import csv
import io
import json
import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routerd.board import board
from routerd.board.mnsp import ApprovalPolicy, Mnsp, ProbePolicy, Zone
from routerd.conditions import Conditions
from routerd.discover.discover import LEARNING_S, Discover, Knowledge, Site
from routerd.discover.evidence import ALIVE, ASSIGNED, GONE, HINTED, Evidence, Sighting
from routerd.discover.export import as_csv
from routerd.discover.fingerprint import rules_from
from routerd.discover.inventoryfile import InventoryFile
from routerd.discover.kernel import Report
from routerd.discover.netlink import NetLink
from routerd.discover.probe import Request
from routerd.discover.prober import AuditRow
from routerd.discover.proposal import APPROVED, IGNORED, profiles_from
from routerd.errors import PermanentError
from tests.fakes.clock import FakeClock

DATA = Path(__file__).parents[2] / "board"
RULES = rules_from(json.loads((DATA / "fingerprints.json").read_text(encoding="utf-8")), "f")
PROFILES = profiles_from(tomllib.loads((DATA / "profiles.toml").read_text(encoding="utf-8")), "p")
GENERIC = board.load_mnsp(DATA, "generic")
HOME, AWAY = "192.168.31.11", "192.168.31.20"
POS = Sighting("mac:00:0b:4f:01:02:03", HOME, ALIVE, "br-pos")
PRINTER = Sighting("mac:00:11:62:01:02:03", "192.168.31.40", ALIVE, "br-pos")
ADAPTER = Sighting("usb:0403:6001:A1", "usb:1-1.2", ALIVE, hints=frozenset({Evidence("usb", "0403:6001")}))
LAPTOP = Sighting("mac:3c:00:00:00:00:09", "192.168.31.77", ALIVE, "br-pos")
PHONE = Sighting("mac:8a:00:00:00:00:09", "192.168.31.78", ALIVE, "br-pos")


class Follower:
    """What the daemon would be told."""

    def __init__(self) -> None:
        self.sources: list[Mapping[str, Any]] = []
        self.moves: list[tuple[str, str, str]] = []

    def approved(self, source: Mapping[str, Any]) -> None:
        self.sources.append(source)

    def moved(self, name: str, place: str, was: str) -> None:
        self.moves.append((name, place, was))


class Eye:
    """An edge that reports what a test tells it to."""

    def __init__(self, *first: Sighting | NetLink) -> None:
        self._first = first
        self.started = asyncio.Event()

    async def run(self, report: Report) -> None:
        report(self._first)
        self.started.set()
        await asyncio.Event().wait()


class Store:
    def __init__(self, folder: Path, mnsp: Mnsp = GENERIC) -> None:
        self.clock = FakeClock()
        self.conditions = Conditions(self.clock)
        self.follower = Follower()
        self.path = folder / "inventory.json"
        self.mnsp = mnsp
        self.slept = asyncio.Event()
        self.nudged = 0
        self.room = self.fresh()

    def fresh(self, *seen: Sighting | NetLink) -> Discover:
        self.eye = Eye(*seen)
        return Discover(
            Knowledge(RULES, PROFILES, self.mnsp),
            InventoryFile(self.path),
            {"eye": self.eye},
            self.clock,
            self.conditions,
            follower=self.follower,
            nudges=[self._nudge],
            sleep=self._sleep,
        )

    def _nudge(self) -> None:
        self.nudged += 1

    async def _sleep(self, seconds: float) -> None:
        self.slept.set()

    def see(self, *seen: Sighting | NetLink) -> None:
        self.room.take(seen)

    def raised(self) -> dict[tuple[str, str], str]:
        return {(each.code, each.subject): each.message for each in self.conditions.snapshot()}

    def codes(self) -> set[str]:
        return {code for code, _ in self.raised()}

    @asynccontextmanager
    async def running(self, *seen: Sighting | NetLink) -> AsyncIterator[Discover]:
        """The room, started anew on the same disk, having seen `seen`."""
        self.room = self.fresh(*seen)
        task = asyncio.create_task(self.room.run())
        started = asyncio.create_task(self.eye.started.wait())
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        try:
            yield self.room
        finally:
            started.cancel()
            task.cancel()
            await asyncio.wait([task, started])


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
    store.follower = Follower()
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


async def saved(store: Store) -> None:
    """Wait until the room has slept its gap and written what there was."""
    async with asyncio.timeout(20):
        await store.slept.wait()
    store.slept.clear()
    await store.room.save()


async def test_the_inventory_is_written_when_it_changes_and_never_otherwise(store: Store) -> None:
    async with store.running(POS) as room:
        await saved(store)
        written = store.path.stat()
        for second in range(20):
            store.clock.move(60)
            room.take(
                [POS, replace(POS, strength=HINTED), PHONE, replace(PHONE, key=f"mac:8a:00:00:00:01:{second:02x}")]
            )
            await room.save()
        assert store.path.stat().st_ino == written.st_ino
        room.take([LAPTOP])
        await saved(store)
        assert store.path.stat().st_ino != written.st_ino


async def test_a_known_store_is_not_learned_again(store: Store) -> None:
    async with store.running(POS, PRINTER) as room:
        assert room.snapshot().is_learning
        await saved(store)
    async with store.running(POS, PRINTER) as room:
        assert not room.snapshot().is_learning
        assert store.nudged == 1  # nobody was new the second time


async def test_a_damaged_inventory_is_told_and_the_store_is_learned_anew(store: Store) -> None:
    store.path.write_bytes(b"{")
    async with store.running(POS) as room:
        assert "inventory.damaged" in store.codes()
        assert room.snapshot().is_learning
        assert len(room.snapshot().devices) == 1


async def test_a_disk_that_cannot_be_written_is_a_condition_until_it_can(store: Store) -> None:
    async with store.running(POS) as room:
        folder, aside = store.path.parent, store.path.parent.with_name("aside")
        folder.rename(aside)
        await room.save()
        assert "inventory.disk" in store.codes()
        aside.rename(folder)
        await room.save()
        assert "inventory.disk" not in store.codes()


async def test_a_hint_that_came_before_its_device_is_not_lost(store: Store) -> None:
    told = Sighting("", PRINTER.place, HINTED, hints=frozenset({Evidence("mdns", "_printer._tcp")}))
    async with store.running(told) as room:
        room.take([PRINTER])
        [row] = room.snapshot().devices
        assert row["class"] == "star-micronics"


def rows_of(text: str) -> Sequence[Mapping[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_the_inventory_can_be_handed_over_as_csv_and_no_name_becomes_a_formula(store: Store) -> None:
    named = replace(LAPTOP, hints=frozenset({Evidence("hostname", '=cmd|"/c calc"!A1')}))
    async with store.running(POS, named) as room:
        rows = rows_of(as_csv(room.snapshot().devices))
    assert [row["place"] for row in rows] == [HOME, LAPTOP.place]
    assert rows[0]["maker"] == "Verifone, Inc."
    assert rows[0]["first_seen"].endswith("Z")
    assert rows[0]["source"] == "commander-010203 (proposed)"
    assert rows[1]["host_name"] == '\'=cmd|"/c calc"!A1'


async def test_times_are_left_out_while_the_clock_was_never_set(store: Store) -> None:
    store.clock.synced = False
    async with store.running(POS) as room:
        [row] = room.snapshot().devices
        assert (row["first_seen"], row["last_seen"]) == ("", "")


REQUEST = Request("127.0.0.1", "Ann", "technician", "new store")


async def test_probing_is_refused_by_default_and_the_refusal_is_audited(store: Store) -> None:
    rows: list[AuditRow] = []
    async with store.running(POS) as room:
        site = Site(("192.168.31.0/24",), 300, False)
        shown = room.plan_probe(replace(REQUEST, host=HOME), "commander", site)
        assert shown.steps == ()
        assert "probing is off" in shown.refusals[0]
        assert await room.probe(replace(REQUEST, host=HOME), "commander", site, rows.append) == []
        assert [row.outcome for row in rows] == ["refused"]
        with pytest.raises(PermanentError, match="commander"):
            room.plan_probe(REQUEST, "nothing", site)


async def test_a_probe_that_is_allowed_is_done_once_a_day_even_after_a_restart(tmp_path: Path) -> None:
    asked = 0

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.transport.abort()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    store = Store(tmp_path, replace(GENERIC, probing=ProbePolicy(allowed=True)))
    passport = next(each for each in PROFILES if each.id == "passport")
    profile = replace(passport, probes=(replace(passport.probes[0], port=number),))
    seen = Sighting("mac:00:50:83:01:02:03", "10.5.48.2", ALIVE, "br-pos")
    site = Site(("127.0.0.0/8",), None, False)
    rows: list[AuditRow] = []
    for _ in range(2):
        async with store.running(seen) as room:
            room._knowledge = Knowledge(RULES, (profile,), store.mnsp)
            device = room._inventory.devices[seen.key]
            room._inventory.devices[seen.key] = replace(device, aliases=("127.0.0.1",))
            await room.probe(REQUEST, "passport", site, rows.append)
    server.close()
    await server.wait_closed()
    assert asked == 1
    assert [row.outcome for row in rows] == ["open", "refused"]
    assert "24 hours" in rows[1].detail
