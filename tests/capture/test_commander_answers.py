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
