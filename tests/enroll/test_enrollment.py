"""From a first start to an identity, through everything that can answer or break in between."""

import pytest

from routerd.enroll.exchange import Answer
from routerd.enroll.hardware import Hardware
from routerd.errors import PermanentError
from routerd.wire.ed25519 import SigningKey
from tests.enroll.cloud import BOX, FakeCloud, Router, active, active_in, ask, steps
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk, Loss, PowerCut


async def test_a_listed_router_is_active_after_two_questions_and_speaks_as_itself(router: Router) -> None:
    room = await router.begin()
    assert not room.speaks.is_set()
    assert await steps(room, 2) == "active"
    assert room.speaks.is_set()
    assert (room.device_id, room.epoch, room.captures) == ("d_1", 1, True)
    assert (await ask(router)).status == 204
    [request] = router.cloud.requests
    assert (request.serial, request.macs, request.waiting.rows) == ("SN-1", BOX.macs, 7)


async def test_nothing_is_sent_before_the_key_is_durable(router: Router) -> None:
    room = await router.begin()
    router.cloud.step = lambda: router.disk.restart(Loss.EVERYTHING)
    await steps(room, 2)
    again = await router.begin()
    assert again.snapshot().key_id == room.snapshot().key_id
    assert router.audited.count("key.created") == 1


async def test_a_restart_asks_the_time_and_nothing_else(router: Router) -> None:
    await active(router)
    router.cloud.asked.clear()
    room = await router.begin()
    assert not room.speaks.is_set()
    assert await steps(room, 1) == "active"
    assert room.speaks.is_set()
    assert len(router.cloud.asked) == 1


async def test_an_unlisted_router_waits_and_is_admitted_once_it_is_listed(router: Router) -> None:
    router.cloud.manifest.clear()
    room = await router.begin()
    assert await steps(room, 3) == "pending"
    snapshot = room.snapshot()
    assert (snapshot.ticket, snapshot.reason, snapshot.wait_s) == ("7F3K-Q2", "not_in_manifest", 300)
    assert "enroll.pending" in router.codes()
    assert room.captures
    router.cloud.manifest.add("SN-1")
    assert await steps(room, 1) == "active"
    assert router.codes() == set()


async def test_an_old_nonce_costs_one_more_request_and_no_wait(router: Router) -> None:
    room = await router.begin()
    router.cloud.stale = 1
    assert await steps(room, 2) == "active"
    assert router.cloud.asked.count("/v1/enroll") == 2


async def test_nonces_that_stay_old_end_in_a_backoff(router: Router) -> None:
    room = await router.begin()
    router.cloud.stale = 99
    assert await steps(room, 2) == "enrolling"
    assert router.cloud.asked.count("/v1/enroll") == 2
    assert room.snapshot().wait_s > 0


async def test_lost_answers_make_one_device(router: Router) -> None:
    room = await router.begin()
    await steps(room, 1)
    router.cloud.lost = 10
    assert await steps(room, 10) == "enrolling"
    assert await steps(room, 1) == "active"
    assert len(router.cloud.devices) == 1


@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_at_any_step_makes_one_device(loss: Loss) -> None:
    cuts = 0
    for at in range(200):
        clock = FakeClock()
        disk = FakeDisk()
        cloud = FakeCloud(clock, step=disk.step)
        disk.cut_at = at
        try:
            await active(Router(cloud, disk, clock))
        except PowerCut:
            cuts += 1
            disk.restart(loss)
            room = await active_in(Router(cloud, disk, clock))
            assert room.device_id == "d_1"
            assert len(cloud.devices) == 1
            assert [len(row.keys) for row in cloud.devices.values()] == [1]
        else:
            break
    assert cuts >= 18


@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_at_any_step_of_a_rotation_leaves_a_working_key(loss: Loss) -> None:
    cuts = 0
    for at in range(200):
        clock, disk = FakeClock(), FakeDisk()
        cloud = FakeCloud(clock, step=disk.step)
        router = Router(cloud, disk, clock)
        room = await active(router)
        disk.restart(Loss.NOTHING)
        disk.cut_at = at
        try:
            assert await room.rotate()
        except PowerCut:
            cuts += 1
            disk.restart(loss)
            room = await active_in(router)
            assert (await ask(router)).status == 204
            assert await room.rotate()
            assert (await ask(router)).status == 204
            assert len(cloud.devices) == 1
        else:
            break
    assert cuts > 8


async def test_a_rotation_the_cloud_finished_alone_goes_on_with_the_new_key(router: Router) -> None:
    room = await active(router)
    router.cloud.refuse = Answer(503, "busy")
    assert not await room.rotate()
    router.cloud.refuse = None
    row = router.cloud.devices["d_1"]
    following = router.disk.read("identity/device.key.next").decode().strip()
    row.keys = [SigningKey(bytes.fromhex(following)).public.hex()]
    answer = await ask(router)
    assert answer.code == "key_unknown"
    await room.refused(answer.status, answer.code)
    assert room.snapshot().state == "active"
    assert (await ask(router)).status == 204


async def test_a_router_on_other_hardware_makes_a_key_of_its_own_before_it_speaks(router: Router) -> None:
    first = (await active(router)).snapshot().key_id
    router.cloud.asked.clear()
    router.box = Hardware("SN-2", ("02:00:00:00:00:02",), "acme,x1")
    router.cloud.manifest.add("SN-2")
    room = await router.begin()
    assert router.cloud.asked == []
    assert "key.foreign" in router.audited
    assert await steps(room, 2) == "active"
    assert room.device_id == "d_2"
    assert room.snapshot().key_id != first
    assert router.cloud.requests[-1].previous is None


async def test_a_box_without_a_name_sends_nothing(router: Router) -> None:
    router.box = Hardware("", (), "acme,x1")
    with pytest.raises(PermanentError) as caught:
        await router.begin()
    assert caught.value.code == "identity.no_hardware"
    assert router.cloud.asked == []


async def test_a_box_without_a_serial_is_known_by_its_lowest_address(router: Router) -> None:
    router.box = Hardware("", ("02:00:00:00:00:0a", "02:00:00:00:00:0b"), "acme,x1")
    await steps(await router.begin(), 2)
    assert router.cloud.requests[-1].serial == "02000000000A"
