"""The genuine Commander days as evidence: what the decoder reads in them, as if pulled in time."""

import re
from functools import cache

from fleetd.decode import decode
from fleetd.ledger.base import Marker, Ticket, Totals
from fleetd.ledger.verdict import Evidence, HeldTicket
from routerd.model import ENVELOPE, RECORD
from tests.samples import sample

DAYS = ("daily-2026-07-16.311.xml", "daily-2026-07-17.312.xml")
POS_CENTS = {DAYS[0]: 1_198_858, DAYS[1]: 1_151_169}
CLOSED_MS = 1_784_300_000_000


def held(one: Ticket, place: int) -> HeldTicket:
    return HeldTicket(one, CLOSED_MS - 60_000, CLOSED_MS - 60_000, "commander", ("commander", place, 0))


@cache
def day(name: str) -> Evidence:
    """One genuine DAILY file, whole."""
    pieces = re.split(rb"(<trans .*?</trans>)", sample("verifone-commander", name), flags=re.DOTALL)
    said = [one for piece in pieces for one in decode(RECORD if piece.startswith(b"<trans ") else ENVELOPE, piece)]
    tickets = [one for one in said if isinstance(one, Ticket)]
    start, end = (one for one in said if isinstance(one, Totals))
    return Evidence(
        document=name,
        kind="daily",
        store="0042",
        start=start,
        end=end,
        tickets=tuple(held(one, place) for place, one in enumerate(tickets)),
        markers=tuple(one for one in said if isinstance(one, Marker)),
        missing_records=0,
        closed_received_ms=CLOSED_MS,
    )
