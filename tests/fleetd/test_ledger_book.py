"""The book: genuine days followed from the records to the verdict."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleetd.decode import decode
from fleetd.ledger import backfill, clocks, gaps, reads, schema, verdicts
from fleetd.ledger.base import Decoded, Line, Ticket
from fleetd.ledger.verdict import COMPLETE, LATE, SHORT
from routerd.errors import CorruptError
from routerd.model import NOISE, RECORD, Draft, Run, Stamp, Stream
from tests.fleetd.kit import NOW_MS, gap, run_of, sale, segment
from tests.fleetd.ledger_kit import (
    COMMANDER,
    DAILY_311,
    DAILY_312,
    SHIFT_392,
    House,
    delivered,
    document,
    frames_of,
    genuine,
    segments,
    stamped,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def count(house: House, what: str) -> int:
    return int(house.book.execute(f"SELECT count(*) FROM {what}").fetchone()[0])


def watermarks(house: House) -> dict[Stream, int]:
    rows = house.book.execute("SELECT source, epoch, watermark FROM stream")
    return {Stream(source, epoch): seq for source, epoch, seq in rows}


def a_sale_of(name: str) -> int:
    """The place of a sale inside that the POS counts, from the middle of a document."""
    made = genuine(name)
    for at in range(len(made) // 2, len(made)):
        if made[at].kind == RECORD and made[at].pos_kind == "sale":
            [ticket] = decode(RECORD, made[at].data, "sale")
            if ticket.counted_cents > 100 and ticket.serial and not ticket.flags:  # type: ignore[union-attr]
                return at
    raise AssertionError("a day without a sale")


def test_a_genuine_day_is_complete_to_the_cent(house: House) -> None:
    house.take(*delivered(DAILY_311))
    verdict = house.verdict(DAILY_311)
    assert (verdict.status, verdict.difference_cents, verdict.reasons) == (COMPLETE, 0, ())
    assert (verdict.pos_cents, verdict.ledger_cents) == (1_198_858, 1_198_858)
    assert verdict.business_day == "2026-07-16"


def test_a_withheld_sale_is_missed_by_its_cents_and_register_until_it_comes(house: House) -> None:
    made, at = genuine(DAILY_311), a_sale_of(DAILY_311)
    [lost] = decode(RECORD, made[at].data, "sale")
    house.take(*segments(made[:at]), *segments(made[at + 1 :], at + 2))
    house.take(segment(len(made) + 1, [document(DAILY_311, frames_of(made))], COMMANDER))
    verdict = house.verdict(DAILY_311)
    assert (verdict.status, verdict.difference_cents) == (SHORT, -lost.counted_cents)  # type: ignore[union-attr]
    assert [one.register for one in verdict.missing] == [lost.register]  # type: ignore[union-attr]
    house.take(segment(at + 1, [made[at]], COMMANDER))
    assert house.verdict(DAILY_311).status == COMPLETE


def test_what_comes_long_after_the_close_makes_the_day_late(house: House) -> None:
    made, at = genuine(DAILY_311), a_sale_of(DAILY_311)
    house.take(*segments(made[:at]), *segments(made[at + 1 :], at + 2))
    house.take(segment(len(made) + 1, [document(DAILY_311, frames_of(made))], COMMANDER))
    house.take(segment(at + 1, [made[at]], COMMANDER), at_ms=NOW_MS + 7_200_000)
    assert (house.verdict(DAILY_311).status, house.verdict(DAILY_311).late) == (LATE, 1)


def test_a_shift_and_a_day_that_share_tickets_hold_each_once(house: House) -> None:
    """The router finds the shift's records among the day's: its document names their numbers."""
    day, shift = genuine(DAILY_312), genuine(SHIFT_392)
    house.take(*delivered(DAILY_312))
    tickets = count(house, "ticket")
    places = {draft.data.strip(): at for at, draft in enumerate(day, 1)}
    fresh: list[Draft] = []
    runs = []
    for draft in shift:
        if draft.kind == NOISE:
            continue
        known = places.get(draft.data.strip())
        if known is None:
            fresh.append(draft)
            known = len(day) + 1 + len(fresh)
        runs.append(Run(7, known, known))
    house.take(*segments(fresh, len(day) + 2))
    house.take(segment(len(day) + len(fresh) + 2, [document(SHIFT_392, runs)], COMMANDER))
    assert [house.verdict(name).status for name in (DAILY_312, SHIFT_392)] == [COMPLETE, COMPLETE]
    assert count(house, "ticket") == tickets


def test_a_day_read_again_after_a_restart_adds_no_ticket(house: House) -> None:
    """Every record comes again under new numbers: copies, which stand for the records they repeat."""
    house.take(*delivered(DAILY_311))
    tickets = count(house, "ticket")
    made, again = genuine(DAILY_311), Stream("commander", 8)
    house.take(*segments(made, stream=again))
    house.take(segment(len(made) + 1, [document(DAILY_311, frames_of(made, epoch=8))], again))
    assert (house.verdict(DAILY_311).status, count(house, "ticket")) == (COMPLETE, tickets)
    [day] = verdicts.judged(house.book, 1)
    assert (day.document_no, day.missing_records) == (house.store.last_record(), 0), "the later reading is as whole"


def test_a_re_reading_that_is_not_whole_takes_nothing_from_a_complete_day(house: House) -> None:
    house.take(*delivered(DAILY_311))
    house.take(segment(1, [document(DAILY_311, [Run(9, 1, 50)])], Stream("commander", 8)))
    assert house.verdict(DAILY_311).status == COMPLETE


def test_a_whole_re_reading_with_other_totals_takes_the_place_of_a_complete_day(house: House) -> None:
    """The POS counted a sale more since; the record behind it is missing."""
    house.take(*delivered(DAILY_311))
    made = list(genuine(DAILY_311))
    at = max(n for n, one in enumerate(made) if b"overallSales" in one.data)
    head, mark, rest = made[at].data.rpartition(b"<overallSales>")
    cents, _, tail = rest.partition(b"<")
    grown = b"%.2f" % (float(cents) + 12.34)
    made[at] = replace(made[at], data=head + mark + grown + b"<" + tail)
    again = Stream("commander", 8)
    house.take(*segments(made, stream=again))
    house.take(segment(len(made) + 1, [document(DAILY_311, frames_of(made, epoch=8))], again))
    verdict = house.verdict(DAILY_311)
    assert (verdict.status, verdict.difference_cents) == (SHORT, -1234)


@pytest.mark.parametrize("wall_ms", [0, 4_070_908_800_000], ids=["1970", "2099"])
def test_a_router_in_another_age_gives_the_right_times(house: House, wall_ms: int) -> None:
    """The clock is wrong by decades; what the cloud received, and when, puts it right."""
    for at, made in enumerate(delivered(DAILY_311)):
        stamp = Stamp("00112233", (60_000 + 20_000 * at) * 1_000_000, wall_ms + 20_000 * at, False)
        house.take(stamped(made, stamp), at_ms=NOW_MS + 20_000 * at + 1_500)
    assert house.verdict(DAILY_311).status == COMPLETE
    [clock] = clocks.of_device(house.book, 1)
    assert clock.offset.quality == "fix"
    redating = clocks.Redating(house.book)
    select = "SELECT device_no, boot_no, mono_ms, received_ms FROM ticket"
    lateness = [received - redating.captured_ms(*place) for *place, received in house.book.execute(select)]
    assert min(lateness) >= 0
    assert max(lateness) < 2_000, "captured within a segment's time before it was received"


def test_a_record_that_cannot_be_decoded_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    made, at = genuine(DAILY_311), a_sale_of(DAILY_311)

    def broken(kind: int, data: bytes, pos_kind: str) -> tuple[Decoded, ...]:
        if data == made[at].data:
            raise CorruptError("decode.amount", "money that is no number")
        return decode(kind, data, pos_kind)

    house = House(tmp_path, decoder=broken)
    house.take(*delivered(DAILY_311))
    assert house.book.execute("SELECT seq, code, reason FROM undecodable").fetchall() == [
        (at + 1, "decode.amount", "money that is no number")
    ]
    assert house.verdict(DAILY_311).status == SHORT
    reasons = house.verdict(DAILY_311).reasons
    assert "1 record arrived and could not be read: see `fleetctl undecodable`" in reasons
    assert not [reason for reason in reasons if "never arrived" in reason]
    assert backfill.kept(house.book) == [], "the POS would give again what cannot be read"
    assert watermarks(house)[COMMANDER] == len(made) + 1, "what is set aside holds nothing up"
    assert [code for _, code in house.follower.read_again()] == ["decode.amount"]
    house.decoder = decode
    assert [code for _, code in house.follower.read_again()] == [""]
    assert (house.verdict(DAILY_311).status, count(house, "undecodable")) == (COMPLETE, 0)
    house.close()


def test_a_decoder_that_trips_over_a_record_sets_it_aside(tmp_path: Path) -> None:
    def tripping(kind: int, data: bytes, pos_kind: str) -> tuple[Decoded, ...]:
        raise KeyError("trSeq")

    house = House(tmp_path, decoder=tripping)
    house.take(run_of(1, 2))
    assert (
        house.book.execute("SELECT code, reason FROM undecodable").fetchall()
        == [("decode.failed", "KeyError: 'trSeq'")] * 2
    )
    house.close()


def test_the_watermark_waits_for_a_hole_and_passes_a_declared_gap(house: House) -> None:
    one, two = Stream("pos1", 7), Stream("pos1", 8)
    house.take(run_of(1, 3), run_of(6, 7))
    assert watermarks(house) == {one: 3}
    house.take(segment(1, [gap(4, 5)], two))
    assert watermarks(house) == {one: 7, two: 1}


def test_a_copy_counts_for_the_watermark_and_makes_no_second_ticket(house: House) -> None:
    made = [one for one in genuine(DAILY_311) if one.pos_kind == "sale"][:3]
    house.take(segment(1, made), segment(4, made))
    assert (watermarks(house)[Stream("pos1", 7)], count(house, "ticket")) == (6, 3)


def test_a_later_version_of_a_ticket_supersedes_the_earlier_and_both_are_kept(house: House) -> None:
    sold = next(one for one in genuine(DAILY_311) if one.pos_kind == "sale")
    changed = Draft(RECORD, sold.data.replace(b"<trans ", b"<trans  "), sold.identity, sold.pos_time, sold.pos_kind)
    house.take(segment(1, [sold]))
    house.take(segment(2, [changed, sold]))
    rows = house.book.execute("SELECT seq, superseded_by FROM ticket ORDER BY seq").fetchall()
    assert rows == [(1, 2), (2, None)]


def test_a_book_begun_anew_says_the_same(house: House) -> None:
    house.take(*delivered(DAILY_311), run_of(1, 4), segment(5, [gap(6, 9)]))

    def content() -> list[list[tuple[object, ...]]]:
        return [house.book.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES]

    before = content()
    house.follower.forget()
    assert count(house, "ticket") == 0
    house.follow()
    assert content() == before


TABLES = [table for table in schema.DERIVED if table not in ("position", "device")]


def test_a_crash_between_two_steps_costs_a_repetition_and_nothing_else(house: House, tmp_path: Path) -> None:
    """The position travels with the rows: whoever opens the book next goes on behind them."""
    first, *others = delivered(DAILY_311)
    house.take(first)
    position = house.follower.position()
    house.store.commit([])
    house.close()
    again = House(tmp_path)
    assert again.follower.position() == position
    again.take(*others)
    assert again.verdict(DAILY_311).status == COMPLETE
    again.close()


def test_two_followers_of_one_book_write_nothing_twice(house: House, tmp_path: Path) -> None:
    other = House(tmp_path)
    other.take(*delivered(DAILY_311))
    house.follow()
    assert count(house, "day") == 1
    assert house.follower.position() == house.store.last_record()
    other.close()


def test_what_another_follower_wrote_meanwhile_is_not_written_again(tmp_path: Path) -> None:
    """The other one reads and writes between this one's reading and its writing."""
    other = House(tmp_path)

    def slow(kind: int, data: bytes, pos_kind: str) -> tuple[Decoded, ...]:
        other.follow()
        return decode(kind, data, pos_kind)

    house = House(tmp_path, decoder=slow)
    made = [one for one in genuine(DAILY_311) if one.pos_kind == "sale"][:3]
    house.take(segment(1, made))
    assert (count(house, "ticket"), count(house, "undecodable")) == (3, 0)
    house.close()
    other.close()


def test_a_damaged_or_foreign_book_is_written_anew(house: House, tmp_path: Path) -> None:
    house.take(run_of(1, 3))
    house.close()
    (tmp_path / "ledger.db").write_bytes(b"this is no database" * 400)
    (tmp_path / "ledger.db-wal").unlink(missing_ok=True)
    again = House(tmp_path)
    again.follow()
    assert watermarks(again) == {Stream("pos1", 7): 3}
    assert (tmp_path / "ledger.db").stat().st_mode & 0o777 == 0o600
    again.close()


def test_a_store_restored_from_an_older_copy_is_read_from_its_beginning(house: House) -> None:
    house.take(run_of(1, 3))
    house.book.execute("UPDATE position SET no = 99")
    house.follow()
    assert house.follower.position() == 3


@pytest.mark.parametrize(
    "said",
    [
        Ticket("1", "1", "1", "sale", total_cents=10**30, counted_cents=10**30),
        Ticket("1", "1", "1", "sale", lines=(Line(1, "item", amount_cents=1 << 63),)),
        Ticket("1", "1", "1", "sale", cashier="\ud800"),
    ],
    ids=["money", "a line's money", "no text"],
)
def test_what_no_table_can_hold_is_set_aside_whole(tmp_path: Path, said: Ticket) -> None:
    house = House(tmp_path, decoder=lambda kind, data, pos_kind: (said,) if b">2<" in data else ())
    house.take(run_of(1, 3))
    assert house.book.execute("SELECT seq, code FROM undecodable").fetchall() == [(2, "ledger.value")]
    assert (count(house, "ticket"), count(house, "line")) == (0, 0)
    assert watermarks(house) == {Stream("pos1", 7): 3}
    house.close()


def test_a_router_that_claims_impossible_times_and_numbers_stops_nobody(house: House) -> None:
    edge = (1 << 63) - 1
    made = segment(1, [document("daily/2026-07-16.311", [Run(edge, edge - 1, edge)]), sale(1)])
    house.take(stamped(made, Stamp("00112233", -(1 << 62) * 1_000_000, edge - 5, True)))
    house.take(segment(3, [document("file.xml", [Run(7, edge, edge + 1)]), sale(2)]))
    assert watermarks(house)[Stream("pos1", 7)] == 4
    assert house.verdict("daily/2026-07-16.311").status == "unknown"
    assert clocks.of_device(house.book, 1)


def test_a_silence_between_two_runs_is_a_gap_for_every_source_of_the_first(house: House) -> None:
    hour_ms = 3_600_000
    for source in ("pos1", "serial"):
        made = segment(1, [sale(1), sale(2)], Stream(source, 7))
        house.take(stamped(made, Stamp("00112233", 60_000 * 1_000_000, 0, False)), at_ms=NOW_MS)
    later = stamped(segment(1, [sale(3)], Stream("pos1", 8)), Stamp("44556677", 30_000 * 1_000_000, 0, False))
    house.take(later, at_ms=NOW_MS + 5 * hour_ms)
    found = list(gaps.open_gaps(house.book))
    assert [(one.source, one.cause) for one in found] == [("pos1", "router off"), ("serial", "router off")]
    assert found[0].to_ms is not None
    assert abs(found[0].to_ms - (NOW_MS + 5 * hour_ms)) < 1_000
    assert found[0].until_ms is None, "what says everything once cannot be asked again"


def test_a_store_with_two_routers_holds_a_ticket_once(tmp_path: Path) -> None:
    house = House(tmp_path, devices=("r1", "r2"))
    for name in ("r1", "r2"):
        house.store.set_store(name, "1042", "")
    made = [one for one in genuine(DAILY_311) if one.pos_kind == "sale"][:3]
    house.take(segment(1, made), device_id="r1")
    house.take(segment(1, made), device_id="r2")
    shown = list(reads.tickets(house.book, reads.Filter(store="1042")))
    assert [(one["device"], one["seq"]) for one in shown] == [("r2", 1), ("r2", 2), ("r2", 3)]
    assert len(list(reads.tickets(house.book, reads.Filter(all_versions=True)))) == 6
    house.close()
