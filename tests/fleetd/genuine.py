"""The genuine Commander days as evidence, read by a reader of the tests' own."""

import re
from collections.abc import Iterator
from functools import cache

from fleetd.ledger.base import COMPLETION, PREPAY, RECALLED, ROLLBACK, SUSPENDED, VOID, Line, Marker, Ticket, Totals
from fleetd.ledger.verdict import Evidence, HeldTicket
from tests.samples import sample

DAYS = ("daily-2026-07-16.311.xml", "daily-2026-07-17.312.xml")
POS_CENTS = {DAYS[0]: 1_198_858, DAYS[1]: 1_151_169}
CLOSED_MS = 1_784_300_000_000
FLAGS = {
    "suspended": SUSPENDED,
    "recalled": RECALLED,
    "fuelPrepay": PREPAY,
    "fuelPrepayCompletion": COMPLETION,
    "rollback": ROLLBACK,
}


def text(body: str, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)<", body)
    return found[1] if found else ""


def cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def ticket(head: str, body: str) -> Ticket:
    kind = re.findall(r'type="([^"]+)"', head)[0]
    flags = {FLAGS[name] for name in re.findall(r'(\w+)="true"', head)} | ({VOID} if kind == "void" else set())
    register, number = re.findall(r"<trTickNum><posNum>(\d+)</posNum><trSeq>(\d+)", body)[0]
    total = cents(text(body, "trTotWTax"))
    is_counted = not flags & {VOID, ROLLBACK, PREPAY, SUSPENDED}
    return Ticket(
        store="0042",
        register=register,
        number=number,
        kind=kind,
        serial=text(body, "trUniqueSN"),
        pos_time=text(body, "date"),
        flags=frozenset(flags),
        total_cents=total,
        counted_cents=total if is_counted else 0,
        is_outside=register.startswith("9") and COMPLETION not in flags,
        linked="/".join(next(iter(re.findall(r"<trOriginalTickNum><posNum>(\d+)</posNum><trSeq>(\d+)", body)), ())),
        lines=tuple(Line(n, "fuel", found) for n, found in enumerate(re.findall(r"<trlDesc>([^<]*)", body))),
    )


def held(one: Ticket, place: int) -> HeldTicket:
    return HeldTicket(one, CLOSED_MS - 60_000, CLOSED_MS - 60_000, "commander", ("commander", place, 0))


def totals(document: str, side: str) -> Totals:
    block = document.split(f"<{side}Totals>")[1].split(f"</{side}Totals>")[0]
    sums = tuple((name, cents(amount)) for name, amount in re.findall(r"<(\w+)>([\d.]+)<", block))
    return Totals(
        side,
        "0042",
        "daily:" + re.findall(r'shortId="(\d+)"', document)[0],
        text(document, "closedTime")[:10],
        text(document, "openedTime"),
        text(document, "closedTime"),
        sums,
    )


def closes(document: str) -> Iterator[Marker]:
    for body in re.findall(r'<trans type="closeCashier">(.*?)</trans>', document):
        register = re.findall(r"<posNum>(\d+)", body)[0]
        count = int(text(body, "ticketCount"))
        yield Marker(
            "0042", register, "close", first=text(body, "beginTicket"), last=text(body, "endTicket"), count=count
        )


@cache
def day(name: str) -> Evidence:
    """One genuine DAILY file, whole, as if pulled in time."""
    document = sample("verifone-commander", name).decode()
    bodies = re.findall(r"<trans ([^>]*)>(.*?)</trans>", document)
    tickets = [ticket(head, body) for head, body in bodies if "<trTotWTax>" in body]
    start, end = totals(document, "start"), totals(document, "end")
    return Evidence(
        name, "daily", "0042", start, end, tuple(held(one, place) for place, one in enumerate(tickets)),
        tuple(closes(document)), 0, CLOSED_MS,
    )  # fmt: skip
