"""Bad input and bad luck: each gives one clear condition or error, and everything else goes on."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.router import Router, free_port, serial_source, tcp_source
from tests.fleetd.kit import Cloud

LINES = b"".join(b"sale %d\n" % number for number in range(200))


async def send(port: int, data: bytes) -> None:
    """Everything, then an orderly end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()


def source_of(status: dict, name: str) -> dict:  # type: ignore[type-arg]
    return next(source for source in status["sources"] if source["name"] == name)


@pytest.fixture
def good_port(router: Router, cloud: Cloud) -> int:
    """A source beside the one in trouble, which must not notice."""
    port = free_port()
    router.connect(cloud)
    router.sections = tcp_source("good", port)
    return port


async def good_goes_on(router: Router, port: int) -> None:
    await send(port, LINES)
    await router.until(lambda s: source_of(s, "good")["sum"]["processed"] >= 200)


@pytest.mark.parametrize("framer", ["esc-journal", "xml-element", "vsi-add", "text"])
async def test_random_bytes_are_noise_that_is_kept_and_named(router: Router, good_port: int, framer: str) -> None:
    port = free_port()
    router.sections += tcp_source("noisy", port, framer)
    router.start()
    await router.until(lambda s: source_of(s, "noisy")["state"] == "waiting")
    garbage = os.urandom(300_000)
    await send(port, garbage)
    await router.raised("source.noise")
    await good_goes_on(router, good_port)
    status = await router.drained()
    assert source_of(status, "noisy")["bytes_read"] == len(garbage)


async def test_a_hundred_megabytes_without_a_delimiter_stay_small_in_memory(router: Router, good_port: int) -> None:
    port = free_port()
    router.sections += tcp_source("endless", port, "text", 'framer_options = { start = "BEGIN", end = "END" }')
    router.start()
    await router.until(lambda s: source_of(s, "endless")["state"] == "waiting")
    endless = asyncio.create_task(send(port, b"BEGIN" + b"x" * 100_000_000))
    await good_goes_on(router, good_port)
    await endless
    await router.drained()
    assert router.peak_rss_kb() < 120_000


async def test_a_port_in_use_is_said_and_taken_when_it_is_free(router: Router, good_port: int) -> None:
    port = free_port()
    squatter = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    router.sections += tcp_source("late", port)
    router.start()
    condition = await router.raised("tcp.port_in_use")
    assert str(port) in condition["message"]
    await good_goes_on(router, good_port)
    squatter.close()
    await squatter.wait_closed()
    await router.until(lambda s: not any(c["code"] == "tcp.port_in_use" for c in s["conditions"]))
    await send(port, b"at last\n")
    await router.until(lambda s: source_of(s, "late")["sum"]["processed"] == 1)


async def test_a_serial_port_that_is_none_is_said(router: Router, good_port: int, tmp_path: Path) -> None:
    (tmp_path / "no-tty").write_text("hello", encoding="ascii")
    router.sections += serial_source("file", tmp_path / "no-tty") + serial_source("gone", tmp_path / "nothing")
    router.start()
    await router.raised("serial.not_a_tty")
    await router.raised("serial.absent")
    await good_goes_on(router, good_port)


async def test_a_disk_without_room_is_said_and_records_still_reach_the_cloud(router: Router, good_port: int) -> None:
    router.start("prlimit", "--fsize=500000")
    condition = await router.raised("spool.disk")
    assert "free space" in condition["message"]
    await good_goes_on(router, good_port)
    assert (await router.drained())["sum"]["gaps"] == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[spool]\nring_mbb = 4\n", "ring_mbb is no setting"),
        ("[spool]\nring_mb = -4\n", "out of range"),
        ('[spool]\nring_mb = "4"\n', "whole number"),
        ("[spol]\n", "[spol] is no section"),
        ('[[source]]\nname = "x"\nlink = "usb"\n', "use one of serial, tcp-connect, tcp-listen"),
        ('[[source]]\nname = "x"\nlink = "tcp-connect"\nhost = "pos"\nframer = "text"\n', "lacks port"),
        ('[[source]]\nname = "x"\nlink = "serial"\nport = "/dev/null"\nframer = "tekst"\n', "tekst"),
        ("ring = = 4", "mend the TOML"),
    ],
)
def test_a_wrong_key_stops_the_start_and_names_file_key_and_remedy(tmp_path: Path, text: str, complaint: str) -> None:
    config = tmp_path / "routerd.toml"
    config.write_text('[forward]\nurl = "https://cloud"\n' + text, encoding="utf-8")
    command = [sys.executable, "-m", "routerd.daemon", "check", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 78
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert str(config) in done.stderr


@pytest.fixture
async def html_cloud(router: Router, cloud: Cloud) -> AsyncIterator[None]:
    """Something that holds our cloud's certificate and answers every request with a page."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome to StoreWiFi</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cloud.data / "server.pem", cloud.data / "server.key")
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    router.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield
    await runner.cleanup()


async def test_a_cloud_that_answers_a_page_deletes_nothing(router: Router, good_port: int, html_cloud: None) -> None:
    router.start()
    await router.until(lambda s: source_of(s, "good")["state"] == "waiting")
    await send(good_port, LINES)
    await router.raised("cloud.captive")
    status = await router.until(lambda s: s["sum"]["captured"] == 200)
    assert status["sum"]["queued"] == 200


async def test_without_a_key_capture_goes_on(router: Router, good_port: int, tmp_path: Path) -> None:
    key = router.key_file
    router.key_file = tmp_path / "absent.key"
    router.start()
    await router.raised("key.unreadable")
    await send(good_port, LINES)
    status = await router.until(lambda s: s["sum"]["queued"] == 200)
    assert status["state"] == "degraded"
    assert router.stop() == 0
    router.key_file = key
    router.start()
    await router.until(lambda s: s["sum"]["processed"] == 200)


async def test_a_second_daemon_on_the_same_spool_is_refused(router: Router, good_port: int) -> None:
    router.start()
    await router.until(lambda s: True)
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "routerd.daemon", "--config", str(router.config)), stderr=subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert b"another routerd" in said
    await good_goes_on(router, good_port)
