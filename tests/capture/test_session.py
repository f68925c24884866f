"""From bytes to records: framed, described, masked and stored before `feed` returns; nothing pending is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.capture.session import Meter, StreamSession
from routerd.capture.sources import reading
from routerd.model import ENVELOPE, NOISE, RECORD, Draft, SerialLink, Source, Stamp, TcpListenLink
from tests.fakes.clock import FakeClock
from tests.samples import sample

PAN = b"4111111111111111"
SERIAL, TCP = SerialLink("/dev/null"), TcpListenLink("127.0.0.1", 1, ())


class FakeStore:
    """Keeps drafts and the tail's bytes as the spool's files would."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.tail = bytearray()
        self.full = False

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        self.drafts += drafts
        return len(self.drafts) - len(drafts) + 1

    def has_room(self, source: str) -> bool:
        return not self.full

    async def room(self, source: str) -> None: ...

    def grow_tail(self, source: str, offset: int, masked: bytes) -> None:
        assert offset <= len(self.tail)
        self.tail[offset:] = masked

    def cut_tail(self, source: str, masked: bytes) -> None:
        self.tail[:] = masked


def session(framer: str, dialect: str = "", *, serial: bool = False, **options: str) -> tuple[StreamSession, FakeStore]:
    source = Source("till", SERIAL if serial else TCP, framer, dialect, options)
    store = FakeStore()
    return StreamSession("till", reading(source), store, FakeClock(), Meter(), keeps_tail=serial), store


def test_a_record_is_stored_masked_and_described_before_feed_returns() -> None:
    made, store = session("xml-element")
    record = b'<trans type="sale"><trHeader><uniqueID>9</uniqueID></trHeader><x>' + PAN + b"</x></trans>"
    assert made.feed(b"<transSet>" + record)
    assert [(d.kind, d.identity, d.pos_kind) for d in store.drafts] == [
        (ENVELOPE, None, ""),
        (RECORD, "transset:9", "sale"),
    ]
    assert PAN not in store.drafts[1].data
    assert len(store.drafts[1].data) == len(record)


def test_noise_is_kept_masked_and_counted() -> None:
    made, store = session("text", start="BEGIN", end="END")
    made.feed(b"junk " + PAN + b" junk BEGIN a END")
    assert [draft.kind for draft in store.drafts] == [NOISE, RECORD]
    assert PAN not in store.drafts[0].data
    assert made._meter.noise_bytes == len(store.drafts[0].data)


def test_a_full_store_asks_the_link_to_stop() -> None:
    made, store = session("text")
    assert made.feed(b"a\n")
    store.full = True
    assert not made.feed(b"b\n")
    assert len(store.drafts) == 2


def test_closing_a_connection_takes_what_was_pending() -> None:
    made, store = session("text", start="BEGIN", end="END")
    made.feed(b"BEGIN half")
    made.settle()
    assert [(draft.kind, draft.data) for draft in store.drafts] == [(NOISE, b"BEGIN half")]


@given(st.lists(st.integers(1, 60), max_size=80))
def test_every_byte_is_in_a_record_or_in_the_tail_at_every_moment(cuts: list[int]) -> None:
    lines = b"".join(b"ST#%d card %s total\r\n" % (number, PAN if number % 3 else b"none") for number in range(20))
    made, store = session("text", serial=True)
    at = 0
    for cut in cuts:
        made.feed(lines[at : at + cut])
        at = min(at + cut, len(lines))
        stored = b"".join(draft.data for draft in store.drafts)
        assert len(stored) + len(store.tail) == at
        assert PAN not in stored
        assert PAN not in store.tail


@given(st.integers(0, 58_000))
def test_a_session_resumed_from_its_tail_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    recording = sample("verifone-serial", "register.bin")
    whole, expected = session("esc-journal", serial=True)
    whole.feed(recording)
    first, store = session("esc-journal", serial=True)
    if cut:
        first.feed(recording[:cut])
    first.leave()
    second, rest = session("esc-journal", serial=True)
    second.resume(bytes(store.tail), 0)
    second.feed(recording[cut:])
    assert store.drafts + rest.drafts == expected.drafts


def test_records_stored_before_a_kill_are_skipped_when_the_tail_is_read_again() -> None:
    made, store = session("text", serial=True)
    made.resume(b"one\ntwo\nthr", 1)
    made.feed(b"ee\n")
    assert [draft.data for draft in store.drafts] == [b"two\n", b"three\n"]


def test_a_source_that_leaves_on_tcp_settles_for_its_connection_cannot_come_back() -> None:
    made, store = session("text")
    made.feed(b"half a line")
    made.leave()
    assert [draft.data for draft in store.drafts] == [b"half a line"]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(0, 600))
def test_no_card_number_stands_in_the_tail_however_the_line_trickles(cuts: list[int], lead: int) -> None:
    line = b"x " * (lead // 2) + b"CARD " + PAN + b" EXP 12/29 " + b"tail " * 80
    made, store = session("text", serial=True, start="BEGIN", end="END")
    made.feed(b"BEGIN ")
    at = 0
    for cut in [*cuts, *[7] * 200]:
        if at >= len(line):
            break
        made.feed(line[at : at + cut])
        at += cut
        assert PAN not in store.tail
        assert PAN[:13] not in store.tail or PAN[:13] + b"X" not in store.tail
    assert PAN not in store.tail


@given(st.integers(4000, 4200), st.sampled_from(["text", "xml-element", "esc-journal", "vsi-add"]))
def test_no_card_number_in_noise_is_cut_in_two_and_stored_whole(lead: int, framer: str) -> None:
    options = {"start": "BEGIN", "end": "END"} if framer == "text" else {}
    made, store = session(framer, **options)
    noise = b"~" * lead + b" " + PAN + b" " + b"~" * 5000
    for at in range(0, len(noise), 700):
        made.feed(noise[at : at + 700])
    made.settle()
    assert PAN not in b"".join(draft.data for draft in store.drafts)
