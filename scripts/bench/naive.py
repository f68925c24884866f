"""A peer for the Commander link: a client that keeps nothing between two polls, neither a cookie nor what it has seen.

It is treated well: it fetches gzip and sends that up as it is, and only bodies count, no TLS and no headers.
"""

import re
import ssl
from dataclasses import dataclass

import aiohttp

from scripts.commander.commander import Commander

_COOKIE = re.compile(r"<cookie>(\w+)</cookie>")


@dataclass(frozen=True, slots=True)
class Cost:
    """What was asked of the POS, and sent up."""

    requests: int = 0
    up_bytes: int = 0


class Naive:
    """Logs in, takes all of `current`, gives the cookie back, sends all of it up."""

    def __init__(self, pos: Commander) -> None:
        self._pos = pos
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE
        self.cost = Cost()

    async def poll(self) -> None:
        site = self._pos.site
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._tls)) as http:
            credential = await self._ask(http, "validate", user=site.user, passwd=site.password)
            found = _COOKIE.search(credential.decode())
            assert found, credential
            document = await self._ask(http, "vtranssetz", cookie=found[1], period="2", filename="current")
            await self._ask(http, "releaseCredential", cookie=found[1])
        self.cost = Cost(self._pos.counters.requests.total(), self.cost.up_bytes + len(document))

    async def _ask(self, http: aiohttp.ClientSession, command: str, **params: str) -> bytes:
        async with http.get(self._pos.url, params={"cmd": command, **params}) as response:
            return await response.read()
