"""The command line of `make crash`, `make soak` and `make fuzz`."""

import argparse
import json
import logging
import signal
import sys
from collections.abc import Generator, Iterable, Sequence

from scripts.faults import cuts, ext4, tap
from scripts.faults.verdict import Verdict

HELD, BROKEN = 0, 1
_EPILOG = """\
Exit status: 0 everything held, 1 something did not, or nothing could be tried. The last line on stdout is one JSON
object. A cut that fails prints its seed: `cut --seed N` repeats it, `--ext4` on a real file system.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    logging.disable(logging.CRITICAL)  # conditions are raised on purpose, thousands of times
    match arguments.command:
        case "cut":
            told = _cut(arguments)
        case "soak":
            from scripts.faults import soak

            told = soak.run(arguments.minutes, arguments.seed)
        case _:
            from scripts.faults import fuzz

            told = fuzz.run(arguments.seconds, arguments.seed)
    print(json.dumps(told), flush=True)
    return HELD if told["ok"] else BROKEN


def _cut(arguments: argparse.Namespace) -> dict[str, object]:
    count, first = arguments.count, arguments.first
    if arguments.seed is not None:
        first, count = arguments.seed, 1
    if why := tap.missing():
        print(f"no cut can be modelled here: {why}", file=sys.stderr)
        return {"ok": False, "cuts": 0, "why": why}
    total = Total()
    signal.signal(signal.SIGTERM, total.stop)
    if arguments.seed is None or not arguments.ext4:
        total.take("modelled", cuts.many(first, count), say_all=count == 1)
    real = arguments.ext4 if arguments.seed is None else arguments.ext4 and 1
    if real and (why := ext4.unusable()):
        print(f"no cut on a real ext4: {why}", file=sys.stderr)
    elif real:
        total.take("ext4", ext4.many(first, real), say_all=count == 1)
    return total.told()


class Total:
    """What all cuts of one run came to."""

    def __init__(self) -> None:
        self._kinds: dict[str, int] = {}
        self._sums = dict.fromkeys(("lost", "doubled", "wedged", "order_breaks", "liveness", "set_aside", "failed"), 0)
        self._worst_open_ms = 0
        self._stopped = False

    def stop(self, *_: object) -> None:
        """After the cut under way: mounts and folders want undoing."""
        self._stopped = True

    def take(self, kind: str, found: Iterable[tuple[cuts.Cut, Verdict]], *, say_all: bool) -> None:
        for at, verdict in () if self._stopped else found:
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            for name in ("lost", "doubled", "wedged", "order_breaks", "set_aside"):
                self._sums[name] += int(getattr(verdict, name))
            self._sums["liveness"] += verdict.alive
            self._sums["failed"] += bool(verdict.complaints)
            self._worst_open_ms = max(self._worst_open_ms, verdict.open_ms)
            if verdict.complaints or say_all:
                print(f"{kind}, {at}: {verdict.why or 'nothing is missing'}", flush=True)
            if sum(self._kinds.values()) % 200 == 0:
                print(f"{kind}: {self._kinds[kind]} cuts, {self._sums['failed']} failed", file=sys.stderr, flush=True)
            if self._stopped:
                break
        if isinstance(found, Generator):
            found.close()

    def told(self) -> dict[str, object]:
        """`cuts` counts all; `liveness` those after which a fresh record of each source was handed on and kept;
        `set_aside` those that had a damaged file set aside, which loses nothing."""
        cut = sum(self._kinds.values())
        failed = self._sums.pop("failed")
        ok = cut > 0 and failed == 0 and not self._stopped and self._sums["liveness"] == cut
        return {"ok": ok, "cuts": cut, **self._kinds, **self._sums, "worst_open_ms": self._worst_open_ms}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.faults", description=__doc__, epilog=_EPILOG)
    commands = parser.add_subparsers(dest="command", required=True)
    cut = commands.add_parser("cut", help="power cuts and kills of the spool", epilog=_EPILOG)
    cut.add_argument("--count", type=int, default=1000, help="modelled cuts (default %(default)s)")
    cut.add_argument("--ext4", type=int, default=0, metavar="N", help="and N cuts of a real ext4 (root, loop device)")
    cut.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed")
    cut.add_argument("--seed", type=int, metavar="SEED", help="repeat this one; with --ext4 1 on a real ext4")
    soak = commands.add_parser("soak", help="both daemons under mixed faults", epilog=_EPILOG)
    soak.add_argument("--minutes", type=float, default=10.0)
    soak.add_argument("--seed", type=int, default=1)
    fuzz = commands.add_parser("fuzz", help="strange bytes for everything that reads bytes", epilog=_EPILOG)
    fuzz.add_argument("--seconds", type=float, default=60.0)
    fuzz.add_argument("--seed", type=int, default=None)
    return parser
