"""What becomes of an enrolled router: refused, in conflict, retired, asleep through changes, met by another version."""

import asyncio
from dataclasses import replace

import pytest

from routerd.enroll.exchange import UNTRUSTED, Answer
from routerd.enroll.hardware import Hardware
from routerd.errors import CorruptError
from routerd.wire.ed25519 import SigningKey
from tests.enroll.cloud import BOX, NOW_MS, FakeCloud, Router, active, active_in, ask, order, steps, version
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk, Loss, PowerCut


async def test_an_unknown_key_is_enrolled_again_after_ten_minutes_with_the_same_key(router: Router) -> None:
    room = await active(router)
    key = room.snapshot().key_id
    router.cloud.devices.clear()
    for _ in range(3):
        answer = await ask(router)
        await room.refused(answer.status, answer.code)
        assert room.snapshot().state == "held"
        router.clock.move(250)
    assert "enroll.held" in router.codes()
    await room.refused(401, "key_unknown")
    assert await steps(room, 1) == "active"
    assert room.snapshot().key_id == key
    assert (await ask(router)).status == 204


async def test_a_held_router_is_active_again_once_the_cloud_takes_something(router: Router) -> None:
    room = await active(router)
    await room.refused(403, "device_disabled")
    assert "enroll.held" in router.codes()
    assert room.speaks.is_set()
    room.worked()
    assert room.snapshot().state == "active"
    assert router.codes() == set()


async def test_a_conflict_makes_a_new_key_that_proves_the_old_one(router: Router) -> None:
    room = await active(router)
    old = room.snapshot().key_id
    await room.obey(order("identity_conflict", "d_1"))
    assert await steps(room, 3) == "active"
    assert room.device_id == "d_1"
    assert room.snapshot().key_id != old
    assert router.cloud.requests[-1].previous is not None
    assert router.cloud.requests[-1].previous.id == old
    assert (await ask(router)).status == 204
    assert len(router.cloud.devices) == 1


@pytest.mark.parametrize("loss", Loss)
async def test_a_power_cut_at_any_step_of_a_conflict_ends_with_one_device(loss: Loss) -> None:
    for at in range(200):
        clock, disk = FakeClock(), FakeDisk()
        cloud = FakeCloud(clock, step=disk.step)
        router = Router(cloud, disk, clock)
        room = await active(router)
        disk.restart(Loss.NOTHING)
        disk.cut_at = at
        try:
            await room.obey(order("identity_conflict", "d_1"))
            assert await steps(room, 3) == "active"
        except PowerCut:
            disk.restart(loss)
            await active_in(router)
            assert (await ask(router)).status == 204
            assert len(cloud.devices) == 1
        else:
            assert at > 12
            break


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (order("identity_conflict", "d_2"), "command.other_device"),
        (order("wipe", "d_1"), "command.scope"),
        (order("retire", "d_1", SigningKey(bytes([9]) * 32)), "command.signature"),
    ],
)
async def test_a_directive_that_is_not_for_us_changes_nothing(router: Router, envelope: object, code: str) -> None:
    room = await active(router)
    with pytest.raises(CorruptError) as caught:
        await room.obey(envelope)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert room.snapshot().state == "active"


async def test_a_retired_router_stops_capturing_drains_and_stays_so(router: Router) -> None:
    room = await active(router)
    await room.obey(order("retire", "d_1"))
    assert not room.captures
    assert room.speaks.is_set()
    again = await router.begin()
    assert await steps(again, 1) == "retiring"
    await again.drained()
    last = await router.begin()
    assert last.snapshot().state == "retired"
    router.cloud.asked.clear()
    await last.step()
    assert router.cloud.asked == []


async def test_the_store_it_belongs_to_is_an_epoch_that_only_grows(router: Router) -> None:
    room = await active(router)
    await room.learned(3)
    await room.learned(2)
    assert room.epoch == 3
    assert (await router.begin()).epoch == 3


async def test_a_newer_trust_is_fetched_applied_and_kept(router: Router) -> None:
    router.cloud.chain = [version(2), version(3)]
    await active(router)
    assert router.anchors == [2, 3]
    assert (await router.begin()).snapshot().trust_version == 3


async def test_a_forged_trust_is_refused_aloud_and_enrollment_goes_on(router: Router) -> None:
    router.cloud.chain = [replace(version(2), signatures=version(2).signatures[:1])]
    room = await router.begin()
    assert await steps(room, 2) == "active"
    assert router.anchors == []
    assert "trust.unsigned" in router.codes()


async def test_a_time_key_that_changed_while_it_slept_is_learned_from_the_chain(router: Router) -> None:
    new_key = SigningKey(bytes([40]) * 32)
    router.cloud.time_key = new_key
    router.cloud.chain = [version(2, new_key)]
    room = await router.begin()
    assert await steps(room, 3) == "active"
    assert room.now_ms() is not None


async def test_anchors_that_changed_while_it_slept_are_fetched_from_anybody_once_an_hour(router: Router) -> None:
    router.cloud.chain = [version(2)]
    router.cloud.fault = Answer(0, UNTRUSTED)
    room = await router.begin()
    await steps(room, 3)
    assert [path for path in router.cloud.asked if path.startswith("rescue")] == ["rescue /v1/trust?have=1"]
    assert router.anchors == [2]
    router.clock.move(3601)
    await steps(room, 1)
    assert router.cloud.asked[-1] == "rescue /v1/trust?have=2"


async def test_a_forged_time_moves_nothing(router: Router) -> None:
    router.cloud.time_key = SigningKey(bytes([41]) * 32)
    room = await router.begin()
    assert await steps(room, 3) == "clocking"
    assert room.now_ms() is None
    assert not room.speaks.is_set()


async def test_a_wrong_system_clock_changes_nothing(router: Router) -> None:
    router.clock.offset_ms = 0  # 1970
    room = await active(router)
    assert room.now_ms() == router.clock.now_ns // 1_000_000 + NOW_MS


async def test_another_protocol_is_waited_out_with_the_time_as_the_probe(router: Router) -> None:
    room = await active(router)
    router.cloud.majors = (2, 2)
    await room.refused(426, "protocol_major")
    assert await steps(room, 2) == "incompatible"
    assert not room.speaks.is_set()
    assert room.captures
    assert "enroll.incompatible" in router.codes()
    router.cloud.majors = (1, 2)
    assert await steps(room, 1) == "active"
    assert router.codes() == set()


@pytest.mark.parametrize("code", ["claim_invalid", "serial_unknown"])
async def test_a_refused_claim_is_tried_again_within_hours(router: Router, code: str) -> None:
    room = await router.begin()
    router.cloud.refuse = Answer(403, code)
    for _ in range(9):
        state = await steps(room, 1)
        assert room.snapshot().wait_s <= 86_400
    assert state == "blocked"
    assert room.snapshot().wait_s >= 3600
    router.cloud.refuse = None
    assert await steps(room, 1) == "active"


async def test_farewell_is_signed_by_the_key_that_goes(router: Router) -> None:
    room = await active(router)
    assert await room.farewell("reset button")
    assert router.cloud.asked[-1] == "/v1/farewell"


async def test_the_room_runs_by_itself_and_rests_when_it_is_active(router: Router) -> None:
    room = await router.begin()
    task = asyncio.create_task(room.run())
    await room.speaks.wait()
    asked = len(router.cloud.asked)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(router.cloud.asked) == asked == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("serial", ["SN-1", "SN-2"])
async def test_another_serial_under_our_key_makes_the_box_look_at_itself(router: Router, serial: str) -> None:
    room = await active(router)
    first = room.snapshot().key_id
    router.box = Hardware(serial, BOX.macs, BOX.board)
    router.cloud.manifest.add("SN-2")
    await room.refused(409, "key_serial_mismatch")
    if serial == "SN-1":
        assert (room.snapshot().state, room.snapshot().key_id) == ("held", first)
    else:
        assert not room.speaks.is_set()
        assert await steps(room, 2) == "active"
        assert (room.device_id, room.snapshot().key_id != first) == ("d_2", True)
