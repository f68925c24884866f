"""The one HTTP client: who it trusts, what it shows of itself, and what it makes of every failure."""

import asyncio
import base64
import gzip
import hashlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from fleetd.init import init
from fleetd.pki import make_ca, make_server
from routerd.cloud import Cloud, KeyFile
from routerd.errors import PermanentError
from routerd.wire.answers import Reaction
from tests.fakes.clock import FakeClock

SECRET = "store-7." + "s" * 43


class Server:
    """A TLS server with our CA's certificate; `answer` may be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.context: ssl.SSLContext
        self.seen: list[web.Request] = []
        self.response = web.Response(body=b"ok", headers={"Routerd-Protocol": "1.0"})
        self.delay = asyncio.Event()
        self.delay.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request)
        await self.delay.wait()
        return self.response


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    init(tmp_path / "ours", [])
    made = Server(tmp_path / "ours")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.folder / "server.pem", made.folder / "server.key")
    made.context = context
    await web.TCPSite(runner, "0.0.0.0", 0, ssl_context=context).start()
    made.port = runner.addresses[0][1]
    yield made
    made.delay.set()
    await runner.cleanup()


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    path = tmp_path / "device.key"
    path.write_text(SECRET + "\n", encoding="ascii")
    path.chmod(0o600)
    return KeyFile(path)


async def ask(
    server: Server, key: KeyFile, *, host: str = "127.0.0.1", ca: Path | None = None, synced: bool = True
) -> tuple[Reaction, str]:
    clock = FakeClock()
    clock.synced = synced
    cloud = Cloud(f"https://{host}:{server.port}", ca or server.folder / "ca.pem", key, 5.0, clock)
    try:
        reply = await cloud.post("/v1/ingest", b"body")
    finally:
        await cloud.close()
    return reply.meaning.reaction, reply.meaning.code


async def test_a_request_says_who_and_what_and_only_to_our_cloud(server: Server, key: KeyFile) -> None:
    assert await ask(server, key) == (Reaction.TAKE, "")
    [request] = server.seen
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    digest = base64.b64encode(hashlib.sha256(b"body").digest()).decode()
    assert request.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert request.headers["Routerd-Protocol"] == "1.0"
    assert request.headers["Content-Type"] == "application/msgpack"
    assert not {"Accept", "Accept-Encoding"} & set(request.headers)


async def test_a_certificate_of_another_ca_is_interception_and_nothing_is_sent(
    server: Server, key: KeyFile, tmp_path: Path
) -> None:
    init(tmp_path / "theirs", [])
    assert await ask(server, key, ca=tmp_path / "theirs" / "ca.pem") == (Reaction.RETRY, "cloud.tls_intercepted")
    assert server.seen == []


async def test_a_certificate_for_another_name_is_told_apart(server: Server, key: KeyFile) -> None:
    assert await ask(server, key, host="127.0.0.2") == (Reaction.RETRY, "cloud.tls_name")
    assert server.seen == []


async def test_a_redirect_is_never_followed(server: Server, key: KeyFile) -> None:
    server.response = web.Response(status=302, headers={"Location": "/elsewhere", "Routerd-Protocol": "1.0"})
    assert await ask(server, key) == (Reaction.CAPTIVE, "cloud.captive")
    assert len(server.seen) == 1


async def test_an_endless_page_is_cut(server: Server, key: KeyFile) -> None:
    server.response = web.Response(body=b"<html>" * 1_000_000)
    assert await ask(server, key) == (Reaction.CAPTIVE, "cloud.captive")


async def test_a_compressed_page_is_not_unpacked(server: Server, key: KeyFile) -> None:
    server.response = web.Response(body=gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"})
    cloud = Cloud(f"https://127.0.0.1:{server.port}", server.folder / "ca.pem", key, 5.0, FakeClock())
    reply = await cloud.post("/v1/ingest", b"")
    await cloud.close()
    assert reply.meaning.reaction is Reaction.CAPTIVE
    assert len(reply.body) < 100_000


async def test_silence_times_out(server: Server, key: KeyFile) -> None:
    server.delay.clear()
    cloud = Cloud(f"https://127.0.0.1:{server.port}", server.folder / "ca.pem", key, 0.3, FakeClock())
    reply = await cloud.post("/v1/ingest", b"")
    await cloud.close()
    assert (reply.meaning.reaction, reply.meaning.code) == (Reaction.RETRY, "cloud.timeout")


async def test_nobody_there_and_no_such_name_are_told_apart(server: Server, key: KeyFile) -> None:
    server.port = 1
    assert await ask(server, key) == (Reaction.RETRY, "cloud.unreachable")
    assert await ask(server, key, host="no-such-cloud.invalid") == (Reaction.RETRY, "cloud.no_dns")


async def test_an_error_code_and_a_told_wait_are_read(server: Server, key: KeyFile) -> None:
    headers = {"Routerd-Protocol": "1.0", "Retry-After": "90"}
    server.response = web.json_response({"error": {"code": "busy"}}, status=503, headers=headers)
    cloud = Cloud(f"https://127.0.0.1:{server.port}", server.folder / "ca.pem", key, 5.0, FakeClock())
    reply = await cloud.post("/v1/ingest", b"")
    await cloud.close()
    assert (reply.meaning.reaction, reply.retry_after_s, reply.detail) == (Reaction.RETRY, 90.0, "HTTP 503 busy")


@pytest.mark.parametrize(
    ("content", "mode", "code"),
    [
        (SECRET, 0o644, "key.exposed"),
        ("store-7.short", 0o600, "key.malformed"),
        ("." + "s" * 43, 0o600, "key.malformed"),
        ("", 0o600, "key.malformed"),
        ("st\u00f6re." + "s" * 43, 0o600, "key.unreadable"),
        (None, 0, "key.unreadable"),
    ],
)
def test_a_key_that_is_none_or_not_ours_alone_is_refused(
    tmp_path: Path, content: str | None, mode: int, code: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(mode)
    with pytest.raises(PermanentError) as caught:
        KeyFile(path)
    assert caught.value.code == code
    assert not content or len(content) < 20 or content not in str(caught.value)


OTHER = "store-8." + "t" * 43


def put(path: Path, line: str, mode: int = 0o600) -> None:
    """Write a key as an installer does: beside it, then in its place."""
    fresh = path.with_suffix(".new")
    fresh.write_text(line, encoding="ascii")
    fresh.chmod(mode)
    fresh.replace(path)


async def test_a_key_put_in_the_files_place_is_taken_without_a_restart(
    server: Server, key: KeyFile, tmp_path: Path
) -> None:
    cloud = Cloud(f"https://127.0.0.1:{server.port}", server.folder / "ca.pem", key, 5.0, FakeClock())
    assert not cloud.renewed()
    put(tmp_path / "device.key", OTHER)
    assert cloud.renewed()
    assert not cloud.renewed()
    await cloud.post("/v1/ingest", b"")
    await cloud.close()
    assert server.seen[0].headers["Authorization"] == f"Bearer {OTHER}"
    assert key.device == "store-8"


def test_the_same_key_written_again_is_no_new_one(key: KeyFile, tmp_path: Path) -> None:
    put(tmp_path / "device.key", SECRET)
    assert not key.renewed()


def test_a_file_that_is_no_key_is_named_each_time_and_the_last_key_stays(key: KeyFile, tmp_path: Path) -> None:
    before = key.headers("POST", "/", "")
    put(tmp_path / "device.key", OTHER, 0o644)
    for _ in range(2):
        with pytest.raises(PermanentError) as caught:
            key.renewed()
        assert caught.value.code == "key.exposed"
    (tmp_path / "device.key").unlink()
    with pytest.raises(PermanentError) as caught:
        key.renewed()
    assert caught.value.code == "key.unreadable"
    assert (key.headers("POST", "/", ""), key.device) == (before, "store-7")
    put(tmp_path / "device.key", OTHER)
    assert key.renewed()


@pytest.fixture
def lapsed(tmp_path: Path) -> Path:
    """A folder whose server certificate, of our own CA, was valid ten years ago."""
    then = datetime.now(UTC) - timedelta(days=3650)
    ca = make_ca(then)
    leaf = make_server(ca, ["127.0.0.1"], then)
    (tmp_path / "lapsed").mkdir()
    for name, content in (("ca.pem", ca.certificate), ("server.pem", leaf.certificate), ("server.key", leaf.key)):
        (tmp_path / "lapsed" / name).write_bytes(content)
    return tmp_path / "lapsed"


async def test_a_router_whose_clock_was_never_set_holds_no_date_against_its_own_cloud(
    lapsed: Path, server: Server, key: KeyFile
) -> None:
    server.context.load_cert_chain(lapsed / "server.pem", lapsed / "server.key")
    assert await ask(server, key, ca=lapsed / "ca.pem") == (Reaction.RETRY, "cloud.tls_time")
    assert await ask(server, key, ca=lapsed / "ca.pem", synced=False) == (Reaction.TAKE, "")
    assert await ask(server, key, synced=False) == (Reaction.RETRY, "cloud.tls_intercepted")
