"""Announcements on the LAN, heard by a short-lived helper process, so that its memory and wake-ups do not stay."""

import asyncio
import json
import logging
import sys
from collections.abc import Iterable, Sequence

from routerd.discover.evidence import HINTED, HOSTNAME, MDNS, MODEL, Sighting, hints, ipv4_of
from routerd.discover.kernel import Report

log = logging.getLogger("routerd.discover")

LISTEN_S = 8.0  # announcements come at once and a second later (RFC 6762, 8.3); neighbours answer within seconds
REST_S = 3600.0  # between two scans, however many devices appear (product research 1.1)
_GRACE_S = 15.0  # a slow router needs this long to import zeroconf
_HELPER = (sys.executable, "-m", "routerd.discover.announce")


class Announcements:
    """Listens once after the start and again when somebody new has appeared, at most every REST_S.

    addresses: the router's own on the approved interfaces; none means off.
    ask: service types to query for (`_ipp._tcp`); none means listening only.
    """

    def __init__(
        self, addresses: Iterable[str], ask: Iterable[str] = (), *, rest_s: float = REST_S, listen_s: float = LISTEN_S
    ) -> None:
        self._addresses = tuple(addresses)
        self._ask = tuple(ask)
        self._rest_s = rest_s
        self._listen_s = listen_s
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Listen again, when the rest is over."""
        self._nudged.set()

    async def run(self, report: Report) -> None:
        """Report until cancelled; the helper never outlives it."""
        while self._addresses:
            self._nudged.clear()
            if found := parse(await self._listen()):
                report(found)
            await asyncio.sleep(self._rest_s)
            await self._nudged.wait()

    async def _listen(self) -> str:
        asked = [word for kind in self._ask for word in ("--ask", kind)]
        command: Sequence[str] = (*_HELPER, f"{self._listen_s:g}", *self._addresses, *asked)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._listen_s + _GRACE_S):
                output, _ = await process.communicate()
        except TimeoutError:
            log.warning("listening to announcements took too long: given up")
            return ""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            log.warning("listening to announcements failed (%d): is zeroconf installed?", process.returncode)
        return output.decode("utf-8", "replace")


def parse(text: str) -> list[Sighting]:
    """The helper's lines as hints for whoever has the address. Pure; lines that are none are skipped."""
    found = []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not isinstance(row.get("address"), str):
            continue
        texts = {key: value for key, value in row.items() if isinstance(value, str)}
        if place := ipv4_of(texts["address"]):
            kinds = [(MDNS, "type"), (MODEL, "model"), (MODEL, "name"), (HOSTNAME, "host")]
            told = hints((kind, texts.get(key, "")) for kind, key in kinds)
            found.append(Sighting("", place, HINTED, hints=told))
    return found
