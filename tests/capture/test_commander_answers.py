"""Answers that are odd: each is told for what it is, and no cookie is left in use for it."""

from pathlib import Path

import pytest
from aiohttp import web

from scripts.commander import answers
from tests.capture.commanders import Handler, polling_stranger


def denying(words: str, asked: list[str]) -> Handler:
    """Takes every login; answers all else with a fault."""

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query["cmd"])
        if asked[-1] == "validate":
            return web.Response(body=answers.credential_xml(f"c{len(asked)}", "1", []))
        return web.Response(body=answers.fault_xml(answers.Fault("CGIPortal.InternalError", words)))

    return answer


async def test_a_denied_command_is_no_lost_cookie(tmp_path: Path) -> None:
    asked: list[str] = []
    words = "Access denied: this session may not view transaction logs"
    async with polling_stranger(tmp_path, denying(words, asked)) as (inlet, _):
        assert "view transaction logs" in inlet.raised["pos.not_permitted"]
    assert asked.count("validate") == 1
    assert asked[-1] == "releaseCredential"


@pytest.mark.parametrize("words", ["Session expired", "Bad cookie", "Login failed"])
async def test_a_cookie_that_the_controller_may_still_hold_is_given_back(tmp_path: Path, words: str) -> None:
    asked: list[str] = []
    async with polling_stranger(tmp_path, denying(words, asked)) as (inlet, pace):
        assert "pos.session_lost" in inlet.raised
        await pace.elapse(3600)
    assert asked.count("releaseCredential") == asked.count("validate")


def listing(body: bytes, cookie: bytes = b"c0ffee", used: set[str] | None = None) -> Handler:
    """A controller whose period list is `body`."""

    async def answer(request: web.Request) -> web.Response:
        cmd = request.query["cmd"]
        if cmd == "validate":
            return web.Response(body=b"<credential><cookie>" + cookie + b"</cookie></credential>")
        if used is not None:
            used.add(request.query["cookie"])
        return web.Response(body=body if cmd == "vtlogpdlist" else b"<transSet></transSet>")

    return answer


def entry(code: int, name: str) -> bytes:
    return (
        f'<periodInfo><period sysid="{code}"/><reportParameter name="filename">{name}</reportParameter></periodInfo>'
    ).encode()


async def test_a_day_behind_a_hundred_thousand_shifts_is_found(tmp_path: Path) -> None:
    shifts = b"".join(entry(1, f"2026-07-16.{number}") for number in range(100_000))
    body = b"<periodList>" + shifts + entry(2, "2026-07-16.311") + b"</periodList>"
    async with polling_stranger(tmp_path, listing(body)) as (inlet, _):
        assert [each.name for each in inlet.documents] == ["daily/2026-07-16.311"]
        assert "pos.list_truncated" not in inlet.warned


async def test_a_list_that_is_too_long_is_told(tmp_path: Path) -> None:
    body = b"<periodList>" + entry(2, "2026-07-16.311") + b" " * (17 << 20) + b"</periodList>"
    async with polling_stranger(tmp_path, listing(body)) as (inlet, _):
        assert "more periods" in inlet.warned["pos.list_truncated"]
        assert [each.name for each in inlet.documents] == ["daily/2026-07-16.311"]


async def test_a_document_type_declaration_is_told_as_what_is_refused(tmp_path: Path) -> None:
    body = b'<?xml version="1.0"?><!DOCTYPE periodList [<!ENTITY a "b">]><periodList></periodList>'
    async with polling_stranger(tmp_path, listing(body)) as (inlet, _):
        assert "document type declaration" in inlet.raised["pos.fault"]


@pytest.mark.parametrize(("sent", "cookie"), [(b"a b+c%20", "a b+c%20"), (b" x&amp;y\n", "x&y")])
async def test_a_cookie_of_any_characters_goes_back_as_it_came(tmp_path: Path, sent: bytes, cookie: str) -> None:
    used: set[str] = set()
    async with polling_stranger(tmp_path, listing(b"<periodList></periodList>", sent, used)) as (inlet, _):
        assert not inlet.raised
    assert used == {cookie}
