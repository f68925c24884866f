"""Both planes on a real TLS server, and routers that speak to them as the protocol says."""

import asyncio
import functools
import os
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from fleetd import pki
from fleetd.enroll.front import Parts
from fleetd.enroll.planes import Planes
from fleetd.enroll.presence import Roster
from fleetd.enroll.signed import SignedAuthenticator, wall_ms
from fleetd.enroll.signer import Keyring
from fleetd.enroll.sqlite_registry import SqliteRegistry
from fleetd.http import Connection, answers
from routerd.wire import polling, signing
from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER
from routerd.wire.base64url import encode
from routerd.wire.commands import CommandKey, Result, check, result_values
from routerd.wire.ed25519 import SigningKey
from routerd.wire.enrollment import pack_enroll
from routerd.wire.fields import pack
from routerd.wire.polling import Poll, PollAnswer, Vitals
from routerd.wire.signing import Boot, Target
from tests.fleetd.enroll_kit import Box, add_token, prepare

READ_KEY, OPERATE_KEY, TIME_KEY = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
VITALS = Vitals(0, 0, 1, 1, "synced", 0, 8, "cfg", "")
TRUSTED = {
    "c1": CommandKey(READ_KEY.public, frozenset({"read"})),
    "c2": CommandKey(OPERATE_KEY.public, frozenset({"read", "operate"})),
}
KEYRING = Keyring({"c1": (READ_KEY, frozenset({"read"})), "c2": (OPERATE_KEY, frozenset({"read", "operate"}))})


class Clock:
    """The wall clock of the server, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return wall_ms() + self.ahead_ms


class WatchedRoster(Roster):
    """Says when a poll has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def begin(self, device: str, wait_s: int, ip: str, now_ms: int) -> None:
        super().begin(device, wait_s, ip, now_ms)
        self.begun.set()


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes
    json: Any

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


@dataclass
class Site:
    """A running server; `registry` may be read by a test while no request is under way."""

    registry: SqliteRegistry
    planes: Planes
    parts: Parts
    session: aiohttp.ClientSession
    authority: str
    admitted: list[tuple[str, str]]
    clock: Clock
    roster: WatchedRoster
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Any = None) -> Reply:
        url = f"https://{self.authority}{path}"
        async with self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            data = await answer.read()
            is_json = answer.content_type == "application/json"
            return Reply(answer.status, answer.headers, data, await answer.json() if is_json else None)

    async def act(self, path: str, said: Any = None, tenant: str = "t1", method: str = "POST") -> Reply:
        """As a person with every scope of a tenant."""
        body = pack(said) if said is not None else b""
        return await self.ask(method, path, body, self.tokens[tenant])

    async def see(self, path: str, tenant: str = "t1") -> Reply:
        return await self.act(path, tenant=tenant, method="GET")


@asynccontextmanager
async def running(folder: Path, **parts: Any) -> AsyncIterator[Site]:
    """With the two tenants of `prepare`, and a token for each."""
    registry = SqliteRegistry(folder / "registry.db")
    prepare(registry)
    tokens = {tenant: add_token(registry, tenant) for tenant in ("t1", "t2")}
    authorities: set[str] = set()
    keys = [os.urandom(32)]
    admitted: list[tuple[str, str]] = []
    clock, roster = Clock(), WatchedRoster()
    with ThreadPoolExecutor(1) as thread:
        made: dict[str, Any] = {
            "registry": registry,
            "thread": thread,
            "authenticator": SignedAuthenticator(registry, keys, authorities, now_ms=clock.now_ms),
            "now_ms": clock.now_ms,
            "roster": roster,
            "nonce_keys": keys,
            "signer": KEYRING,
            "time_key": ("t1", TIME_KEY),
            "admitted": lambda device, store: admitted.append((device, store)),
        }
        planes = Planes(Parts(**(made | parts)))
        async with _listening(planes, folder) as (port, tls):
            authorities.add(f"127.0.0.1:{port}")
            connector = aiohttp.TCPConnector(ssl=tls, limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                told = (f"127.0.0.1:{port}", admitted, clock, roster, tokens)
                yield Site(registry, planes, planes.front.parts, session, *told)
    registry.close()


@asynccontextmanager
async def _listening(planes: Planes, folder: Path) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    ca = pki.make_ca(pki.utc_now())
    pair = pki.make_server(ca, ["127.0.0.1"], pki.utc_now())
    (folder / "server.pem").write_bytes(pair.certificate)
    (folder / "server.key").write_bytes(pair.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "server.pem", folder / "server.key")
    app = web.Application(middlewares=[answers, planes.front.fresh])
    planes.mount(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    loop = asyncio.get_running_loop()
    settings: dict[str, Any] = {"access_log": None, "auto_decompress": False}
    listener = await loop.create_server(
        functools.partial(Connection, runner.server, loop=loop, **settings), "127.0.0.1", 0, ssl=serving
    )
    try:
        yield listener.sockets[0].getsockname()[1], ssl.create_default_context(cadata=ca.certificate.decode())
    finally:
        planes.release()
        listener.close()
        await runner.cleanup()


class Router:
    """A box with a daemon that runs: a boot id, a count, the newest nonce."""

    def __init__(self, site: Site, box: Box) -> None:
        self.site, self.box = site, box
        self.device = ""
        self.reboot()

    def reboot(self) -> None:
        self.boot, self.count, self.nonce = encode(os.urandom(16)), 0, ""

    async def time(self) -> Reply:
        reply = await self.site.ask("GET", f"/v1/time?c={encode(os.urandom(16))}")
        self.nonce = reply.json["nonce"]
        return reply

    def headers(self, path: str, body: bytes) -> dict[str, str]:
        self.count += 1
        target = Target("POST", self.site.authority, path)
        digest = signing.content_digest(body)
        signed = signing.sign(target, digest, Boot(self.boot, self.count), self.nonce, self.box.key)
        return signed | {PROTOCOL_HEADER: PROTOCOL}

    async def post(self, path: str, body: bytes) -> Reply:
        if not self.nonce:
            await self.time()
        reply = await self.site.ask("POST", path, body, self.headers(path, body))
        self.nonce = reply.headers["Routerd-Nonce"]
        return reply

    async def enroll(self) -> Reply:
        await self.time()
        reply = await self.post("/v1/enroll", pack_enroll(self.box.request(self.nonce)))
        if reply.status in (200, 201):
            self.device = reply.json["device_id"]
        return reply

    async def poll(self, wait_s: int = 0, **said: Any) -> PollAnswer:
        reply = await self.polled(wait_s, **said)
        assert reply.status == 200, reply.body
        return polling.read_poll_answer(reply.body)

    async def polled(self, wait_s: int = 0, **said: Any) -> Reply:
        return await self.post("/v1/poll", polling.pack_poll(Poll(wait_s, 1, VITALS, **said)))

    async def run(self, answer: PollAnswer, data: Any = None) -> list[Reply]:
        """Check what came as a router does, and post a result for each."""
        done = []
        for envelope in answer.commands:
            command = check(envelope, self.device, TRUSTED, wall_ms())
            body = pack(result_values(Result(command.id, "ok", 3, data or {"kind": command.kind})))
            done.append(await self.post(f"/v1/results/{command.id}", body))
        return done


async def active(site: Site, number: int = 1, store: str = "s1", **changed: Any) -> Router:
    """A router that is in."""
    router = Router(site, Box(number, **changed))
    csv = f"serial,store_id\n{router.box.serial},{store}\n".encode()
    assert (await site.ask("POST", "/mnsp/v1/manifests", csv, site.tokens["t1"])).status == 200
    assert (await router.enroll()).status == 201
    return router
