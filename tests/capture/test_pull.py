"""A document read again and again: each record once, the document's make-up whole, nothing taken for another."""

from pathlib import Path

import pytest

from routerd.capture.pull import key_of
from routerd.model import ENVELOPE, RECORD, Run
from tests.fakes.inlet import FakePullInlet

HEAD = b'<?xml version="1.0"?>\n<transSet periodID="2">\n<startTotals><overallSales>1.00</overallSales></startTotals>'
TAIL = b"\n<endTotals><overallSales>9.00</overallSales></endTotals>\n</transSet>\n"


def sale(number: int, *, total: str = "1.00", unique: bool = True) -> bytes:
    name = b"<uniqueID>1-2-%d</uniqueID>" % number if unique else b""
    header = b"<trHeader><trSeq>%d</trSeq>%s</trHeader>" % (number, name)
    return b'<trans type="sale">%s<trValue><trTotWTax>%s</trTotWTax></trValue></trans>' % (header, total.encode())


def day(*records: bytes) -> bytes:
    return HEAD + b"".join(records) + TAIL


@pytest.fixture
def inlet(tmp_path: Path) -> FakePullInlet:
    return FakePullInlet(tmp_path / "scratch", "transset")


def read(inlet: FakePullInlet, name: str, document: bytes, *, final: bool = True, anew: bool = False) -> bool:
    fetch = inlet.fetch(name, final=final, anew=anew)
    for start in range(0, len(document), 50):
        fetch.feed(document[start : start + 50])
    return fetch.end()


def test_a_growing_document_gives_each_record_once_and_no_envelope(inlet: FakePullInlet) -> None:
    sales = [sale(number) for number in range(1, 6)]
    for upto in (1, 3, 3, 5):
        assert read(inlet, "daily/current", day(*sales[:upto]), final=False)
    assert inlet.records == sales
    assert {draft.kind for draft in inlet.drafts} == {RECORD}
    assert not inlet.taken("daily/current")


def test_the_closed_document_says_what_it_consists_of_without_sending_it_again(inlet: FakePullInlet) -> None:
    sales = [sale(number) for number in range(1, 6)]
    read(inlet, "daily/current", day(*sales[:3]), final=False)
    read(inlet, "daily/2026-07-16.311", day(*sales))
    assert inlet.records == sales
    [document] = inlet.documents
    assert document.name == "daily/2026-07-16.311"
    assert document.frames == 7
    assert document.runs == (Run(1, 4, 4), Run(1, 1, 3), Run(1, 5, 7))
    assert inlet.taken("daily/2026-07-16.311")
    read(inlet, "shift/2026-07-16.391", day(*sales))
    assert inlet.records == sales
    assert inlet.documents[1].runs == document.runs


def test_what_a_restart_remembers_is_not_taken_again(inlet: FakePullInlet, tmp_path: Path) -> None:
    sales = [sale(number) for number in range(1, 4)]
    read(inlet, "daily/current", day(*sales[:2]), final=False)
    inlet.memory.epoch = 2
    later = FakePullInlet(tmp_path / "scratch", "transset", inlet.memory)
    read(later, "daily/1", day(*sales))
    assert later.records == sales[2:]
    assert later.documents[0].runs == (Run(2, 1, 1), Run(1, 1, 2), Run(2, 2, 3))


def test_a_counter_that_was_reset_hides_no_record(inlet: FakePullInlet) -> None:
    read(inlet, "daily/1", day(sale(900), sale(901)))
    read(inlet, "daily/2", day(sale(900, total="2.00"), sale(1)))
    assert len(inlet.records) == 4


def test_records_without_an_id_are_told_apart(inlet: FakePullInlet) -> None:
    first, second = sale(1, unique=False), sale(2, unique=False)
    read(inlet, "daily/1", day(first, second))
    read(inlet, "shift/1", day(first, second))
    assert inlet.records == [first, second]


def test_anew_takes_everything_once_more_but_not_twice(inlet: FakePullInlet) -> None:
    sales = [sale(1), sale(2), sale(2)]
    read(inlet, "daily/1", day(*sales))
    read(inlet, "daily/1", day(*sales), anew=True)
    assert inlet.records == [*sales[:2], *sales[:2]]
    assert inlet.documents[1].runs[0].first > inlet.documents[0].runs[-1].last


@pytest.mark.parametrize("cut", [len(HEAD) + 10, len(day(sale(1))) - len(TAIL), len(day(sale(1))) - 5])
def test_a_document_cut_anywhere_is_not_whole_and_not_taken(inlet: FakePullInlet, cut: int) -> None:
    assert not read(inlet, "daily/1", day(sale(1))[:cut])
    assert not inlet.taken("daily/1")
    assert not inlet.documents
    assert read(inlet, "daily/1", day(sale(1)))
    assert inlet.records == [sale(1)]


def test_the_sum_of_the_frames_is_the_document(inlet: FakePullInlet) -> None:
    document = day(*(sale(number) for number in range(50)))
    read(inlet, "daily/1", document)
    assert b"".join(draft.data for draft in inlet.drafts if draft.kind in (RECORD, ENVELOPE)) == document.rstrip()


def test_a_card_number_reaches_neither_records_nor_memory(inlet: FakePullInlet) -> None:
    open_card = sale(1).replace(
        b"</trans>", b"<trpCardInfo><trpcAccount>4012888888881881</trpcAccount></trpCardInfo></trans>"
    )
    read(inlet, "daily/1", day(open_card))
    masked = open_card.replace(b"4012888888881881", b"401288XXXXXX1881")
    assert inlet.records == [masked]
    assert inlet.memory.find(key_of(masked))
    assert not inlet.memory.find(key_of(open_card))


@pytest.mark.parametrize(
    "document",
    [
        HEAD + sale(1) + TAIL + b"<!-- made by <acme> 3.1 -->\n",
        b"<!-- by <acme> -->" + HEAD.partition(b"?>")[2] + sale(1) + TAIL,
        HEAD + sale(1) + TAIL + b"\0" * 300,
        HEAD + sale(1) + TAIL + b"<?end of file?>",
        b'<?xml version="1.0"?><!DOCTYPE transSet [<!ELEMENT transSet ANY>]>' + HEAD.partition(b"?>")[2] + TAIL,
        b'<?xml version="1.0"?>\n<transSet periodID="2"/>\n',
    ],
)
def test_what_xml_allows_beside_the_root_makes_no_document_less_whole(inlet: FakePullInlet, document: bytes) -> None:
    assert read(inlet, "daily/1", document)
    assert inlet.taken("daily/1")
    assert not read(inlet, "daily/2", document[: document.rindex(b">", 0, len(document) - 60)])


def test_an_end_tag_in_a_comment_closes_nothing(inlet: FakePullInlet) -> None:
    assert not read(inlet, "daily/1", HEAD + sale(1) + b"<!-- </transSet> -->")
    assert not inlet.documents
