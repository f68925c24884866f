"""The controller's CGI over real TLS: what it answers, what it writes about it, and how it breaks when told to."""

import asyncio
import gzip
import json
import re
import ssl
import sys
import xml.etree.ElementTree as ET
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from commander_fakes import MORNING, fault, open_store, settings, sums, uniques

from scripts.commander import levers
from scripts.commander.sessions import Site
from scripts.commander.store import Store
from tests.samples import sample

NO_CREDENTIAL = ("CGIPortal.LoginRequired", "No Credential for the User. Please login to get the Credential")
WRONG = ("CGIPortal.InternalError", "Invalid Credentials")
LOCKED = ("CGIPortal.InternalError", "Maximum failed attempts reached. User locked out")
FULL = ("CGIPortal.InternalError", "Maximum number of credentials in use")
NO_FILE = ("CGIPortal.InternalError", "File not found")
DAY = "2026-11-22.312"


async def test_a_login_gives_a_cookie_that_opens_the_list_and_is_released() -> None:
    async with open_store() as (pos, client, _):
        root = ET.fromstring(await client.log_in())
        assert root.tag == "{urn:vfi-sapphire:np.domain.2001-07-01}credential"
        assert root.findtext("cookie") == client.cookie
        listed = ET.fromstring(await client.ask("vtlogpdlist", cookie=client.cookie))
        assert listed.tag == "{urn:vfi-sapphire:np.domain.2001-07-01}periodList"
        await client.ask("releaseCredential", cookie=client.cookie)
        assert fault(await client.ask("vtlogpdlist", cookie=client.cookie)) == NO_CREDENTIAL
        assert (pos.counters.logins, pos.counters.releases) == (1, 1)
        assert (pos.cookies_in_use, pos.cookies_max) == (0, 1)
        assert pos.counters.requests == {"validate": 1, "vtlogpdlist": 2, "releaseCredential": 1}


async def test_the_list_has_the_structure_of_a_genuine_one() -> None:
    def shape(one: ET.Element) -> object:
        return (one.tag, sorted(one.attrib), [shape(child) for child in one])

    genuine = ET.fromstring(sample("verifone-commander", "periods.xml"))
    async with open_store() as (_, client, _):
        await client.log_in()
        ours = ET.fromstring(await client.ask("vtlogpdlist", cookie=client.cookie))
    assert (ours.tag, ours.attrib) == (genuine.tag, genuine.attrib)
    assert {repr(shape(one)) for one in ours} <= {repr(shape(one)) for one in genuine}
    names = [(one.findtext("name"), one.findtext("desc")) for one in ours]
    assert names[:2] == [("current", "Current SHIFT"), ("2026-11-22.392", "2026-11-22 (SHIFT-392)")]
    assert ("2026-11-22.312", "2026-11-22 (DAILY-312)") in names


async def test_a_period_comes_plain_or_as_a_gzip_file() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        plain = await client.period(2, DAY)
        assert client.content_type == "text/xml"
        packed = await client.period(2, DAY, "vtranssetz")
        assert client.content_type == "application/gzip"
        assert "Content-Encoding" not in client.headers
        assert gzip.decompress(packed) == plain == pos.book(2, DAY).data()
        second = await client.ask("vtransset", period="2", reptnum="2", cookie=client.cookie)
        assert second == plain
        assert pos.counters.bytes_served > 2 * len(plain) + len(packed)


@pytest.mark.parametrize(
    "query",
    [{"period": "2", "filename": "2026-11-22.999"}, {"period": "3", "filename": "current"}, {"period": "2"},
     {"filename": DAY}, {"period": "x", "filename": DAY}, {"period": "2", "reptnum": "99"}],
)  # fmt: skip
async def test_an_unknown_file_is_a_fault(query: dict[str, str]) -> None:
    async with open_store() as (_, client, _):
        await client.log_in()
        assert fault(await client.ask("vtransset", cookie=client.cookie, **query)) == NO_FILE


async def test_commands_that_do_not_exist_are_faults_and_the_version_needs_no_cookie() -> None:
    async with open_store(Site(gzip=False)) as (_, client, _):
        assert ET.fromstring(await client.ask("vAppInfo")).tag.endswith("}appInfo")
        await client.log_in()
        for command in ("vtranssetz", "vnothing"):
            code, _ = fault(await client.period(2, DAY, command))
            assert code == "CGIPortal.CommandNotFound"


async def test_the_account_locks_itself_and_then_refuses_the_right_password_too() -> None:
    async with open_store(Site(lock_after=3)) as (pos, client, _):
        assert fault(await client.log_in("wrong")) == WRONG
        assert fault(await client.log_in("wrong")) == WRONG
        assert fault(await client.log_in("wrong")) == LOCKED
        assert fault(await client.log_in()) == LOCKED
        assert pos.locked
        assert pos.counters.refused_logins == 4
        pos.unlock()
        await client.log_in()
        assert client.cookie


async def test_a_right_password_forgives_the_wrong_ones_before_it() -> None:
    async with open_store(Site(lock_after=2)) as (pos, client, _):
        for _ in range(3):
            assert fault(await client.log_in("wrong")) == WRONG
            await client.log_in()
        assert not pos.locked


async def test_a_site_may_want_a_one_time_password() -> None:
    async with open_store(Site(otp="4711")) as (_, client, _):
        assert fault(await client.log_in())[0] == "CGIPortal.OTPRequired"
        await client.log_in(otp="4711")
        assert client.cookie


async def test_the_sixth_cookie_is_refused_until_one_is_released_or_forgotten() -> None:
    async with open_store(Site(cookie_life_s=600)) as (pos, client, clock):
        cookies = []
        for _ in range(5):
            await client.log_in()
            cookies.append(client.cookie)
        assert fault(await client.log_in()) == FULL
        assert pos.cookies_max == 5
        await client.ask("releaseCredential", cookie=cookies[0])
        await client.log_in()
        assert client.cookie
        clock.advance(599)
        await client.ask("vtlogpdlist", cookie=cookies[1])
        clock.advance(2)
        assert pos.cookies_in_use == 1, "all but the one that was used have timed out"
        assert fault(await client.ask("vtlogpdlist", cookie=cookies[2])) == NO_CREDENTIAL
        assert fault(await client.ask("vtlogpdlist", cookie=cookies[1])) == ("", "")


async def test_other_pollers_may_hold_the_cookies_until_these_time_out() -> None:
    async with open_store(Site(cookie_life_s=600)) as (pos, client, clock):
        assert len(pos.occupy(9)) == 5
        assert fault(await client.log_in()) == FULL
        clock.advance(601)
        await client.log_in()
        assert client.cookie


async def test_a_bad_cookie_may_meet_the_login_page() -> None:
    async with open_store(Site(login_page=True)) as (_, client, _):
        page = await client.period(2, DAY)
        assert client.content_type == "text/html"
        assert b"<title>System</title>" in page


async def test_every_request_writes_itself_into_the_running_period() -> None:
    async with open_store() as (_, client, _):
        await client.log_in()
        before = await client.period(2, "current")
        await client.ask("vAppInfo")
        await client.ask("vtlogpdlist", cookie="f" * 32)
        after = await client.period(2, "current")
    added = after.removeprefix(before.removesuffix(b"</transSet>\n"))
    words = re.findall(rb'<trjText type="SECURE USER">([^<]*)<', added)
    where = b"HTTP REQUEST - Register ID# 0 - REMOTE IP# 127.0.0.1 - "
    assert words == [
        b"USER: router, SEC EMP ID# 8 - vtransset - PASSED - " + where,
        b"vAppInfo - PASSED - " + where,
        b"vtlogpdlist - FAILED - " + where + b"No Credential for the User. Please login to get the Credential",
    ]
    assert len(set(uniques(added))) == 3
    assert b"SECURE LOG-IN - PASSED" in before


async def test_a_quiet_site_writes_no_requests_down() -> None:
    async with open_store(Site(journal=False)) as (_, client, _):
        await client.log_in()
        assert await client.period(2, "current") == await client.period(2, "current")


async def test_current_grows_with_the_clock_and_closes_at_the_end_of_the_day() -> None:
    async with open_store() as (pos, client, clock):
        await client.log_in()
        before = set(uniques(await client.period(2, "current")))
        clock.advance(6 * 3600)
        await client.log_in()
        later = set(uniques(await client.period(2, "current")))
        assert before < later
        clock.advance(12 * 3600)
        await client.log_in()
        closed = set(uniques(await client.period(2, "2026-11-23.313")))
        assert later < closed
        assert not closed & set(uniques(await client.period(2, "current")))
        pos.close()
        assert await client.period(2, "2026-11-23.314")


async def test_a_hidden_record_is_missing_from_what_is_served_and_the_totals_betray_it() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        victim = next(one for one in pos.book(2, DAY).pieces if one.ticket and one.ticket.counts)
        pos.hide(victim.identity)
        hidden = await client.period(2, DAY)
        moved, added = sums(hidden)["overallSales"]
        assert victim.ticket
        assert (moved - added) * 100 == victim.ticket.total_cents > 0
        assert victim.data not in hidden
        pos.show(victim.identity)
        assert await client.period(2, DAY) == pos.book(2, DAY).data()


@pytest.mark.parametrize("at", [-1, 0, 1000])
async def test_a_cut_body_breaks_where_it_was_told_to(at: int) -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        pos.troubles.cut(2, at)
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await client.period(2, DAY)
        assert await client.period(2, DAY) == pos.book(2, DAY).data()
        assert pos.counters.broken == 2
        assert pos.counters.requests["vtransset"] == 3


async def test_a_short_answer_looks_complete_and_is_not() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        pos.troubles.cut(1, 5000, short=True)
        assert await client.period(2, DAY) == pos.book(2, DAY).data()[:5000]


async def test_a_busy_controller_says_so_in_a_fault_and_an_overloaded_one_by_503() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        pos.troubles.busy()
        assert fault(await client.period(2, DAY))[1] == "Controller is busy"
        pos.troubles.unavailable()
        with pytest.raises(AssertionError, match="503"):
            await client.period(2, DAY)
        assert ET.fromstring(await client.period(2, DAY)).tag == "transSet"


async def test_a_stalled_answer_goes_on_when_told() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        pos.troubles.stall(1, at=1000)
        asking = asyncio.create_task(client.period(2, DAY))
        await pos.troubles.stalled()
        await client.ask("vAppInfo")
        assert not asking.done()
        pos.troubles.resume()
        async with asyncio.timeout(20):
            assert await asking == pos.book(2, DAY).data()


async def test_a_client_that_leaves_a_stalled_answer_leaves_nothing_behind() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        pos.troubles.stall(1)
        asking = asyncio.create_task(client.period(2, DAY))
        await pos.troubles.stalled()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await client.period(2, DAY)


async def test_a_changed_certificate_is_another_one_on_the_same_port() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        url, known = pos.url, pos.fingerprint
        await pos.change_certificate()
        assert pos.url == url
        assert pos.fingerprint != known
        pin = aiohttp.Fingerprint(bytes.fromhex(known))
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await client.session.get(url, params={"cmd": "vAppInfo"}, ssl=pin)
        assert await client.period(2, DAY), "the cookie knows nothing of certificates"


async def test_the_certificate_is_its_own_issuer() -> None:
    async with open_store() as (pos, client, _):
        context = ssl.create_default_context(cadata=pos.certificate.pem.decode())
        context.check_hostname = False
        async with client.session.get(pos.url, params={"cmd": "vAppInfo"}, ssl=context) as response:
            assert response.status == 200


async def test_a_controller_that_is_down_answers_nobody_and_comes_back_without_cookies() -> None:
    async with open_store(store=Store(settings(per_hour=20.0))) as (pos, client, clock):
        await client.log_in()
        before = uniques(await client.period(2, "current"))
        await pos.go_down()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.ask("vAppInfo")
        known = pos.book(2, "current")
        clock.advance(5 * 3600)
        assert pos.book(2, "current") == known, "nothing enters a log whose controller is away"
        await pos.come_up()
        assert fault(await client.period(2, "current")) == NO_CREDENTIAL
        await client.log_in()
        after = await client.period(2, "current")
        assert len(uniques(after)) > len(before) + 50
        dates = re.findall(rb"<date>([^<]+)</date>", after.partition(before[-1].encode())[2])
        assert min(dates) < f"{MORNING + timedelta(hours=1):%Y-%m-%dT%H}".encode()


async def test_the_same_seed_and_requests_give_the_same_bytes() -> None:
    seen = []
    for _ in range(2):
        async with open_store() as (pos, client, _):
            pos.troubles.cut(1, short=True)
            seen.append([await client.log_in(), *[await client.period(2, "current") for _ in range(2)]])
    assert seen[0] == seen[1]


async def test_levers_are_pulled_by_name_and_a_wrong_name_is_told() -> None:
    async with open_store() as (pos, client, _):
        await client.log_in()
        assert "no lever 'tickle'" in str((await levers.pull(pos, "tickle"))["error"])
        assert "hide" in str((await levers.pull(pos, "hide"))["error"])
        await levers.pull(pos, "short", "1", "77")
        assert len(await client.period(2, DAY)) == 77
        assert (await levers.pull(pos, "reboot"))["cookies_in_use"] == 0
        assert (await levers.pull(pos, "close"))["url"] == pos.url
        for name in ("hide X", "show X", "cut 0", "unavailable 0", "busy 0", "stall 0", "resume", "pause 0", "forget",
                     "unlock", "certificate", "occupy 1", "close shift", "down", "up", "reinstall",
                     "status"):  # fmt: skip
            assert "error" not in await levers.pull(pos, *name.split()), name


async def test_the_command_serves_until_told_to_stop_and_its_truth_has_every_record(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.commander", "--days", "1", "--tickets", "30", "--now", "2026-11-22T09:00:00",
        "--truth", str(truth), "--levers",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(60):
        first = json.loads(await process.stdout.readline())
        assert first["cookies_in_use"] == 0
        process.stdin.write(b"status\n")
        assert json.loads(await process.stdout.readline())["url"] == first["url"]
        process.terminate()
        assert await process.wait() == 0
    process.stdin.close()
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    daily = next(line for line in lines if line["type"] == "period" and line["period"] == 2)
    closed = lines[: lines.index(daily)]
    tickets = [line for line in closed if line["type"] == "ticket"]
    assert daily["filename"] == "2026-11-22.311"
    assert daily["records"] == len(tickets)
    assert daily["sales_cents"] == sum(line["total_cents"] for line in tickets if line["counts"]) > 0
    assert lines[-1]["type"] == "end"
