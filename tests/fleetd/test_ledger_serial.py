"""A register on RS-232, from each read of the recording to what support is told of it."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fleetd import cli
from routerd.capture.session import Meter, StreamSession
from routerd.capture.sources import reading
from routerd.model import Draft, Segment, SerialLink, Source, Stamp, Stream
from routerd.wire import batch, body
from routerd.wire.codec import ZLIB
from tests.fakes.clock import FakeClock
from tests.fleetd.kit import BOOK
from tests.fleetd.ledger_kit import House
from tests.samples import sample

REGISTER = Stream("register", 7)
ON_THE_WAY_MS = 400  # from the capture to the cloud
BORN_MS = 20_000  # what a router without a battery tells soon after it booted: 1970
_FIRST_MS = 1_752_218_761_565  # the first read of the recording
Out = pytest.CaptureFixture[str]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


class Wire:
    """The recording played to a session, each read at the host's time; what it stores leaves as segments at once."""

    def __init__(self, *, is_born_1970: bool = False) -> None:
        self.clock = FakeClock()
        self.sent: list[tuple[Segment, int]] = []
        self._next = 1
        self._host_ms = 0
        self._is_born_1970 = is_born_1970
        source = Source("register", SerialLink("/dev/ttyPOS"), "esc-journal", "", {})
        self._session = StreamSession("register", reading(source), self, self.clock, Meter(), keeps_tail=True)

    def play(self) -> None:
        recording = sample("verifone-serial", "register.bin")
        reads = list(csv.DictReader(io.StringIO(sample("verifone-serial", "register-timing.csv").decode())))
        first_ms = _ms(reads[0])
        began_ns = self.clock.now_ns
        self.clock.offset_ms = (BORN_MS if self._is_born_1970 else first_ms) - began_ns // 1_000_000
        self.clock.synced = not self._is_born_1970
        for read in reads:
            self._host_ms = _ms(read)
            self.clock.now_ns = began_ns + (self._host_ms - first_ms) * 1_000_000
            at, length = int(read["offset"]), int(read["length"])
            assert self._session.feed(recording[at : at + length])
        self._session.settle()

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        content = body.pack_head(stamp) + b"".join(body.pack_record(draft, 0) for draft in drafts)
        packed = (ZLIB, 0, BOOK.compress(content, ZLIB))
        made = batch.seal(REGISTER, self._next, len(drafts), content, packed)
        self.sent.append((made, self._host_ms + ON_THE_WAY_MS))
        self._next += len(drafts)
        return self._next - len(drafts)

    def has_room(self, source: str) -> bool:
        return True

    async def room(self, source: str) -> None: ...

    def grow_tail(self, source: str, offset: int, masked: bytes) -> None: ...

    def cut_tail(self, source: str, masked: bytes) -> None: ...


def _ms(read: dict[str, str]) -> int:
    return int(datetime.fromisoformat(read["host_utc"]).timestamp() * 1000)


def deliver(house: House, wire: Wire) -> None:
    wire.play()
    for made, received_ms in wire.sent:
        house.take(made, at_ms=received_ms)


def told(house: House, capsys: Out, *words: str) -> Any:
    capsys.readouterr()
    assert cli.main(["--data", str(house.root), "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(("zone", "mark"), [("", "~"), ("America/New_York", ""), ("Nowhere/At_All", "~")])
def test_the_zone_of_the_store_is_used_and_a_guessed_one_marked(
    house: House, capsys: Out, zone: str, mark: str
) -> None:
    house.store.set_store("r1", "r1", zone)
    deliver(house, Wire())
    [register] = told(house, capsys, "clocks")["registers"]
    assert (abs(register["ahead_s"] - 427) <= 1, register["zone_minutes"]) == (True, -240)
    assert (register["zone_guessed"], register["note"]) == (mark, "")
    assert cli.main(["--data", str(house.root), "clocks"]) == 0
    assert ("~" in capsys.readouterr().out) == (mark == "~")


def test_a_zone_that_is_not_the_registers_shows_its_hours(house: House, capsys: Out) -> None:
    house.store.set_store("r1", "r1", "America/Chicago")
    deliver(house, Wire())
    [register] = told(house, capsys, "clocks")["registers"]
    assert abs(register["ahead_s"] - 3600 - 427) <= 1


@pytest.mark.parametrize("is_born_1970", [False, True])
def test_the_registers_clock_is_known_to_the_second_whatever_the_routers_says(
    house: House, capsys: Out, is_born_1970: bool
) -> None:
    deliver(house, Wire(is_born_1970=is_born_1970))
    said = told(house, capsys, "clocks")
    [register] = said["registers"]
    sold = told(house, capsys, "tickets")
    assert sum("suspended" not in one["flags"] for one in sold) == 109
    assert (register["register"], register["samples"], register["drifting"]) == ("102", len(sold), "no")
    assert abs(register["ahead_s"] - 427) <= 1
    assert (register["zone_minutes"], register["spread_s"] < 2) == (-240, True)
    assert (said["routers"][0]["router_off_ms_ahead"] is None) == is_born_1970
    assert {one["captured_by"] for one in sold} == {"fix"}
    router_ms = sold[0]["router"]["wall_ms"]
    assert (router_ms < 86_400_000) == is_born_1970, "what the router's own clock said is kept"
    assert abs(sold[0]["captured_ms"] - _FIRST_MS) < 120_000


def test_tickets_explains_the_numbers_that_were_suspended_and_recalled(house: House, capsys: Out) -> None:
    deliver(house, Wire())
    sold = told(house, capsys, "tickets")
    assert [int(one["number"]) for one in sold] == list(range(1028363, 1028475)), "no number is left unexplained"
    aside = [one for one in sold if "suspended" in one["flags"]]
    assert [(one["number"], one["counted_cents"]) for one in aside] == [(f"10283{n}", 0) for n in (76, 77, 79)]
    recalled = {one["number"]: one["linked"] for one in sold if "recalled" in one["flags"]}
    assert recalled == {"1028377": "1028376", "1028379": "1028377", "1028381": "1028379"}
    assert cli.main(["--data", str(house.root), "tickets"]) == 0
    [row] = [line.split() for line in capsys.readouterr().out.splitlines() if " 1028377  sale" in line]
    assert row[4:7] == ["recalled", "suspended", "1028376"]


def test_a_journal_with_a_hole_in_its_numbers_names_the_lost_ticket(house: House, capsys: Out) -> None:
    wire = Wire()
    wire.play()
    for made, received_ms in wire.sent:
        if made.info.first_seq != 40:
            house.take(made, at_ms=received_ms)
    assert cli.main(["--data", str(house.root), "--json", "ledger", "--from", "2025-07-11"]) == 1
    [day] = json.loads(capsys.readouterr().out)["days"]
    [lost] = day["missing"]
    assert (day["status"], lost["register"], lost["count"]) == ("unknown", "102", 1)
