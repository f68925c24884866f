"""The promises of a registry, for every implementation; each test opens it again as another process would."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from fleetd.enroll import chain, registry
from fleetd.enroll.claims import Claim
from fleetd.enroll.decision import Effect
from fleetd.enroll.registry import DRAIN_MS, By, Health, Order, Registry, Tenant
from fleetd.enroll.sqlite_facts import MAX_PENDING_PER_CLAIM, MAX_PENDING_PER_SERIAL
from fleetd.enroll.sqlite_registry import SqliteRegistry
from fleetd.refusal import Refusal
from routerd.errors import PermanentError
from routerd.wire.commands import Command, Envelope, Result, pack_command
from tests.fleetd.enroll_kit import ANA, BOB, CLAIM_KEY, HOUR, NOW, Box, OpenRegistry, enrolled, expect


def kinds(held: Registry, tenant: str = "t1") -> list[str]:
    return [entry.kind for entry, _ in held.audit(tenant)]


def refused(code: str, status: int = 409) -> "pytest.RaisesExc[Refusal]":
    return pytest.raises(Refusal, check=lambda exc: (exc.status, exc.code) == (status, code))


def test_a_hundred_boxes_of_one_image_find_their_stores_with_nobody_typing(held: Registry) -> None:
    boxes = [Box(number) for number in range(100)]
    expect(held, *(box.row(f"s{box.number}", box.number) for box in boxes))
    admitted = [box.asks(held) for box in boxes]
    assert {one.decision.status for one in admitted} == {201}
    assert [one.store for one in admitted] == [f"s{box.number}" for box in boxes]
    assert len({one.device for one in admitted}) == 100


def test_paperwork_that_comes_late_lets_in_who_waits(held: Registry) -> None:
    boxes = [Box(number) for number in range(5)]
    waiting = [box.asks(held) for box in boxes]
    assert {one.decision.code for one in waiting} == {"not_in_manifest"}
    assert len({one.ticket for one in waiting}) == 5
    expect(held, *(box.row("s1", box.number) for box in boxes))
    assert {box.asks(held).decision.effect for box in boxes} == {Effect.BIND}
    assert held.pending("t1") == []


def test_the_same_request_again_gives_the_same_answer(held: Registry, open_registry: OpenRegistry) -> None:
    box = Box(1)
    tickets = {box.asks(held, NOW + again).ticket for again in range(10)}
    assert len(tickets) == 1
    [waiting] = held.pending("t1")
    assert (waiting.count, waiting.first_ms, waiting.last_ms) == (10, NOW, NOW + 9)
    expect(held, box.row("s1"))
    assert len({box.asks(open_registry()).device for _ in range(10)}) == 1
    assert len(held.devices("t1")) == 1
    assert kinds(held).count("device.bind") == 1


def test_a_person_lets_in_and_says_the_store(held: Registry) -> None:
    box = Box(1)
    ticket = box.asks(held).ticket
    made = held.approve(ticket, "s7", ANA)
    assert (made.store, made.serial, made.status) == ("s7", box.serial, registry.ACTIVE)
    assert held.approve(ticket, "s8", ANA) == made
    assert box.asks(held).device == made.id
    assert held.pending("t1") == []


def test_a_person_says_no_and_may_think_again(held: Registry) -> None:
    box = Box(1)
    ticket = box.asks(held).ticket
    for _ in range(2):
        held.reject(ticket, ANA)
    expect(held, box.row("s1"))
    assert (box.asks(held).decision.status, box.asks(held).decision.code) == (403, "enrollment_rejected")
    device = held.approve(ticket, None, ANA)
    assert (box.asks(held).device, device.store) == (device.id, "s1")
    with refused("ticket_approved"):
        held.reject(ticket, ANA)


def test_a_second_key_on_a_bound_serial_waits_and_the_first_goes_on(held: Registry) -> None:
    box, device = enrolled(held)
    thief = Box(1)
    made = thief.asks(held)
    assert (made.decision.status, made.decision.code) == (202, "serial_in_use")
    assert "alarm.serial_in_use" in kinds(held)
    assert box.asks(held).device == device
    assert held.caller(box.key.id).key_state == registry.CURRENT
    assert held.caller(thief.key.id) is None
    for again in range(5):
        thief.asks(held, NOW + again)
    assert kinds(held).count("alarm.serial_in_use") == 1


def test_a_reset_ticket_is_good_for_one_key(held: Registry) -> None:
    box, device = enrolled(held)
    held.open_ticket(device, NOW + HOUR, ANA)
    box.reset()
    assert box.asks(held, NOW + HOUR + 1).decision.code == "serial_in_use"
    assert box.asks(held, NOW + HOUR).device == device
    box.reset()
    assert box.asks(held, NOW + HOUR).decision.code == "serial_in_use"


def test_the_old_key_vouches_for_the_new_and_is_worth_nothing_then(held: Registry) -> None:
    box, device = enrolled(held)
    first = box.key
    box.renew()
    assert box.asks(held).device == device
    assert box.asks(held).decision.effect is Effect.SAME  # the reply was lost
    assert held.caller(first.id).key_state == registry.SUPERSEDED
    restored = Box(1, key=first)
    assert restored.asks(held).decision.code == "key_superseded"
    assert "alarm.superseded_key_used" in kinds(held)
    other = Box(1, key=box.key)
    other.old, other.key = first, Box(1).key
    assert other.asks(held).decision.code == "serial_in_use"


def test_policy_lets_a_silent_board_come_back_with_a_new_key(held: Registry) -> None:
    held.add_tenant(Tenant("t1", "One", rekey_after_s=900))
    box, device = enrolled(held)
    box.reset()
    late = NOW + 900_000
    assert box.asks(held, late - 1).decision.code == "serial_in_use"
    assert box.asks(held, late, heard=lambda _: NOW + 1).decision.code == "serial_in_use"
    assert box.asks(held, late, started_ms=NOW + 1).decision.code == "serial_in_use"
    assert replace_ip(box).asks(held, late).decision.code == "serial_in_use"
    assert box.asks(held, late).device == device
    assert "alarm.auto_rekey" in kinds(held)


def replace_ip(box: Box) -> Box:
    return replace(box, ip="198.51.100.1")


def test_a_claim_switched_off_changes_nothing_for_those_who_are_in(held: Registry) -> None:
    box, device = enrolled(held)
    held.disable_claim("c1", ANA)
    assert box.asks(held).device == device
    box.reset()
    assert box.asks(held).decision.code == "serial_in_use"
    expected = Box(2)
    expect(held, expected.row("s2"))
    assert expected.asks(held).decision.code == "claim_disabled"
    assert Box(3).asks(held).decision.code == "serial_unknown"


def test_the_claim_decides_the_tenant(held: Registry) -> None:
    box = Box(1)
    expect(held, box.row("stolen"), by=BOB)
    expect(held, box.row("s1"))
    device = box.asks(held).device
    assert held.device("t1", device).store == "s1"
    assert held.devices("t2") == []
    for call in (held.device, held.health, held.orders, held.assignments):
        with refused("not_found", 404):
            call("t2", device)
    for act in (held.revoke, held.reinstate):
        with refused("not_found", 404):
            act(device, BOB)
    with refused("not_found", 404):
        held.assign(device, "s9", BOB)
    with refused("not_found", 404):
        held.disable_claim("c1", BOB)
    ticket = Box(2).asks(held).ticket
    with refused("not_found", 404):
        held.approve(ticket, None, BOB)


def test_quotas_count_keys_and_not_requests(held: Registry) -> None:
    held.add_claim(Claim("c3", "t1", CLAIM_KEY.public, NOW, quota_total=3, quota_per_hour=2), ANA)
    first, second, third, fourth = (Box(number, claim="c3") for number in range(4))
    assert {box.asks(held).decision.status for box in (first, second, first, first)} == {202}
    assert third.asks(held).decision.code == "claim_busy"
    assert third.asks(held, NOW + HOUR).decision.status == 202
    assert fourth.asks(held, NOW + 3 * HOUR).decision.code == "serial_unknown"


def test_a_leaked_claim_fills_its_own_queue_and_no_other(held: Registry) -> None:
    for number in range(MAX_PENDING_PER_CLAIM):
        assert Box(number).asks(held).decision.status == 202
    assert Box(9999).asks(held).decision.code == "queue_full"
    assert Box(9999, claim="c2").asks(held).decision.status == 202


def test_keys_that_ask_for_a_taken_serial_are_limited(held: Registry) -> None:
    enrolled(held)
    asked = [Box(1).asks(held).decision.code for _ in range(MAX_PENDING_PER_SERIAL + 2)]
    assert asked == ["serial_in_use"] * MAX_PENDING_PER_SERIAL + ["queue_full"] * 2


def test_a_tenant_may_take_nobody_it_does_not_expect(held: Registry) -> None:
    held.add_tenant(Tenant("t1", "One", allows_pending=False))
    assert Box(1).asks(held).decision.code == "serial_unknown"
    assert held.pending("t1") == []


def test_a_claim_that_does_not_fit_leaves_no_trace(held: Registry) -> None:
    for box in (Box(1, claim="nobody"), Box(1, claim_key=Box(2).key), Box(1, claim="")):
        assert box.asks(held).decision.code == "claim_invalid"
    assert held.pending("t1") == []
    assert kinds(held) == ["claim.add"]


def test_a_copied_key_brings_its_device_into_conflict_and_nothing_back_from_revoked(held: Registry) -> None:
    box, device = enrolled(held)
    other = Box(2, key=box.key)
    assert other.asks(held).decision.code == "key_serial_mismatch"
    assert held.device("t1", device).status == registry.CONFLICT
    held.revoke(device, ANA)
    for asking in (box, other):
        assert asking.asks(held).decision.code == "device_revoked"
    held.conflict(device, "clone", NOW)
    assert held.device("t1", device).status == registry.REVOKED


def test_in_conflict_the_board_on_its_established_line_keeps_the_device(held: Registry) -> None:
    box, device = enrolled(held)
    held.conflict(device, "clone", NOW)
    copy = Box(2, key=box.key, ip="198.51.100.1")
    copy.renew()
    assert copy.asks(held).decision.code == "not_in_manifest"  # its serial is another: it becomes a stranger
    far = replace(box, ip="198.51.100.2")
    far.renew()
    assert far.asks(held).decision.code == "conflict_review"
    box.renew()
    assert box.asks(held).device == device
    assert held.device("t1", device).status == registry.ACTIVE


def test_a_copy_cannot_establish_its_address_in_passing(held: Registry) -> None:
    box, device = enrolled(held)
    for at, ip in enumerate(("198.51.100.1", box.ip, "198.51.100.1")):
        held.put_health(device, Health(NOW + at, ip, {}))
    held.conflict(device, "clone", NOW)
    box.renew()
    assert box.asks(held).device == device


def test_a_revoked_device_returns_by_a_persons_word_only(held: Registry) -> None:
    box, device = enrolled(held)
    held.open_ticket(device, NOW + HOUR, ANA)
    held.revoke(device, replace(ANA, reason="stolen"))
    box.reset()
    made = box.asks(held)
    assert made.decision.code == "serial_revoked"
    with refused("device_revoked"):
        held.approve(made.ticket, None, ANA)
    with refused("device_status"):
        held.open_ticket(device, NOW + HOUR, ANA)
    assert held.reinstate(device, ANA).status == registry.ACTIVE
    assert held.approve(made.ticket, None, ANA).id == device


def test_late_rows_keep_their_store_after_a_move(held: Registry) -> None:
    _, device = enrolled(held)
    assert held.assign(device, "s2", replace(ANA, now_ms=NOW + 5)).epoch == 2
    assert held.assign(device, "s2", replace(ANA, now_ms=NOW + 9)).epoch == 2
    assert [(one.epoch, one.store, one.from_ms) for one in held.assignments("t1", device)] == [
        (1, "s1", NOW),
        (2, "s2", NOW + 5),
    ]


def test_a_replacement_takes_the_store_and_the_old_one_drains(held: Registry) -> None:
    _, device = enrolled(held)
    for _ in range(2):
        old = held.replace(device, "GL-00002", ANA)
        assert (old.status, old.drain_until_ms) == (registry.RETIRING, NOW + DRAIN_MS)
    new = Box(2)
    made = new.asks(held)
    assert (made.decision.effect, made.store) == (Effect.BIND, "s1")
    assert made.device != device
    assert held.replace(device, "GL-00002", ANA).id == device
    with refused("serial_bound"):
        held.replace(made.device, new.serial, ANA)


def test_a_manifest_may_name_what_it_replaces(held: Registry) -> None:
    _, device = enrolled(held)
    new = Box(2)
    expect(held, new.row("", replaces="GL-00001"))
    assert new.asks(held).store == "s1"
    assert held.device("t1", device).status == registry.RETIRING


def test_a_retired_serial_waits_for_a_person_and_becomes_a_new_device(held: Registry) -> None:
    box, device = enrolled(held)
    held.retire(device, 0, ANA)
    made = box.asks(held)
    assert made.decision.code == "serial_retired"
    again = held.approve(made.ticket, "s5", ANA)
    assert again.id != device
    assert box.asks(held).device == again.id


def ordered(device: str, at: int, args: str = "") -> Order:
    order_id = f"{at:026}"
    payload = pack_command(Command(order_id, device, "ping", {"x": args}, NOW, NOW + 8000, "ana", ""))
    return Order(order_id, device, "ping", registry.QUEUED, NOW + 8000, Envelope(payload, "c1", bytes(64)))


def test_a_command_is_sent_until_it_is_held_and_its_first_result_stays(
    held: Registry, open_registry: OpenRegistry
) -> None:
    _, device = enrolled(held)
    first, second = ordered(device, 1), ordered(device, 2)
    for order in (first, second, first):
        held.order(order, ANA)
    with refused("command_exists"):
        held.order(replace(ordered(device, 1, "other")), ANA)
    assert [one.id for one in held.deliver(device, NOW, 8)] == [first.id, second.id]
    assert [one.id for one in open_registry().deliver(device, NOW, 8)] == [first.id, second.id]
    held.acknowledge(device, [first.id])
    assert [one.id for one in held.deliver(device, NOW, 8)] == [second.id]
    assert held.deliver(device, NOW + 8001, 8) == []
    for state in ("ok", "error"):
        assert held.finish(device, Result(first.id, state, 5, {"a": 1}), NOW)
    [latest, oldest] = open_registry().orders("t1", device)
    assert (latest.state, oldest.state) == (registry.DELIVERED, registry.DONE)
    assert oldest.result == Result(first.id, "ok", 5, {"a": 1})
    assert kinds(held).count("command.result") == 1


def test_a_result_of_another_device_is_no_result(held: Registry) -> None:
    _, device = enrolled(held)
    _, other = enrolled(held, 2)
    held.order(ordered(device, 1), ANA)
    assert not held.finish(other, Result(f"{1:026}", "ok"), NOW)
    held.acknowledge(other, [f"{1:026}"])
    assert len(held.deliver(device, NOW, 8)) == 1


def test_the_chain_of_a_tenant_holds_and_shows_what_was_done_to_it(held: Registry, tmp_path: Path) -> None:
    _, device = enrolled(held)
    held.assign(device, "s2", replace(ANA, reason="TKT-1"))
    entries = held.audit("t1")
    assert chain.broken_at(entries) is None
    assert json.loads(held.audit("t1", device)[-1][0].document) == {"epoch": 2, "reason": "TKT-1", "store": "s2"}
    with sqlite3.connect(tmp_path / "registry.db") as db:
        db.execute("UPDATE audit SET actor = 'eve' WHERE tenant = 't1' AND no = 2")
    db.close()
    assert chain.broken_at(held.audit("t1")) == 2


def test_boots_are_kept_in_order_and_bounded(held: Registry, open_registry: OpenRegistry) -> None:
    for at in range(40):
        held.note_boot("k", f"b{at}", NOW + at, "203.0.113.1")
        held.note_boot("k", f"b{at}", NOW + at, "203.0.113.1")
    assert open_registry().boots("k") == [(f"b{at}", NOW + at) for at in range(24, 40)]


def test_bundles_follow_each_other(held: Registry) -> None:
    held.add_bundle(7, b"seven")
    held.add_bundle(8, b"eight")
    held.add_bundle(8, b"eight")
    for version, bundle in ((8, b"other"), (10, b"ten"), (6, b"six")):
        with refused("trust_version"):
            held.add_bundle(version, bundle)
    assert (held.bundles(7, 9), held.bundles(0, 1), held.trust_version()) == ([b"eight"], [b"seven"], 8)


def test_what_was_said_survives_a_restart(held: Registry, open_registry: OpenRegistry) -> None:
    box, device = enrolled(held)
    held.close()
    again = open_registry()
    assert again.caller(box.key.id) == registry.Caller(
        box.key.id, box.key.public, registry.CURRENT, device, "t1", registry.ACTIVE, 1
    )
    assert again.active_count() == 1


def test_the_file_is_private_and_no_other_file_is_taken(tmp_path: Path) -> None:
    SqliteRegistry(tmp_path / "registry.db").close()
    assert (tmp_path / "registry.db").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    (tmp_path / "junk.db").write_bytes(b"no database" * 100)
    for name in ("other.db", "junk.db"):
        with pytest.raises(PermanentError, match="registry"):
            SqliteRegistry(tmp_path / name)


def test_a_person_acts_under_their_name(held: Registry) -> None:
    _, device = enrolled(held)
    held.revoke(device, By("t1", "carla", NOW, "stolen"))
    entry, _ = held.audit("t1", device)[-1]
    assert (entry.actor, entry.kind, json.loads(entry.document)["reason"]) == ("carla", "device.revoked", "stolen")
