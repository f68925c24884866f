"""The clocks of routers as the book knows them: boots read, offsets estimated, moments re-dated."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from fleetd.ledger import dating

_BOOTS = """
SELECT no, id, epoch, upper_ms, upper_received_ms, is_live, router_ms, router_mono_ms, first_mono_ms, last_mono_ms,
       first_received_ms, last_received_ms FROM boot WHERE device_no = ? ORDER BY epoch, first_received_ms
"""


@dataclass(frozen=True, slots=True)
class Clock:
    """One boot of a router and the best estimate for it. boot: eight hex digits, as records carry it."""

    boot_no: int
    boot: str
    known: dating.Boot
    offset: dating.Offset


def of_device(db: sqlite3.Connection, device_no: int) -> list[Clock]:
    """In order of boots."""
    rows = list(db.execute(_BOOTS, (device_no,)))
    boots = [dating.Boot(row[2], row[3], row[4], bool(row[5]), *row[6:]) for row in rows]
    offsets = dating.estimate(boots)
    found = zip(rows, boots, offsets, strict=True)
    return [Clock(row[0], row[1].hex(), boot, offset) for row, boot, offset in found]


class Redating:
    """Moments of any device, each device's clocks read once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._offsets: dict[int, dict[int, dating.Offset]] = {}

    def offset(self, device_no: int, boot_no: int) -> dating.Offset:
        if device_no not in self._offsets:
            self._offsets[device_no] = {one.boot_no: one.offset for one in of_device(self._db, device_no)}
        return self._offsets[device_no][boot_no]

    def captured_ms(self, device_no: int, boot_no: int, mono_ms: int) -> int:
        """UTC milliseconds."""
        return mono_ms + self.offset(device_no, boot_no).offset_ms


def devices(db: sqlite3.Connection, device: str = "", store: str = "") -> Iterator[tuple[int, str, str, str]]:
    """(number, id, store, time zone) of those asked for, by store and id; "" asks for any."""
    select = "SELECT no, id, store, timezone FROM device WHERE ? IN ('', id) AND ? IN ('', store) ORDER BY store, id"
    yield from db.execute(select, (device, store))
