"""What goes wrong between the link and its controller: nothing is lost, nothing is stormed, and a person is told."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web

from routerd.capture.commander import inflate
from routerd.capture.commander.controller import Patience, PinnedContext
from routerd.capture.link import Backfill
from routerd.errors import TransientError
from routerd.model import CommanderLink
from scripts.commander import answers
from tests.capture.commanders import (
    PASSWORD,
    Handler,
    HandPace,
    PlainInlet,
    Shop,
    log_in_with,
    open_shop,
    open_stranger,
    polling_stranger,
    transport,
    unjittered,
)
from tests.fakes.inlet import running

OPENING = b'<transSet periodID="2" shortId="311">'
ENTRY = (
    b'<periodInfo><vs:period sysid="2"/><reportParameters><reportParameter name="filename">%s'
    b"</reportParameter></reportParameters></periodInfo>"
)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


def taken(shop: Shop) -> list[str]:
    return [document.name for document in shop.inlet.documents]


def serving(documents: dict[str, bytes], asked: list[str] | None = None) -> Handler:
    """A controller that has these documents, by file name; `asked` hears each command."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if asked is not None:
            asked.append(request.query["cmd"])
        match request.query["cmd"]:
            case "validate":
                return web.Response(body=answers.credential_xml("c0ffee", "1", []))
            case "vtlogpdlist":
                entries = b"".join(ENTRY % name.encode() for name in documents)
                return web.Response(body=b"<periodList>" + entries + b"</periodList>")
            case "vtranssetz":
                return web.Response(body=documents[request.query["filename"]])
        return web.Response(body=answers.released_xml())

    return answer


def sale(number: int) -> bytes:
    return b"<trans><trHeader><uniqueID>1-2-%d</uniqueID></trHeader></trans>" % number


@pytest.mark.parametrize("short", [False, True])
async def test_what_was_cut_is_read_again_at_once_and_its_records_come_once(shop: Shop, short: bool) -> None:
    shop.pos.troubles.cut(2, short=short)
    async with shop.polled(catch_up_days=1) as inlet:
        assert "pos.cut" in inlet.raised
        await shop.pace.elapse(10)
        assert not inlet.raised
        assert taken(shop) == ["daily/2026-11-22.315"]
        assert len(inlet.records) == len(set(inlet.records))
        assert shop.pos.cookies_max == 1


async def test_a_document_that_always_ends_at_the_same_byte_is_told_and_does_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    documents = {"current": OPENING + b"</transSet>", "2026-07-16.311": OPENING + sale(1) + sale(2)[:-9]}
    async with polling_stranger(tmp_path, serving(documents)) as (inlet, pace):
        await pace.elapse(60)
        assert "daily/2026-07-16.311" in inlet.warned["pos.document_truncated"]
        assert inlet.records == [sale(1)]
        assert not inlet.raised
        assert inlet.documents == []
        documents["2026-07-16.311"] = OPENING + sale(1) + sale(2) + b"</transSet>"
        await pace.elapse(3700)
        assert inlet.records == [sale(1), sale(2)]
        assert inlet.warned == {}


async def test_a_connection_that_breaks_every_time_is_not_stormed(shop: Shop) -> None:
    async with shop.polled(catch_up_days=1) as inlet:
        await shop.pace.elapse(300)
        shop.pos.troubles.cut(10_000)
        before = shop.pos.counters.requests["vtranssetz"]
        await shop.pace.elapse(3600)
        assert shop.pos.counters.requests["vtranssetz"] - before <= 12 + 3
        assert "pos.cut" in inlet.raised


async def test_a_current_that_breaks_every_time_does_not_hold_up_closed_days(tmp_path: Path) -> None:
    current = [0]
    good = serving({"2026-07-16.311": OPENING + sale(1) + b"</transSet>"})

    async def growing(request: web.Request) -> web.StreamResponse:
        if request.query.get("filename") == "current":
            current[0] += 1
            return web.Response(body=OPENING + sale(9) * current[0])
        return await good(request)

    async with polling_stranger(tmp_path, growing) as (inlet, pace):
        await pace.elapse(600)
        assert [document.name for document in inlet.documents] == ["daily/2026-07-16.311"]
        assert "pos.cut" in inlet.raised


async def test_a_busy_controller_is_asked_half_as_often_up_to_an_eighth_and_then_more_again(shop: Shop) -> None:
    async with shop.polled(catch_up_days=1, poll_s=100.0) as inlet:
        shop.pos.troubles.unavailable(3)
        shop.pos.troubles.busy(3)
        shop.pace.naps.clear()
        await shop.pace.elapse(100 + 200 + 400 + 4 * 800 - 1)
        assert "pos.busy" in inlet.raised
        await shop.pace.elapse(4 * 100 + 200 + 1)
        assert not inlet.raised
        waits = [round(nap) for nap in shop.pace.naps if nap >= 100]
        assert waits == [200, 400, 800, 800, 800, 800, 400, 200, 100]


async def test_a_slow_answer_is_taken_and_the_next_poll_waits_longer(tmp_path: Path) -> None:
    documents = {"current": OPENING + sale(1) + b"</transSet>", "2026-07-16.311": OPENING + b"</transSet>"}
    quick = serving(documents)
    delay_s, asked_at = [11.0], []
    pace = HandPace()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.query.get("filename") == "current":
            pace.move_to(pace.now_s() + delay_s[0])
            asked_at.append(round(pace.now_s()))
        return await quick(request)

    log_in_with(tmp_path, PASSWORD)
    async with open_stranger(slow) as port:
        inlet = PlainInlet(tmp_path / "scratch")
        async with running(transport(CommanderLink("127.0.0.1", tmp_path / "login", port), pace), inlet):
            await pace.elapse(0)
            assert inlet.records == [sale(1)]
            assert "11 s" in inlet.raised["pos.busy"]
            delay_s[0] = 0.0
            pace.naps.clear()
            await pace.elapse(3600)
            assert not inlet.raised
            polls = [later - earlier for earlier, later in pairwise(asked_at)]
            assert polls[:2] == [600, 300]


async def test_a_controller_that_stops_in_the_middle_is_given_up_and_asked_again(shop: Shop) -> None:
    shop.pos.troubles.stall(1, 2000)
    patience = Patience(silence_s=0.2)
    async with shop.polled(catch_up_days=1, timing=unjittered(patience=patience)) as inlet:
        assert "pos.cut" in inlet.raised
        await shop.pace.elapse(10)
        assert not inlet.raised


async def test_a_controller_that_is_away_is_told_and_found_again_within_seconds(shop: Shop) -> None:
    async with shop.polled(catch_up_days=1) as inlet:
        await shop.pos.go_down()
        await shop.pace.elapse(600)
        assert "pos.unreachable" in inlet.raised
        assert "check that it is on" in inlet.raised["pos.unreachable"]
        await shop.pos.come_up()
        await shop.pace.elapse(10)
        assert not inlet.raised
        assert shop.pos.cookies_max == 1


async def test_another_certificate_stops_everything_until_it_is_accepted(shop: Shop) -> None:
    async with shop.polled(catch_up_days=1) as inlet:
        old, requests = shop.pos.fingerprint, shop.pos.counters.requests.copy()
        assert inlet.notes["certificate"] == old
        await shop.pos.change_certificate()
        await shop.pace.elapse(3000)
        told = inlet.raised["pos.certificate_changed"].replace(":", "").lower()
        assert old in told
        assert shop.pos.fingerprint in told
        assert shop.pos.counters.requests == requests
        with pytest.raises(TransientError) as fault:
            await shop.transport.backfill(Backfill("2026-11-18", "2026-11-18"))
        assert fault.value.code == "pos.certificate_changed"
        inlet.notes["certificate"] = ""
        await shop.pace.elapse(300)
        assert inlet.notes["certificate"] == shop.pos.fingerprint
        assert inlet.raised == {}
        assert shop.pos.counters.requests["vtranssetz"] > requests["vtranssetz"]


async def test_the_certificate_of_an_earlier_run_still_counts(shop: Shop) -> None:
    async with shop.polled():
        pass
    shop.restart(power_cut=True)
    await shop.pos.change_certificate()
    requests = shop.pos.counters.requests.copy()
    async with shop.polled() as inlet:
        assert "pos.certificate_changed" in inlet.raised
    assert shop.pos.counters.requests == requests


async def test_a_port_without_tls_gets_no_login(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    log_in_with(tmp_path, PASSWORD)
    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        inlet, pace = PlainInlet(tmp_path / "scratch"), HandPace()
        async with running(transport(CommanderLink("127.0.0.1", tmp_path / "login", port), pace), inlet):
            await pace.elapse(0)
            assert "check the port" in inlet.raised["pos.tls_failed"]
    assert not any(PASSWORD.encode() in each for each in heard)


def test_tls_1_2_is_the_least() -> None:
    assert PinnedContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "body", [b"hello", b'{"a": 1}', b"<html><body>Printer settings</body></html>", b"\x1f\x8bnot gzip"]
)
async def test_what_is_no_commander_is_told_and_gives_no_data(tmp_path: Path, body: bytes) -> None:
    async def other(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/html")

    async with polling_stranger(tmp_path, other) as (inlet, pace):
        await pace.elapse(3000)
        assert "no Commander" in inlet.raised["pos.auth_failed"] or "broke off" in inlet.raised["pos.auth_failed"]
        assert inlet.drafts == []


@pytest.mark.parametrize(
    ("status", "code"), [(302, "pos.session_lost"), (401, "pos.session_lost"), (404, "pos.not_a_commander")]
)
async def test_what_comes_with_another_status_is_no_data(tmp_path: Path, status: int, code: str) -> None:
    good = serving({})

    async def other(request: web.Request) -> web.StreamResponse:
        if request.query["cmd"] == "vtranssetz":
            body = OPENING + sale(1) + b"</transSet>"
            return web.Response(status=status, headers={"Location": "/elsewhere"}, body=body)
        return await good(request)

    async with polling_stranger(tmp_path, other) as (inlet, pace):
        await pace.elapse(600)
        assert set(inlet.raised) == {code}
        assert inlet.drafts == []


async def test_fewer_records_in_current_show_a_close_that_its_head_hides(tmp_path: Path) -> None:
    asked: list[str] = []
    documents = {"current": OPENING + sale(1) + sale(2) + b"</transSet>"}
    async with polling_stranger(tmp_path, serving(documents, asked)) as (inlet, pace):
        documents["2026-07-16.311"] = documents["current"]
        documents["current"] = OPENING + sale(3) + b"</transSet>"
        await pace.elapse(300)
        assert asked.count("vtlogpdlist") == 2
        assert [document.name for document in inlet.documents] == ["daily/2026-07-16.311"]
        assert inlet.records == [sale(1), sale(2), sale(3)]


async def test_numbers_that_go_back_within_a_day_hide_no_closed_period(tmp_path: Path) -> None:
    whole = OPENING + sale(1) + b"</transSet>"
    documents = {"current": OPENING.replace(b"311", b"312") + b"</transSet>", "2026-07-16.311": whole}
    async with polling_stranger(tmp_path, serving(documents)) as (inlet, pace):
        documents["current"] = OPENING.replace(b"311", b"5") + b"</transSet>"
        documents["2026-07-16.4"] = OPENING + sale(2) + b"</transSet>"
        await pace.elapse(900)
        assert "is 5, and was 312" in inlet.warned["pos.sequence_reset"]
        assert [document.name for document in inlet.documents] == ["daily/2026-07-16.311", "daily/2026-07-16.4"]


async def test_a_document_without_end_is_given_up_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "MAX_DOCUMENT_BYTES", 1 << 20)
    documents = {"current": OPENING + b"</transSet>", "2026-07-16.311": gzip.compress(OPENING + b" " * (2 << 20))}
    async with polling_stranger(tmp_path, serving(documents)) as (inlet, _):
        assert "daily/2026-07-16.311" in inlet.warned["pos.document_oversized"]
        assert not inlet.raised


async def test_a_document_that_is_listed_and_gone_does_not_hold_up_the_others(shop: Shop) -> None:
    async with shop.polled(catch_up_days=3) as inlet:
        shop.pos._books._closed = [book for book in shop.pos._books._closed if book.name != "2026-11-21.314"]  # type: ignore[union-attr]
        await shop.pace.elapse(900)
        assert "daily/2026-11-21.314" in inlet.warned["pos.document_absent"]
        assert taken(shop) == ["daily/2026-11-20.313", "daily/2026-11-22.315"]


async def test_a_user_without_the_right_is_told(tmp_path: Path) -> None:
    async def denying(request: web.Request) -> web.Response:
        if request.query["cmd"] == "validate":
            return web.Response(body=answers.credential_xml("c0ffee", "1", []))
        return web.Response(body=answers.fault_xml(answers.Fault("CGIPortal.AccessDenied", "Access denied")))

    async with polling_stranger(tmp_path, denying) as (inlet, _):
        assert "view transaction logs" in inlet.raised["pos.not_permitted"]


async def test_a_bug_in_the_room_ends_the_link_and_the_cookie_goes_back(shop: Shop) -> None:
    shop.inlet.bug = RuntimeError("a bug")
    link = transport(shop.link(), shop.pace)
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(link.run(shop.inlet), 10)
    assert shop.pos.cookies_in_use == 0
