import pytest

from routerd.framing import MAX_FRAME_BYTES, Frame, Noise
from routerd.framing.xml import XmlElement
from tests.framing.laws import check_laws, cut, envelopes, noises, records, restart

HEAD = b'<?xml version="1.0"?>\n<transSet site="1"><startTotals><a>1</a></startTotals>\n'


def laws(data: bytes, limit: int = MAX_FRAME_BYTES, elements: tuple[str, ...] = ()) -> list[Frame | Noise]:
    return check_laws(lambda: XmlElement(elements, max_frame_bytes=limit), data, limit=limit)


def test_a_record_is_out_the_moment_its_last_byte_arrives() -> None:
    framer = XmlElement()
    assert records(framer.feed(HEAD + b"<trans><a/></trans")) == []
    assert framer.feed(b">") == [Frame(b"\n<trans><a/></trans>")]
    assert framer.pending == b""


def test_an_element_whose_name_only_begins_like_the_records_delays_nothing() -> None:
    framer = XmlElement()
    record = b"<trans><transId>1</transId><!x><?></trans>"
    assert framer.feed(record) == [Frame(record)]


def test_what_stands_around_records_is_envelope_and_white_space_leads() -> None:
    pieces = laws(HEAD + b"<trans/>\n\t<openCashier>x</openCashier> <trans>1</trans>\r\n<endTotals/></transSet>\n")
    assert pieces == [
        Frame(HEAD.rstrip(), envelope=True),
        Frame(b"\n<trans/>"),
        Frame(b"\n\t<openCashier>x</openCashier>", envelope=True),
        Frame(b" <trans>1</trans>"),
        Frame(b"\r\n<endTotals/></transSet>", envelope=True),
        Frame(b"\n", envelope=True),
    ]


def test_the_roots_end_sends_the_last_envelope_without_waiting() -> None:
    framer = XmlElement()
    framer.feed(HEAD + b"<trans/>")
    assert framer.feed(b"<endTotals/></transSet>") == [Frame(b"<endTotals/></transSet>", envelope=True)]


def test_documents_follow_each_other_each_with_its_head() -> None:
    document = b"<?xml version='1.0'?><transSet><trans>1</trans></transSet>"
    assert laws(document * 3) == 3 * cut(XmlElement, document)


def test_a_document_that_lost_its_end_does_not_join_the_next() -> None:
    pieces = laws(b"<transSet><trans/><endTotals/>\n<transSet><trans/></transSet>")
    assert records(pieces) == [b"<trans/>", b"<trans/>"]
    assert envelopes(pieces) == [b"<transSet>", b"<endTotals/>", b"\n<transSet>", b"</transSet>"]


def test_records_need_no_root() -> None:
    assert records(laws(b"<trans>1</trans><trans a='>'>2</trans>")) == [b"<trans>1</trans>", b"<trans a='>'>2</trans>"]


@pytest.mark.parametrize("prefix", ["", "nax:", "n-1.x:"])
def test_any_prefix_is_accepted_and_must_end_what_it_began(prefix: str) -> None:
    event = f'<{prefix}SaleEvent uuid="1"></x:SaleEvent><{prefix}a/></{prefix}SaleEvent >'.encode()
    head = f"<{prefix}NAXML-POSJournal><{prefix}JournalReport>".encode()
    end = f"</{prefix}JournalReport></{prefix}NAXML-POSJournal>".encode()
    assert laws(head + event + end) == [Frame(head, envelope=True), Frame(event), Frame(end, envelope=True)]


def test_passports_declaration_and_every_naxml_event_are_known() -> None:
    events = [b"<%s>1</%s>" % (name, name) for name in (b"SaleEvent", b"RefundEvent", b"VoidEvent")]
    events += [b"<%s/>" % name for name in (b"FinancialEvent", b"OtherEvent")]
    head = b'<?xml version ="1.0" encoding="ISO-8859-1" standalone="no"?>\r\n<NAXML-POSJournal version="3.4">'
    pieces = laws(head + b"".join(events) + b"</NAXML-POSJournal>")
    assert records(pieces) == events
    assert envelopes(pieces)[0] == head
    assert noises(pieces) == []


@pytest.mark.parametrize("opaque", [b"<!-- </trans><trans> -->", b"<![CDATA[</trans><trans>]]>", b"<?p </trans> ?>"])
def test_tags_in_comments_sections_and_instructions_do_not_count(opaque: bytes) -> None:
    record = b"<trans>" + opaque + b"</trans>"
    pieces = laws(b"<transSet>" + opaque + record + opaque + record + b"</transSet>")
    assert records(pieces) == [record, record]
    assert noises(pieces) == []


def test_a_record_of_the_same_name_inside_a_kind_that_nests_is_part_of_it() -> None:
    record = b"<Transaction><Link><Transaction>1</Transaction><Transaction/></Link></Transaction>"
    assert records(laws(b"<POSLog>" + record + record + b"</POSLog>")) == [record, record]


def test_a_configured_element_is_the_record_and_others_are_not() -> None:
    pieces = laws(b"<log><trans/><row>1</row></log>", elements=("row",))
    assert records(pieces) == [b"<row>1</row>"]
    assert envelopes(pieces) == [b"<log><trans/>", b"</log>"]


@pytest.mark.parametrize(
    "damage",
    [
        b"<trans type='sale'><trHeader>",
        b"<trans><!-",
        b'<trans type="sa',
        b"<trans></trans",
        b"<trans></tra\x00ns>",
    ],
)
def test_a_record_that_lost_its_end_costs_nothing_after_it(damage: bytes) -> None:
    good = b"<trans>1</trans>"
    pieces = laws(b"<transSet>" + good + damage + good * 2 + b"</transSet>")
    assert records(pieces) == [good] * 3
    assert noises(pieces) == [("truncated", damage)]


@pytest.mark.parametrize("stop", [b"</transSet>", b"<?xml version='1.0'?><transSet><trans/></transSet>"])
def test_the_end_of_the_root_or_a_new_document_ends_a_damaged_record(stop: bytes) -> None:
    pieces = laws(b"<transSet><trans><a>" + stop)
    assert noises(pieces) == [("truncated", b"<trans><a>")]
    assert b"</transSet>" in envelopes(pieces)


def test_whole_records_inside_a_damaged_one_that_nests_are_saved() -> None:
    whole = b"<Transaction>1</Transaction>"
    pieces = laws(b"<POSLog><Transaction><a>" + whole * 2 + b"\n" + whole + b"</POSLog>")
    assert records(pieces) == [whole, whole, b"\n" + whole]
    assert noises(pieces) == [("truncated", b"<Transaction><a>")]


def test_bytes_that_are_no_markup_are_noise() -> None:
    pieces = laws(b"\x00\xffhello<< <transSet><trans/>\x00\x01<trans/></transSet>bye")
    assert noises(pieces) == [("unframed", b"\x00\xffhello<<"), ("unframed", b"\x00\x01"), ("unframed", b"bye")]
    assert records(pieces) == [b"<trans/>", b"<trans/>"]


def test_a_start_tag_cut_off_in_its_name_is_noise_and_the_next_record_whole() -> None:
    pieces = laws(b"<transSet><trans/><trans<trans>1</trans></transSet>")
    assert records(pieces) == [b"<trans/>", b"<trans>1</trans>"]
    assert noises(pieces) == [("unframed", b"<trans")]


def test_a_record_of_the_limit_is_a_frame_and_a_byte_more_is_noise() -> None:
    fits = b" <trans>" + b"x" * 84 + b"</trans>"
    assert len(fits) == 100
    assert laws(fits, 100) == [Frame(fits)]
    pieces = laws(fits[:-8] + b"x</trans>" + b"<trans>1</trans>", 100)
    assert records(pieces) == [b"<trans>1</trans>"]
    assert {reason for reason, _ in noises(pieces)} == {"oversize"}


def test_an_endless_outer_record_gives_up_its_place_to_the_one_inside() -> None:
    whole = b"<Transaction>1</Transaction>"
    pieces = laws(b"<Transaction>" + whole * 10, 100)
    assert records(pieces) == [whole] * 10
    assert {reason for reason, _ in noises(pieces)} <= {"oversize", "truncated"}


def test_an_endless_envelope_is_noise_until_a_record_starts() -> None:
    pieces = laws(b"<transSet>" + b"<a>1</a>" * 100 + b"<trans/></transSet>", 100)
    assert records(pieces) == [b"<trans/>"]
    assert {reason for reason, _ in noises(pieces)} == {"oversize"}


def test_a_fresh_framer_in_mid_document_cuts_the_same_records() -> None:
    data = (
        HEAD + b"<trans>1</trans>\n<openCashier/><trans><a>2</a></trans><endTotals/></transSet>\n" + HEAD + b"<trans/>"
    )
    expected = records(cut(XmlElement, data))
    assert len(expected) == 3
    for at in range(len(data)):
        pieces = restart(XmlElement, data, at)
        assert records(pieces) == expected
        assert noises(pieces) == []


def test_at_close_an_unfinished_record_is_truncated_and_an_unfinished_tag_after_records_too() -> None:
    assert noises(cut(XmlElement, b"<transSet><trans><a")) == [("truncated", b"<trans><a")]
    pieces = cut(XmlElement, b"<transSet><trans/><endTotals/></transS")
    assert envelopes(pieces) == [b"<transSet>", b"<endTotals/>"]
    assert noises(pieces) == [("truncated", b"</transS")]


FALSE_STARTS = [b"<?x ", b"<!AB ", b"<!-- "]


@pytest.mark.parametrize("start", FALSE_STARTS)
def test_what_only_begins_like_a_section_swallows_no_record(start: bytes) -> None:
    """A false start in noise, then records that trickle in: they come out within the section's longest."""
    framer = XmlElement()
    record = b"<trans>" + b"x" * 486 + b"</trans>"
    pieces = framer.feed(b"\xff" + start + b"\xfe")
    fed = 0
    while not records(pieces):
        pieces += framer.feed(record)
        fed += 1
    assert fed <= (33 if start == b"<!-- " else 1)
    assert b"".join(data for _, data in noises(pieces)) == b"\xff" + start + b"\xfe"
    assert records(pieces) == [record] * fed


@pytest.mark.parametrize("start", FALSE_STARTS)
def test_a_false_start_without_records_is_noise_once_it_is_too_long(start: bytes) -> None:
    framer = XmlElement()
    framer.feed(start)
    for _ in range(17):
        framer.feed(b"y" * 1024)
    assert len(framer.pending) <= 8 << 10
    laws(start + b"y" * 20_000 + b"<trans/>" + start)


@pytest.mark.parametrize("start", FALSE_STARTS)
def test_a_false_start_at_the_end_of_the_input_costs_no_record_behind_it(start: bytes) -> None:
    pieces = laws(start + b"<trans>1</trans>\n<trans>2</trans>")
    assert records(pieces) == [b" <trans>1</trans>", b"\n<trans>2</trans>"]
    assert noises(pieces) == [("unframed", start.rstrip())]


@pytest.mark.parametrize("start", [b"<?x ", b"<!AB "])
def test_a_false_start_inside_a_record_damages_that_one_alone(start: bytes) -> None:
    good = b"<trans>1</trans>"
    whole = b"<trans>" + start + b"y" * 2000 + b"</trans>"
    assert records(laws(b"<transSet>" + good + whole + good + b"</transSet>")) == [good, whole, good]
    pieces = laws(b"<transSet>" + good + b"<trans>" + start + good * 2 + b"</transSet>")
    assert records(pieces) == [good, good, good]
    assert noises(pieces) == [("truncated", b"<trans>" + start)]


def test_a_section_of_its_longest_is_whole_and_a_byte_more_is_none() -> None:
    for start, end, most in ((b"<?x ", b"?>", 1024), (b"<!AB ", b">", 1024), (b"<!-- ", b"-->", 16 << 10)):
        fill = b"y" * (most - len(start) - len(end))
        assert laws(start + fill + end + b"<trans/>") == [Frame(start + fill + end, envelope=True), Frame(b"<trans/>")]
        pieces = laws(start + fill + b"y" + end + b"<trans/>")
        assert (envelopes(pieces), records(pieces)) == ([], [b"<trans/>"])
        assert {reason for reason, _ in noises(pieces)} == {"unframed"}


def test_long_content_in_a_cdata_section_stays_in_its_record() -> None:
    record = b"<trans><![CDATA[" + b"</trans><trans>" * 5000 + b"]]></trans>"
    assert XmlElement().feed(record) == [Frame(record)]


@pytest.mark.parametrize("start", FALSE_STARTS)
def test_a_section_that_begins_in_another_shows_that_the_first_is_none(start: bytes) -> None:
    pieces = laws(b"<transSet>" + start + b"<!-- a --><trans/></transSet>")
    assert envelopes(pieces) == [b"<transSet>" + start + b"<!-- a -->", b"</transSet>"]
    framer = XmlElement()
    framer.feed(start * 5)
    assert framer.pending.strip() == start.strip()
