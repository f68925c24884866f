"""The pure parts of the Commander link: answers told apart, periods chosen, time planned, bodies inflated."""

import gzip
import tracemalloc
import zlib

import pytest

from routerd.capture.commander import cgi
from routerd.capture.commander.agenda import Agenda, Rhythm
from routerd.capture.commander.cgi import Meaning
from routerd.capture.commander.inflate import MAX_DOCUMENT_BYTES, PIECE_BYTES, Inflater
from routerd.capture.commander.periods import Listing, Period, choose, due, listed, named, newest, period
from routerd.errors import CorruptError, TransientError
from scripts.commander import answers
from tests.samples import sample

DAILY, BOTH = ("daily",), ("daily", "shift")


def day(number: int, kind: str = "daily") -> Period:
    found = period(kind, f"2026-07-{number:02}.{number + 295}")
    assert found
    return found


DAYS = [day(number) for number in range(1, 19)]


def listed_in_pieces(body: bytes, step: int) -> tuple[Period, ...]:
    listing = Listing()
    for begin in range(0, len(body), step):
        listing.feed(body[begin : begin + step])
    return listing.end()


def none_taken(name: str) -> bool:
    return False


def test_a_genuine_list_has_its_closed_periods_oldest_first() -> None:
    periods = listed(sample("verifone-commander", "periods.xml"))
    assert len(periods) == 180
    assert periods[-1].name in ("daily/2026-07-18.313", "shift/2026-07-18.393")
    assert [each.day for each in periods] == sorted(each.day for each in periods)
    assert {each.kind for each in periods} == {"daily", "shift"}


@pytest.mark.parametrize("name", ["../etc/passwd", "2026-07-16.311&cmd=x", "current", "2026-07-16", "２026-07-16.311"])
def test_a_name_that_is_no_closed_period_is_never_asked_for(name: str) -> None:
    assert period("daily", name) is None
    assert named(f"daily/{name}") is None
    assert named("weekly/2026-07-16.311") is None


@pytest.mark.parametrize("step", [1, 13, 1 << 20])
def test_a_list_is_the_same_in_pieces_of_any_size(step: int) -> None:
    body = sample("verifone-commander", "periods.xml")
    assert listed_in_pieces(body, step) == listed(body)


def test_a_hostile_list_takes_no_time() -> None:
    assert listed(b"<periodInfo" * 90_000) == ()
    assert listed_in_pieces(b"x" * 10_000_000, 7000) == ()
    assert listed(b"<periodInfo>" * 80_000 + b"<reportParameter name=" * 1000) == ()


def test_nothing_taken_means_the_last_days_of_the_list() -> None:
    assert due(DAYS, DAILY, none_taken, catch_up_days=7) == DAYS[-7:]
    assert due(DAYS, DAILY, none_taken, catch_up_days=0) == DAYS[-1:]
    assert due([], DAILY, none_taken, catch_up_days=7) == []


def test_what_is_newer_than_the_newest_taken_is_due_however_long_ago() -> None:
    assert due(DAYS, DAILY, {DAYS[3].name}.__contains__, catch_up_days=7) == DAYS[4:]
    assert due(DAYS, DAILY, {DAYS[3].name, DAYS[-1].name}.__contains__, catch_up_days=7) == []


def test_numbers_that_began_anew_make_all_recent_days_due() -> None:
    reset = [*DAYS, *(Period("2026-07-18", number, "daily", f"2026-07-18.{number}") for number in (1, 2))]
    taken = {each.name for each in DAYS}.__contains__
    assert due(reset, DAILY, taken, catch_up_days=7) == []
    assert [each.number for each in due(reset, DAILY, taken, catch_up_days=7, all_days=True)] == [1, 2]


def closings(*names: str) -> list[Period]:
    found = [period("daily", name) for name in names]
    return [each for each in found if each]


def test_a_closing_dated_in_the_future_hides_no_other() -> None:
    usual = [f"2026-11-{day:02}.{day + 378}" for day in range(10, 20)]
    wrong, before, after = "2099-11-21.399", "2026-11-20.398", ["2026-11-22.400", "2026-11-23.401"]
    days = closings(*usual, wrong, before)
    assert [each.file_name for each in due(days, DAILY, none_taken, catch_up_days=2)] == [usual[-1], before, wrong]
    taken = {f"daily/{name}" for name in [*usual, wrong]}.__contains__
    days = closings(*usual, wrong, before, *after)
    assert [each.file_name for each in due(days, DAILY, taken, catch_up_days=1)] == [before, *after]
    only_wrong = {f"daily/{wrong}"}.__contains__
    assert [each.file_name for each in due(days, DAILY, only_wrong, catch_up_days=1)] == after[1:]
    last = newest(days, "daily")
    assert last
    assert last.file_name == after[1]


def test_a_closing_dated_in_the_past_is_due_by_its_number() -> None:
    days = [*DAYS, *closings("2010-01-01.314")]
    assert due(days, DAILY, {each.name for each in DAYS}.__contains__, catch_up_days=7) == days[-1:]


def test_days_after_numbers_began_anew_are_due_by_their_day() -> None:
    days = [*DAYS, *closings("2026-07-19.1", "2026-07-20.2")]
    taken = {each.name for each in days[:-1]}.__contains__
    assert due(days, DAILY, taken, catch_up_days=7) == days[-1:]


def test_days_after_a_shop_was_shut_are_due() -> None:
    days = [*DAYS, *closings("2026-08-10.314", "2026-08-11.315")]
    taken = {each.name for each in days[:-1]}.__contains__
    assert due(days, DAILY, taken, catch_up_days=7) == days[-1:]


def test_of_one_day_the_kind_configured_first_comes_first() -> None:
    shifts = [day(number, "shift") for number in (17, 18)]
    chosen = due([*DAYS, *shifts], BOTH, none_taken, catch_up_days=2)
    assert chosen == [DAYS[-2], shifts[0], DAYS[-1], shifts[1]]
    assert due([*DAYS, *shifts], ("shift", "daily"), none_taken, catch_up_days=1) == [shifts[1], DAYS[-1]]


def test_a_wish_finds_both_ends_and_names_the_days_without_a_document() -> None:
    choice = choose(DAYS, DAILY, "2026-07-17", "2026-07-20")
    assert choice.present == (DAYS[-2], DAYS[-1])
    assert choice.absent == ("2026-07-19", "2026-07-20")


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (answers.NO_CREDENTIAL, Meaning.EXPIRED),
        (answers.WRONG, Meaning.REFUSED),
        (answers.LOCKED, Meaning.REFUSED),
        (answers.OTP, Meaning.REFUSED),
        (answers.NO_COOKIES_LEFT, Meaning.CONTENDED),
        (answers.NO_FILE, Meaning.ABSENT),
        (answers.NO_COMMAND, Meaning.UNKNOWN),
        (answers.BUSY, Meaning.BUSY),
        (answers.Fault("CGIPortal.InternalError", "Maximum failed credential attempts"), Meaning.REFUSED),
        (answers.Fault("CGIPortal.LoginRequired", "User locked out of session"), Meaning.EXPIRED),
        (answers.Fault("CGIPortal.AccessDenied", "no"), Meaning.DENIED),
        (answers.Fault("CGIPortal.InternalError", "Credenciales"), Meaning.OTHER),
    ],
)
def test_faults_say_who_must_act(fault: answers.Fault, meaning: Meaning) -> None:
    told = cgi.fault(answers.fault_xml(fault))
    assert told
    assert told.meaning is meaning
    assert cgi.fault(answers.fault_xml(fault).replace(b"e:", b"other:").replace(b"VFI:", b"")) == told


def test_a_fault_is_one_line_however_it_is_written() -> None:
    told = cgi.fault(b"<Fault><faultString>a\n\x00 b\r\n" + b"c" * 5000 + b"</faultString></Fault>")
    assert told
    assert told.words.startswith("a b")
    assert len(told.words) <= 1000
    assert "\n" not in told.words


@pytest.mark.parametrize(
    ("data", "root"),
    [
        (b'<?xml version="1.0"?>\n<transSet periodID="2">', "transSet"),
        (b"\xef\xbb\xbf<domain:periodList xmlns:domain='x'>", "periodList"),
        (b"<!-- <transSet > --><html>", "html"),
        (b"<!DOCTYPE html>\n<HTML>", "HTML"),
        (b"<transS", ""),
        (b"hello <transSet>", ""),
        (b"", ""),
    ],
)
def test_a_root_is_the_first_element_without_its_prefix(data: bytes, root: str) -> None:
    assert cgi.root(data) == root


def test_the_head_says_which_period_runs() -> None:
    head = cgi.head(sample("verifone-commander", "daily-2026-07-16.311.xml")[:1024])
    assert (head.number, head.opened) == (311, "2026-07-15T02:05:06-04:00")
    assert cgi.head(b"<transSet>") == cgi.Head(None, "")


def inflated(body: bytes, step: int) -> bytes:
    inflater, out = Inflater(), b""
    for start in range(0, len(body), step):
        inflater.give(body[start : start + step])
        while piece := inflater.take():
            assert len(piece) <= PIECE_BYTES
            out += piece
    return out + inflater.end()


@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("text", [b"", b"<", b"<transSet>" + bytes(range(256)) * 300])
def test_a_body_comes_out_as_it_was_in_pieces_of_any_size(text: bytes, step: int) -> None:
    assert inflated(text, step) == text
    assert inflated(gzip.compress(text), step) == text
    assert inflated(gzip.compress(text) + gzip.compress(b"more") + b"\0" * 512, step) == text + b"more"


@pytest.mark.parametrize("cut", [3, 10, 60, 400])
def test_gzip_that_ends_early_or_is_damaged_is_not_whole(cut: int) -> None:
    body = gzip.compress(bytes(zlib.crc32(bytes([each])) & 255 for each in range(256)) * 4)
    with pytest.raises(TransientError, match="middle"):
        inflated(body[: -min(cut, len(body) - 2)], 100)
    with pytest.raises(TransientError, match="damaged"):
        inflated(body[:40] + b"\xff" * 40 + body[80:], 100)


def test_a_bomb_is_stopped_at_its_limit_and_costs_little_memory() -> None:
    bomb = gzip.compress(bytes(MAX_DOCUMENT_BYTES + 1))
    inflater = Inflater()
    inflater.give(bomb)
    tracemalloc.start()
    try:
        for _ in range(MAX_DOCUMENT_BYTES // PIECE_BYTES):
            assert len(inflater.take()) == PIECE_BYTES
        with pytest.raises(CorruptError):
            inflater.take()
        assert tracemalloc.get_traced_memory()[1] < 4 * len(bomb) + (1 << 20)
    finally:
        tracemalloc.stop()


def agenda() -> Agenda:
    return Agenda("daily", Rhythm(poll_s=100, list_s=1000, spacing_s=300))


def test_a_failure_doubles_the_wait_up_to_eight_times_and_quick_answers_halve_it() -> None:
    plan = agenda()
    waits = []
    for now_s in range(0, 5000, 1000):
        plan.slow_down(now_s)
        waits.append(plan.rest_s(now_s))
    assert waits == [200, 400, 800, 800, 800]
    slowdowns = []
    for _ in range(4):
        plan.polled(10_000, was_slow=False)
        slowdowns.append(plan.slowdown)
    assert slowdowns == [4, 2, 1, 1]


def test_closed_documents_keep_their_distance_but_for_the_one_just_closed() -> None:
    plan = agenda()
    plan.polled(0, was_slow=False)
    plan.listed(0, DAYS[:2])
    assert plan.closed(0) == DAYS[0]
    plan.finished(0, DAYS[0])
    assert plan.closed(299) is None
    assert plan.closed(300) == DAYS[1]
    plan.finished(300, DAYS[1])
    plan.period_changed()
    assert plan.wants_list(301)
    plan.listed(301, [DAYS[2]])
    assert plan.closed(301) == DAYS[2]
    plan.finished(301, DAYS[2])
    plan.listed(302, [DAYS[3]])
    assert plan.closed(302) is None
    plan.period_changed()
    plan.listed(700, [DAYS[4]])
    plan.postpone(700)
    assert plan.closed(999) is None
    assert plan.closed(1000) == DAYS[4]


def test_what_is_owed_comes_before_what_was_asked_and_nothing_twice() -> None:
    plan = agenda()
    plan.ask(DAYS[:2], anew=True)
    plan.listed(0, DAYS[1:3])
    assert plan.waiting == tuple(each.name for each in (DAYS[1], DAYS[2], DAYS[0]))
    assert plan.is_anew(DAYS[1])
    assert not plan.is_anew(DAYS[2])
    plan.finished(0, DAYS[1])
    assert not plan.is_anew(DAYS[1])
    plan.hold(10, 50)
    assert plan.rest_s(20) == 40
