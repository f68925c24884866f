"""What happens when, in seconds after the first ticket. Pure: the same seed makes the same plan."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

SECONDS = 45.0  # of selling; setting up, draining and comparing make it a minute
MIN_SECONDS = 10.0  # below, a cut and a kill leave no time to recover before the end
CUT_SHARES = (0.35, 0.62)  # of the selling time: the WAN is away in the middle
KILL_SHARES = (0.12, 0.75)  # the kill falls before, into or after the cut
COME_BACK_S = (
    8.0  # from the kill to the end at least: a serial line that closes while nobody reads loses its last bytes
)
AROUND_S = 20.0  # what setting up, draining and comparing take together; only the progress bar believes it
DEADLINE_SLACK_S = 100.0  # a machine that is so slow is broken: say so rather than hang


@dataclass(frozen=True, slots=True)
class Source:
    """One POS. `option` is the simulator's for it, `rows` are routerd's configuration but for the link's place. One
    without an option does not speak by itself: it is read, and keeps what it sold."""

    name: str
    says: str
    option: str
    link: str
    rows: tuple[tuple[str, str], ...]


SOURCES = (
    Source("serial-1", "serial, ESC journal", "--serial", "serial", (("framer", '"esc-journal"'),)),
    Source(
        "xml-tcp-2",
        "POS dials, XML",
        "--xml-tcp",
        "tcp-listen",
        (("framer", '"xml-element"'), ("dialect", '"transset"')),
    ),
    Source(
        "text-tcp-3",
        "routerd dials, text",
        "--text-tcp",
        "tcp-connect",
        (
            ("framer", '"text"'),
            (
                "framer_options",
                '{ start = "*** TICKET START ***", end = "*** TICKET END ***", line = "\\\\r\\\\n" }',
            ),
        ),
    ),
    Source(
        "stx-tcp-4",
        "POS dials, STX/ETX",
        "--stx-tcp",
        "tcp-listen",
        (("framer", '"text"'), ("framer_options", '{ mode = "stx" }')),
    ),
)

COMMANDER, PASSPORT = "commander-5", "passport-6"
READ = (
    Source(
        COMMANDER,
        "HTTPS, once a minute",
        "",
        "commander",
        (("poll_s", "60"), ("pull_gap_s", "0")),  # no link of a store may ask more often
    ),
    Source(PASSPORT, "folder, NAXML files", "", "folder", (("poll_s", "1"), ("settle_s", "1"))),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """`cut_s` is (from, until); None for what shall not happen."""

    seed: int
    seconds: float
    rate: float
    cut_s: tuple[float, float] | None
    kill_s: float | None
    tlog: Path | None = None

    @property
    def expected_s(self) -> float:
        return self.seconds + AROUND_S

    @property
    def deadline_s(self) -> float:
        return self.seconds + DEADLINE_SLACK_S


def draw(seed: int, seconds: float, rate: float, *, cut: bool = True, kill: bool = True) -> Plan:
    """The plan of a seed."""
    latest_s = min(KILL_SHARES[1] * seconds, seconds - COME_BACK_S)
    at_s = round(Random(seed).uniform(KILL_SHARES[0] * seconds, latest_s), 1)
    cut_s = (round(CUT_SHARES[0] * seconds, 1), round(CUT_SHARES[1] * seconds, 1))
    return Plan(seed, seconds, rate, cut_s if cut else None, at_s if kill else None)
