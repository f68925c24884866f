"""routerd's framers cut what the simulator writes into exactly the tickets of its truth."""

from random import Random

import pytest
from pos_fakes import framed_by

from routerd.framing import Frame, build
from routerd.tlog import dialect
from scripts.pos.formats import FORMATS, Settings, tickets
from scripts.pos.generate import closed_period


@pytest.mark.parametrize("known", FORMATS)
def test_the_framer_cuts_every_ticket_whole(known: str) -> None:
    sold = list(tickets(Settings(known), 500))
    data = b"".join(ticket.data for ticket in sold)
    framer, rng, pieces, at = framed_by(known), Random(1), [], 0
    while at < len(data):
        size = rng.randrange(1, 4000)
        pieces.extend(framer.feed(data[at : at + size]))
        at += size
    pieces.extend(framer.close())
    assert all(isinstance(piece, Frame) for piece in pieces)
    assert [piece.data for piece in pieces] == [ticket.data for ticket in sold]
    told = {ticket.data for ticket in sold if ticket.kind == "suspended"} if known == "journal" else set()
    assert {piece.data for piece in pieces if isinstance(piece, Frame) and piece.envelope} == told


def test_the_records_of_a_closed_period_are_those_of_its_truth() -> None:
    period = closed_period(Settings("transset"), count=300)
    framer = build("xml-element", {}, dialect("transset").elements)
    pieces = [*framer.feed(period.data), *framer.close()]
    records = [piece.data.strip() for piece in pieces if isinstance(piece, Frame) and not piece.envelope]
    assert records == [ticket.data for ticket in period.tickets]
    facts = [dialect("transset").describe(record) for record in records]
    for fact, ticket in zip(facts, period.tickets, strict=True):
        assert fact.kind == ticket.kind
        assert fact.fallback is (ticket.identity is None)
        assert ticket.identity in (None, fact.identity)
