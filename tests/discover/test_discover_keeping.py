"""What the room keeps, hands over and asks: the file, the export, the probe."""

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from routerd.board.mnsp import ProbePolicy
from routerd.discover.discover import Knowledge, Site
from routerd.discover.evidence import ALIVE, HINTED, Evidence, Sighting
from routerd.discover.export import as_csv
from routerd.discover.probe import Request
from routerd.discover.prober import AuditRow
from routerd.errors import PermanentError
from tests.discover.stores import GENERIC, HOME, LAPTOP, PHONE, POS, PRINTER, PROFILES, RULES, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


async def saved(store: Store) -> None:
    """Wait until the room has written by itself."""
    while not await asyncio.to_thread(store.writes.get, True, 20):
        pass  # looked at the disk and found nothing to write


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
