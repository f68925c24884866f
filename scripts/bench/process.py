"""What /proc says of a process: CPU, memory, wake-ups."""

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.1
MIB = float(1 << 20)


def cpu_s(pid: int) -> float:
    """User and system time of all threads so far, also of ended ones."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime, stime: proc(5)


def memory_mib(pid: int) -> tuple[float, float]:
    """(resident, private): Rss and Anonymous of smaps_rollup."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) << 10
    return found["Rss"] / MIB, found["Anonymous"] / MIB


def wakeups(pid: int) -> int:
    """Voluntary context switches over all threads that live."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def is_traced(pid: int) -> bool:
    """Whether somebody debugs or profiles the process just now, which changes what it does."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return "TracerPid:\t0\n" not in status


class Peak:
    """The highest private memory while the block runs, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.resident_mib = self.private_mib = 0.0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            try:
                resident, private = memory_mib(self._pid)
            except OSError:
                return
            self.resident_mib = max(self.resident_mib, resident)
            self.private_mib = max(self.private_mib, private)
