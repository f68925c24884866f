"""A child process: started with a log of its own, stopped in order, and gone when the demo is. Shell; Linux."""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 15.0  # routerd brings everything to flash and fleetd answers what is under way: less than a second each
TAIL_LINES = 15
LOOK_S = 0.05
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who started it."""


class Child:
    """`python -m …` in the repository, its output in `log`; `ends`: by itself. After `kill` it may be started again."""

    def __init__(self, name: str, log: Path, *words: str, ends: bool = False) -> None:
        self.name, self.log, self._ends = name, log, ends
        self._words = words
        self._process: asyncio.subprocess.Process | None = None
        self._leaving = False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        self._process = None  # until the new one is there, the old one's end is nobody's fault
        self._leaving = False
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *self._words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C is ours to hand on
                preexec_fn=_die_with_parent,
            )

    def tell(self, number: signal.Signals) -> None:
        """A signal that it knows, and does not end at."""
        assert self._process, "started before"
        self._process.send_signal(number)

    async def finish(self, within_s: float) -> None:
        """Wait for a child that ends by itself. Raises DemoError when it fails or does not end in time."""
        self._leaving = True
        assert self._process, "started before"
        try:
            await asyncio.wait_for(self._process.wait(), within_s)
        except TimeoutError:
            raise DemoError(f"{self.name} was not through after {within_s:.0f} s\n{self.tail()}") from None
        if self._process.returncode:
            raise self.trouble()

    async def stop(self) -> None:
        """SIGTERM, and no patience without end. Raises DemoError when it did not stop in order."""
        if self._process is None or self._leaving:
            return
        self._leaving = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise DemoError(f"{self.name} did not stop within {STOP_S:.0f} s of SIGTERM\n{self.tail()}") from None
        if self._process.returncode:
            raise self.trouble()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._leaving = True
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def said(self, pattern: str, within_s: float) -> re.Match[str]:
        """Wait until its log has a match. Raises DemoError when it ends first or says nothing of the kind in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (found := re.search(pattern, self.log.read_text(errors="replace"))):
                    if self.code is not None:
                        raise self.trouble()
                    await asyncio.sleep(LOOK_S)
                return found
        raise DemoError(f"{self.name} was not ready within {within_s:.0f} s\n{self.tail()}")

    def check(self) -> None:
        """Raises DemoError when it ended and nobody asked it to; in order, `ends` allows it."""
        if self.code is not None and not self._leaving and (self.code or not self._ends):
            raise self.trouble()

    def trouble(self) -> DemoError:
        return DemoError(f"{self.name} ended with status {self.code}; the end of {self.log}:\n{self.tail()}")

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:]) or "  (it said nothing)"

    def device_bytes(self) -> int:
        """What the kernel has sent to storage for it so far (proc(5), write_bytes); 0 where it does not count."""
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.pid}/io").read_text().splitlines():
                if line.startswith("write_bytes:"):
                    return int(line.split()[1])
        return 0


async def outcome(*words: str) -> tuple[int, bytes, str]:
    """Run `python -m …` to its end: status, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, out, err.decode(errors="replace")


def _die_with_parent() -> None:
    """In the child, before exec: however the demo ends, nothing of it goes on."""
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
