"""One store on two wires, its registers' journals and the Commander's XML: what each lacks is found, nothing else."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fleetd import cli
from routerd.framing import Frame, build
from routerd.model import ENVELOPE, NOISE, RECORD, Draft, Segment, Stamp, Stream
from routerd.tlog import DIALECTS, mask
from routerd.wire import batch, body
from routerd.wire.codec import ZLIB
from scripts.pos.formats import Settings, sales, transset
from scripts.pos.journal import Journal
from scripts.pos.period import period
from scripts.pos.sale import Sale
from tests.fleetd.kit import BOOK, segment
from tests.fleetd.ledger_kit import COMMANDER, House, document, drafts, frames_of, segments

SKEW_S = 427
SHOP = Settings("transset", seed=11, start=datetime(2026, 7, 14, 2, 5, 6), skew_s=SKEW_S, pan_rate=0)
NAME = "daily/2026-07-14.311"
TICKETS = 260
NEXT_DAY_MS = 1_784_120_000_000  # 2026-07-15
LATE_S = 2  # from the last key to the router
Out = pytest.CaptureFixture[str]


@cache
def sold() -> tuple[Sale, ...]:
    return tuple(islice(sales(SHOP, outdoor=True), TICKETS))


def printed(register: int) -> list[Sale]:
    """What a register's own journal shows: no rollback, and nothing of a pump."""
    return sorted((one for one in sold() if one.register == register and not one.rollback), key=lambda one: one.closed)


def is_plain(sale: Sale) -> bool:
    return sale.kind == "sale" and not sale.prepay and not sale.recalled and sale.total_cents > 0


def journal(register: int, *, without: Sequence[Sale] = ()) -> Segment:
    """The register's line as a router captures it, each ticket when its last line was printed."""
    framer, render, dialect = build("esc-journal", {}), Journal(SHOP.shop), DIALECTS["verifone-journal"]
    content, count = bytearray(), 0
    for sale in printed(register):
        if sale in without:
            continue
        data = b"".join(ticket.data for ticket in render.render(sale))
        utc_ms = int(sale.closed.replace(tzinfo=UTC).timestamp() - SKEW_S + LATE_S - SHOP.utc_offset_min * 60) * 1000
        content += body.pack_head(Stamp("0a0b0c0d", (utc_ms - 1_783_000_000_000) * 1_000_000, utc_ms, synced=True))
        for piece in framer.feed(data):
            masked = mask(piece.data, dialect.name)[0]
            facts = dialect.describe(masked)
            kind = NOISE if not isinstance(piece, Frame) else ENVELOPE if piece.envelope else RECORD
            made = Draft(kind, masked, facts.identity if kind == RECORD else None, facts.pos_time, facts.kind)
            content += body.pack_record(made, 0)
            count += 1
    packed = (ZLIB, 0, BOOK.compress(bytes(content), ZLIB))
    return batch.seal(Stream(f"register-{register}", 7), 1, count, bytes(content), packed)


def book(*, without: Sequence[Sale] = ()) -> list[Segment]:
    """The day's document; the POS counted also what it leaves out."""
    closed = max(one.closed for one in sold()) + timedelta(seconds=5)
    whole = period(SHOP.shop, transset(SHOP), sold(), opened=SHOP.start, closed=closed)
    marks = [f"<trSeq>{one.number}</trSeq></trTickNum>".encode() for one in without]
    made = [one for one in drafts(whole.data) if not any(mark in one.data for mark in marks)]
    return [*segments(made), segment(len(made) + 1, [document(NAME, frames_of(made))], COMMANDER)]


@pytest.fixture(params=["one router", "two routers"])
def deliver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Both wires at one router, or each at one of its own in the same store."""
    house = House(tmp_path, devices=("r1", "r2"), now_ms=NEXT_DAY_MS)
    house.store.set_store("r2", "r1", "")
    beside = "r1" if request.param == "one router" else "r2"

    def both(*journals: Segment, xml: Sequence[Segment]) -> House:
        house.take(*journals)
        house.take(*xml, device_id=beside)
        return house

    yield both
    house.close()


def asked(house: House, capsys: Out, *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = cli.main(["--data", str(house.root), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_both_wires_say_the_same_of_every_ticket(deliver: Callable[..., House], capsys: Out) -> None:
    house = deliver(journal(101), journal(102), xml=book())
    code, rows = asked(house, capsys, "witness")
    assert (code, [row["register"] for row in rows]) == (0, ["101", "102"])
    for row, register in zip(rows, (101, 102), strict=True):
        assert row["matched"] == len(printed(register)) > 50
        assert row["differing"] == row["only_journal"] == row["only_book"] == row["beyond"] == []
    sides: dict[str, set[tuple[Any, ...]]] = {"journal": set(), "book": set()}
    for one in asked(house, capsys, "tickets")[1]:
        if one["register"] in ("101", "102") and "rollback" not in one["flags"]:
            total = None if {"void", "suspended"} & set(one["flags"]) else one["total_cents"]
            side = sides["journal" if one["source"].startswith("register") else "book"]
            side.add((one["register"], one["number"], one["pos_time"][:19], total))
    assert sides["journal"] == sides["book"]
    assert len(sides["book"]) == len(printed(101)) + len(printed(102))


def test_what_a_pump_completed_is_explained_and_none_is_missed(deliver: Callable[..., House], capsys: Out) -> None:
    house = deliver(journal(101), journal(102), xml=book())
    _, rows = asked(house, capsys, "witness")
    explained = [one for row in rows for one in row["explained"]]
    assert {one["number"] for one in explained} == {one.number for one in sold() if one.completion}
    assert {tuple(one["why"]) for one in explained} == {("completion",)}


def test_a_ticket_withheld_from_the_xml_is_seen_on_the_journal_and_makes_the_day_short(
    deliver: Callable[..., House], capsys: Out
) -> None:
    lost = next(one for one in printed(102)[40:] if is_plain(one))
    house = deliver(journal(101), journal(102), xml=book(without=[lost]))
    code, (other, row) = asked(house, capsys, "witness", "--store", "r1")
    assert (code, row["only_journal"], row["only_book"]) == (1, [lost.number], [])
    assert (other["only_journal"], other["only_book"]) == ([], [])
    code, told = asked(house, capsys, "ledger", "--from", "2026-07-14", "--to", "2026-07-14")
    [day] = told["days"]
    assert (code, day["status"], day["difference_cents"]) == (1, "short", -lost.total_cents)
    assert [(one["register"], one["first"], one["last"]) for one in day["missing"]] == [
        ("102", lost.number, lost.number)
    ]


def test_a_ticket_that_the_journal_lacks_is_in_the_book_only(deliver: Callable[..., House], capsys: Out) -> None:
    unheard = next(one for one in printed(101)[30:] if is_plain(one))
    house = deliver(journal(101, without=[unheard]), journal(102), xml=book())
    code, (row, other) = asked(house, capsys, "witness")
    assert (code, row["only_journal"], row["only_book"]) == (1, [], [unheard.number])
    assert (other["only_journal"], other["only_book"]) == ([], [])
    assert cli.main(["--data", str(house.root), "witness"]) == 1
    assert unheard.number in capsys.readouterr().out


def test_what_was_suspended_or_voided_is_explained_on_either_side(deliver: Callable[..., House], capsys: Out) -> None:
    idle = [one for one in (*printed(101), *printed(102)) if one.kind in ("suspended", "void")]
    assert {one.kind for one in idle} == {"suspended", "void"}
    assert any(one.recalled for one in sold()), "recalled ones are matched like any other"
    journals = (journal(101, without=idle[::2]), journal(102, without=idle[::2]))
    house = deliver(*journals, xml=book(without=idle[1::2]))
    code, rows = asked(house, capsys, "witness")
    assert (code, [row["only_journal"] + row["only_book"] for row in rows]) == (0, [[], []])
    why = {one["number"]: one["why"] for row in rows for one in row["explained"]}
    assert [one.number for one in idle if one.kind not in why[one.number]] == []


def test_what_the_next_reading_of_the_xml_may_bring_is_not_missed_yet(
    deliver: Callable[..., House], capsys: Out
) -> None:
    """The journal is there at once, the XML when it is polled; and it began before the journal was plugged in."""
    register = printed(101)
    late, early = register[-20:], register[:15]
    begun = [one for one in sold() if one.closed < late[0].closed]
    made = drafts(period(SHOP.shop, transset(SHOP), begun, opened=SHOP.start, closed=None).data)
    before = document("daily/2026-07-13.310", [])
    house = deliver(journal(101, without=early), xml=[*segments(made), segment(len(made) + 1, [before], COMMANDER)])
    code, [row] = asked(house, capsys, "witness")
    assert (code, row["only_journal"], row["only_book"]) == (0, [], [])
    waiting = [one.number for one in (*early, *late) if one.kind not in ("suspended", "void")]
    assert sorted(row["beyond"]) == sorted(waiting)
    days = asked(house, capsys, "ledger", "--from", "2026-07-14")[1]["days"]
    assert [(one["business_day"], one["status"]) for one in days] == [("2026-07-14", "open")], "it will be closed"


def test_a_registers_clock_is_known_beside_the_xml(deliver: Callable[..., House], capsys: Out) -> None:
    house = deliver(journal(101), journal(102), xml=book())
    registers = asked(house, capsys, "clocks")[1]["registers"]
    assert [one["register"] for one in registers] == ["101", "102"], "a poll dates nothing"
    assert all(abs(one["ahead_s"] - SKEW_S) <= LATE_S + 1 and one["zone_minutes"] == -300 for one in registers)
