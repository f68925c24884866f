"""Bad lines, false clouds and a cloud that dies: everything arrives once and in order, and nothing is deleted."""

from pathlib import Path

from fleetd.init import init
from scripts.faults.impostor import PORTAL, Impostor
from scripts.faults.line import GOOD, Mood
from tests.faults.ends import acknowledged, ends, impostor_of, port_of

SLOW = Mood(latency_s=0.3)
NARROW = Mood(bytes_per_s=8000)  # 64 kbit/s
SWALLOWED = Mood(swallows=True)


async def test_slow_narrow_and_broken_lines_double_nothing_and_lose_nothing(tmp_path: Path, ram_dir: Path) -> None:
    async with ends(tmp_path, ram_dir) as both:
        await both.heard()
        for mood in (SLOW, NARROW):
            both.line.turn(mood)
            await both.heard()
        both.line.turn(Mood(lose_answers=0.3, break_requests=0.1))
        while both.line.answers_lost < 5 or both.line.requests_broken < 2:
            await both.sold(10)
        both.line.turn(SWALLOWED, cut=False)  # half open: what stands hears nothing any more
        condition = await both.router.raised("cloud.timeout")
        assert "check the internet line" in condition["message"]
        both.line.turn(GOOD)
        await both.heard()
        await both.all_there()
        assert not (await both.router.until(lambda s: not s["conditions"]))["conditions"]


async def test_whoever_answers_in_the_clouds_place_gets_nothing_deleted(tmp_path: Path, ram_dir: Path) -> None:
    async with ends(tmp_path, ram_dir, every_s=0.02) as both:
        await both.heard()
        portal = impostor_of(both.cloud)
        init(tmp_path / "foreign", [])
        foreign = Impostor(tmp_path / "foreign" / "server.pem", tmp_path / "foreign" / "server.key")
        for each in (portal, foreign):
            await each.start()
        portal.status = 0
        both.line.target = portal.port
        both.line.turn(GOOD)
        await both.router.raised("cloud.captive")
        both.line.target = foreign.port
        both.line.turn(GOOD)
        await both.router.raised("cloud.tls_intercepted")
        both.line.turn(Mood(says=PORTAL))
        await both.router.raised("cloud.unreachable")
        both.line.target = portal.port
        for status, code in ((404, "cloud.unavailable"), (500, "cloud.unavailable"), (503, "cloud.busy")):
            portal.status = status
            both.line.turn(GOOD)
            await both.router.raised(code)
        portal.status, portal.retry_after_s = 429, "1"
        await both.sold(20)
        both.line.target = port_of(both.cloud)
        both.line.turn(GOOD)
        await both.heard()
        await both.all_there()
        assert foreign.requests == 0
        for each in (portal, foreign):
            await each.stop()


async def test_a_cloud_killed_right_after_its_acks_has_everything_it_acknowledged(
    tmp_path: Path, ram_dir: Path
) -> None:
    async with ends(tmp_path, ram_dir) as both:
        for _ in range(2):
            await both.heard()
            both.revive_cloud()
        await both.heard()
        await both.all_there()


async def test_a_refused_device_asks_once_and_keeps_everything(tmp_path: Path, ram_dir: Path) -> None:
    async with ends(tmp_path, ram_dir) as both:
        await both.heard()
        refuser = impostor_of(both.cloud)
        await refuser.start()
        refuser.status = 403
        both.line.target = refuser.port
        both.line.turn(GOOD)
        await both.router.raised("cloud.refused")
        await both.sold(50)
        both.till.stopping = True
        await both.selling
        status = await both.router.until(lambda s: s["sum"]["captured"] >= len(both.till.sold))
        assert refuser.requests <= 3  # one of each lane may have been under way
        assert status["sum"]["gaps"] == status["sum"]["quarantined"] == 0
        await refuser.stop()
        both.line.target = port_of(both.cloud)
        assert both.router.stop() == 0
        both.router.start()
        await both.router.until(lambda s: acknowledged(s) == s["sum"]["captured"] > 0)
        both.arrived()
