"""What can be measured, in the order it is, and how each is run so that a broken one harms no other."""

import importlib
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripts.bench.table import Result, Row


@dataclass(frozen=True, slots=True)
class Run:
    """How to measure: `quick` does about a tenth of the work, `scratch` is a folder on a disk, emptied afterwards."""

    quick: bool
    scratch: Path

    def scaled(self, full: float, quick: float) -> float:
        return quick if self.quick else full


class Measurement(Protocol):
    """Returns rows; raises when it breaks."""

    def __call__(self, run: Run) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Case:
    """A measurement by name. Its module `scripts.bench.<name>` is imported when it is run."""

    name: str
    about: str


CASES = (
    Case("framing", "framers beside bytes.split; masking; a record's way through the CPU"),
    Case("wire", "bytes sent ÷ bytes captured, by codec and dictionary, beside gzip"),
    Case("latency", "last byte at the POS to the cloud's ack, real daemons over TLS; true bytes on the wire"),
    Case("throughput", "megabytes of t-log per CPU-second of routerd, TCP in to acked over TLS; memory meanwhile"),
    Case("live", "CPU per 1,000 tickets at 10 tickets a second"),
    Case(
        "flash", "bytes asked of the block device ÷ bytes captured: online, offline, bulk; the spool on its own clock"
    ),
    Case("flash_daemon", "the same with the real daemon and the kernel's own timers; idle"),
    Case("memory", "resident and private memory when idle, after runs, after a backlog; wake-ups when idle"),
    Case("pull", "a Commander's day of 4 MB polled for an hour: memory, CPU, requests and bytes beside a naive client"),
    Case("start", "instructions from the start to capturing; modules that an idle daemon should not hold"),
)


def measure(case: Case, run: Run) -> Result:
    """Run one measurement. Whatever it breaks with becomes its error."""
    started = time.monotonic()
    try:
        function: Measurement = importlib.import_module(f"scripts.bench.{case.name}").measure
        rows = tuple(function(run))
        return Result(case.name, time.monotonic() - started, rows)
    except Exception as exc:
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        error = f"{type(exc).__name__}: {exc} ({Path(frame.filename).name}:{frame.lineno})"
        return Result(case.name, time.monotonic() - started, error=error)
