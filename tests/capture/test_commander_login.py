"""A login is tried once; what it is stays between the file and the POS; cookies are given back."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from routerd.model import CommanderLink
from scripts.commander import answers
from scripts.commander.sessions import Site
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
)
from tests.fakes.inlet import running

WRONG = "N0t-the-password"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


async def test_a_refused_login_is_tried_once_in_a_hundred_polls_and_two_restarts(shop: Shop) -> None:
    log_in_with(shop.folder, WRONG)
    for power_cut in (False, True, False):
        async with shop.polled() as inlet:
            assert "Invalid Credentials" in inlet.raised["pos.auth_failed"]
            assert "write" in inlet.raised["pos.auth_failed"]
            await shop.pace.elapse(100 * 300)
            assert "pos.auth_failed" in inlet.raised
        shop.restart(power_cut=power_cut)
    assert shop.pos.counters.requests == {"validate": 1}
    assert not shop.pos.locked


async def test_a_corrected_login_file_is_used_without_a_restart(shop: Shop) -> None:
    log_in_with(shop.folder, WRONG)
    async with shop.polled() as inlet:
        await shop.pace.elapse(3000)
        log_in_with(shop.folder, PASSWORD)
        await shop.pace.elapse(300)
        assert not inlet.raised
        assert inlet.records
        assert inlet.notes["refused"] == ""
    assert shop.pos.counters.refused_logins == 1


async def test_a_login_file_written_anew_with_the_same_content_is_not_tried_again(shop: Shop) -> None:
    log_in_with(shop.folder, WRONG)
    async with shop.polled():
        for _ in range(3):
            log_in_with(shop.folder, WRONG)
            await shop.pace.elapse(300)
    assert shop.pos.counters.requests["validate"] == 1


async def test_another_address_is_another_login(shop: Shop, tmp_path: Path) -> None:
    log_in_with(shop.folder, WRONG)
    async with shop.polled():
        pass
    shop.restart()
    async with shop.polled(host="localhost"):
        pass
    assert shop.pos.counters.requests["validate"] == 2


async def test_a_locked_account_is_left_alone(tmp_path: Path) -> None:
    async with open_shop(tmp_path, Site(lock_after=1)) as shop:
        log_in_with(shop.folder, WRONG)
        async with shop.polled() as inlet:
            await shop.pace.elapse(3000)
            assert "locked" in inlet.raised["pos.auth_failed"]
        assert shop.pos.counters.requests["validate"] == 1


@pytest.mark.parametrize("otp", ["", "1111"])
async def test_a_one_time_password_that_is_missing_or_used_up_is_a_refused_login(tmp_path: Path, otp: str) -> None:
    async with open_shop(tmp_path, Site(otp="2222")) as shop:
        log_in_with(shop.folder, PASSWORD, otp)
        async with shop.polled() as inlet:
            await shop.pace.elapse(3000)
            assert "OTP" in inlet.raised["pos.auth_failed"]
            assert shop.pos.counters.requests == {"validate": 1}
            log_in_with(shop.folder, PASSWORD, "2222")
            await shop.pace.elapse(300)
            assert not inlet.raised


async def test_a_login_that_cannot_be_noted_is_not_sent(shop: Shop) -> None:
    log_in_with(shop.folder, WRONG)
    shop.inlet.unwritable = {"refused"}
    async with shop.polled() as inlet:
        await shop.pace.elapse(3000)
        assert "spool.disk" in inlet.raised
        assert shop.transport.requests == 0
        inlet.unwritable = set()
        await shop.pace.elapse(3000)
        assert inlet.notes["refused"]
    assert shop.pos.counters.requests == {"validate": 1}


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o600, "No such file"),
        ("router\nsecret-1", 0o640, "read by others"),
        ("router", 0o600, "write the user"),
        ("\n\n", 0o600, "write the user"),
        ("router\nsecret-\udcff", 0o600, "no text"),
    ],
)
async def test_a_login_file_that_cannot_be_used_is_told_and_nothing_is_sent(
    shop: Shop, content: str | None, mode: int, words: str
) -> None:
    path = shop.folder / "login"
    path.unlink()
    if content is not None:
        path.write_bytes(content.encode(errors="surrogateescape"))
        path.chmod(mode)
    async with shop.polled() as inlet:
        assert words in inlet.raised["pos.login_file"]
        assert "secret" not in inlet.raised["pos.login_file"]
        assert shop.transport.requests == 0
        log_in_with(shop.folder, PASSWORD)
        await shop.pace.elapse(300)
        assert not inlet.raised


async def test_a_cookie_that_ran_out_costs_one_login(shop: Shop) -> None:
    async with shop.polled() as inlet:
        shop.pos.forget_cookies()
        await shop.pace.elapse(300)
        assert not inlet.raised
        assert shop.pos.counters.logins == 2
        assert inlet.failures == []


async def test_a_login_page_for_a_cookie_that_ran_out_costs_one_login_and_is_no_data(tmp_path: Path) -> None:
    async with open_shop(tmp_path, Site(login_page=True)) as shop, shop.polled() as inlet:
        shop.pos.forget_cookies()
        await shop.pace.elapse(300)
        assert shop.pos.counters.logins == 2
        assert not inlet.raised
        assert not any(b"html" in draft.data for draft in inlet.drafts)


async def test_a_login_page_right_after_a_login_is_told_and_not_stormed(tmp_path: Path) -> None:
    asked: list[str] = []

    async def pages(request: web.Request) -> web.Response:
        asked.append(request.query["cmd"])
        if asked[-1] == "validate":
            return web.Response(body=answers.credential_xml("c0ffee", "1", []))
        return web.Response(body=answers.LOGIN_PAGE, content_type="text/html")

    async with polling_stranger(tmp_path, pages) as (inlet, pace):
        assert "pos.session_lost" in inlet.raised
        await pace.elapse(24 * 3600)
        assert asked.count("validate") <= 40  # every eighth poll
        assert asked.count("releaseCredential") == asked.count("validate")
        assert inlet.drafts == []


async def test_a_crash_leaves_one_cookie_and_the_next_run_goes_on_with_it(shop: Shop) -> None:
    async with shop.polled():
        crashed = shop.inlet.scratch.read_bytes()
        shop.pos.troubles.unavailable(1)  # the release fails, as it does in a crash
    assert shop.pos.cookies_in_use == 1
    assert shop.inlet.scratch.read_bytes() == crashed
    shop.restart()
    async with shop.polled():
        assert shop.pos.counters.logins == 1
        assert shop.pos.cookies_max == 1
    assert shop.pos.cookies_in_use == 0


async def test_a_cookie_is_never_shown_to_another_controller(shop: Shop) -> None:
    async with shop.polled():
        shop.pos.troubles.unavailable(1)
    shop.restart()
    await shop.pos.change_certificate()
    shop.inlet.notes["certificate"] = ""
    async with shop.polled():
        assert shop.pos.counters.logins == 2


async def test_every_cookie_in_use_elsewhere_is_told_and_waited_for(tmp_path: Path) -> None:
    async with open_shop(tmp_path, Site(max_cookies=0)) as shop, shop.polled() as inlet:
        assert "source.contended" in inlet.raised
        await shop.pace.elapse(24 * 3600)
        assert shop.pos.counters.requests["validate"] <= 40
        assert inlet.notes["refused"] == ""


async def test_neither_password_nor_cookie_is_ever_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_shop(tmp_path, Site(otp="9876")) as shop:
        log_in_with(shop.folder, PASSWORD, "9876")
        await hear_all(shop, caplog)


async def hear_all(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    async with shop.polled() as inlet:
        cookie = inlet.scratch.read_text().split()[-1]
        shop.pos.troubles.cut(3)
        shop.pos.troubles.unavailable(2)
        shop.pos.troubles.busy(2)
        await shop.pace.elapse(3600)
        await shop.pos.go_down()
        await shop.pace.elapse(3600)
        said = [message for _, message in inlet.failures] + list(inlet.warned.values()) + list(inlet.notes.values())
        for secret in (PASSWORD, "9876", cookie, "CGILink"):
            assert secret not in "\n".join([*said, caplog.text])


async def test_what_a_controller_echoes_of_the_login_is_not_repeated(tmp_path: Path) -> None:
    async def echo(request: web.Request) -> web.Response:
        words = f"Login failed for passwd={request.query['passwd']}"
        return web.Response(body=answers.fault_xml(answers.Fault("CGIPortal.InternalError", words)))

    async with polling_stranger(tmp_path, echo) as (inlet, _):
        assert "Login failed" in inlet.raised["pos.auth_failed"]
        assert PASSWORD not in inlet.raised["pos.auth_failed"] + inlet.notes["refused"]


async def test_a_cookie_renewed_in_an_answer_is_adopted(tmp_path: Path) -> None:
    used: list[str] = []

    async def renewing(request: web.Request) -> web.Response:
        cmd = request.query["cmd"]
        used.append(request.query.get("cookie", ""))
        if cmd == "validate":
            return web.Response(body=answers.credential_xml("first", "1", []))
        if cmd == "vtlogpdlist":
            return web.Response(body=b"<periodList><cookie>second</cookie></periodList>")
        return web.Response(body=b"<transSet></transSet>")

    async with polling_stranger(tmp_path, renewing) as (inlet, pace):
        assert inlet.scratch.read_text().split()[-1] == "second"
        await pace.elapse(300)
    assert used == ["", "first", "first", "second", "second"]
    assert not inlet.scratch.exists()


REFUSAL = answers.fault_xml(answers.WRONG)


async def too_long(request: web.Request) -> web.StreamResponse:
    assert request.transport
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(REFUSAL) + 9)
    request.transport.write(head + REFUSAL)  # type: ignore[attr-defined]
    request.transport.close()
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(REFUSAL)
    assert request.transport
    request.transport.close()
    return response


def saying(words: str, status: int = 200) -> Handler:
    async def fault(request: web.Request) -> web.StreamResponse:
        told = answers.Fault("CGIPortal.InternalError", words)
        return web.Response(status=status, body=answers.fault_xml(told))

    return fault


def bare(status: int) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    return answer


@pytest.mark.parametrize(
    "handler",
    [
        too_long,
        endless,
        saying("Authentication failure. Please try again."),
        saying("Invalid user id or PIN; check and try again"),
        saying("Login failed, server busy, try again"),
        saying("Too many invalid credentials"),
        saying("Access denied", 500),
        saying("Something went wrong", 503),
        bare(401),
        bare(500),
        bare(302),
        bare(404),
    ],
)
async def test_a_login_that_may_have_been_refused_is_sent_once_also_after_a_power_cut(
    tmp_path: Path, handler: Handler
) -> None:
    asked: list[str] = []

    async def counting(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["cmd"])
        return await handler(request)

    log_in_with(tmp_path, PASSWORD)
    notes: dict[str, str] = {}
    async with open_stranger(counting) as port:
        for _ in range(2):
            inlet, pace = PlainInlet(tmp_path / "scratch"), HandPace()
            inlet.notes = notes
            link = CommanderLink("127.0.0.1", tmp_path / "login", port)
            async with running(transport(link, pace), inlet):
                await pace.elapse(24 * 3600)
                assert "write" in inlet.raised["pos.auth_failed"]
    assert asked == ["validate"]


async def test_a_login_is_noted_before_it_is_sent(tmp_path: Path) -> None:
    noted: list[str] = []

    async def refusing(request: web.Request) -> web.Response:
        noted.append(inlet.notes.get("refused", ""))
        return web.Response(body=REFUSAL)

    log_in_with(tmp_path, PASSWORD)
    inlet, pace = PlainInlet(tmp_path / "scratch"), HandPace()
    async with open_stranger(refusing) as port:
        link = CommanderLink("127.0.0.1", tmp_path / "login", port)
        async with running(transport(link, pace), inlet):
            await pace.elapse(0)
    assert len(noted) == 1
    assert noted[0]


async def test_a_login_whose_outcome_is_unknown_is_sent_again_when_its_file_is_written_anew(tmp_path: Path) -> None:
    asked: list[str] = []

    async def mute(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["cmd"])
        assert request.transport
        request.transport.abort()
        return web.Response()

    async with polling_stranger(tmp_path, mute) as (inlet, pace):
        assert "outcome is unknown" in inlet.raised["pos.auth_failed"]
        await pace.elapse(24 * 3600)
        assert asked == ["validate"]
        log_in_with(tmp_path, PASSWORD)
        await pace.elapse(300)
        assert asked == ["validate"] * 2


@pytest.mark.parametrize("handler", [bare(503), saying("Controller is busy")])
async def test_a_login_that_a_busy_controller_did_not_look_at_is_sent_again(tmp_path: Path, handler: Handler) -> None:
    asked: list[str] = []

    async def counting(request: web.Request) -> web.StreamResponse:
        asked.append(request.query["cmd"])
        return await handler(request)

    async with polling_stranger(tmp_path, counting) as (inlet, pace):
        assert "pos.busy" in inlet.raised
        assert inlet.notes["refused"] == ""
        await pace.elapse(24 * 3600)
        assert 2 <= len(asked) <= 40


async def test_a_controller_that_is_away_costs_no_note(shop: Shop) -> None:
    written: list[str] = []
    note = shop.inlet.note

    async def counting(key: str, text: str) -> None:
        written.append(key)
        await note(key, text)

    async with shop.polled():
        pass
    shop.inlet.note = counting  # type: ignore[method-assign]
    await shop.pos.go_down()
    async with shop.polled() as inlet:
        await shop.pace.elapse(3600)
        assert "pos.unreachable" in inlet.raised
    assert written == []
