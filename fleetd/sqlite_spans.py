"""Sets of sequence numbers as disjoint ranges in a table: what continuity is, kept and never recomputed."""

import sqlite3

Span = tuple[int, int]

# The range before `first`, if it reaches that far, and those that start inside: two index look-ups, however many
# ranges a stream has.
_NEAR = """
SELECT * FROM (SELECT first, last FROM span WHERE stream_no = :stream AND layer = :layer AND first < :first
               ORDER BY first DESC LIMIT 1) WHERE last >= :reach
UNION ALL
SELECT first, last FROM span WHERE stream_no = :stream AND layer = :layer AND first BETWEEN :first AND :until
"""


class Spans:
    """One layer of ranges for all streams."""

    def __init__(self, db: sqlite3.Connection, layer: int) -> None:
        self._db = db
        self._layer = layer

    def overlapping(self, stream_no: int, span: Span) -> list[Span]:
        """The ranges that share a number with `span`, ascending."""
        return self._near(stream_no, span, reach=0)

    def add(self, stream_no: int, span: Span) -> None:
        """Unite with `span`, melting together what touches."""
        near = self._near(stream_no, span, reach=1)
        key = (stream_no, self._layer)
        if not near:
            self._db.execute("INSERT INTO span VALUES (?, ?, ?, ?)", (*key, *span))
            return
        first, last = min(near[0][0], span[0]), max(near[-1][1], span[1])
        if near == [(first, last)]:
            return
        if near[0][0] == first:  # grows upwards: what a stream does nearly always
            near = near[1:]
            self._db.execute(
                "UPDATE span SET last = ? WHERE stream_no = ? AND layer = ? AND first = ?", (last, *key, first)
            )
        else:
            self._db.execute("INSERT INTO span VALUES (?, ?, ?, ?)", (*key, first, last))
        if near:
            drop = "DELETE FROM span WHERE stream_no = ? AND layer = ? AND first = ?"
            self._db.executemany(drop, [(*key, start) for start, _ in near])

    def watermark(self, stream_no: int) -> int:
        """The highest number with everything from 1 up to it in the set; 0 if 1 is not."""
        found = self._db.execute(
            "SELECT last FROM span WHERE stream_no = ? AND layer = ? AND first = 1", (stream_no, self._layer)
        ).fetchone()
        return int(found[0]) if found else 0

    def all(self, stream_no: int) -> list[Span]:
        rows = self._db.execute(
            "SELECT first, last FROM span WHERE stream_no = ? AND layer = ? ORDER BY first", (stream_no, self._layer)
        )
        return list(rows)

    def count_in(self, stream_no: int, span: Span) -> int:
        """How many numbers of `span` are in the set."""
        near = self.overlapping(stream_no, span)
        return sum(min(last, span[1]) - max(first, span[0]) + 1 for first, last in near)

    def _near(self, stream_no: int, span: Span, *, reach: int) -> list[Span]:
        first, last = span
        where = {"stream": stream_no, "layer": self._layer, "first": first}
        return list(self._db.execute(_NEAR, {**where, "reach": first - reach, "until": last + reach}))


def holes(spans: list[Span]) -> tuple[Span, ...]:
    """What lies between 1 and the last of ascending, disjoint ranges and in none of them."""
    edges = [(0, 0), *spans]
    return tuple(
        (before[1] + 1, after[0] - 1) for before, after in zip(edges, spans, strict=False) if after[0] > before[1] + 1
    )
