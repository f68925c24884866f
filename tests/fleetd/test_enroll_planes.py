"""Both planes over TLS: enrolment, polls, commands, pings, and what people may do for their own tenant only."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetd.enroll.herd import Load
from fleetd.enroll.signer import Keyring
from routerd.errors import TransientError
from routerd.wire import polling, trust
from routerd.wire.commands import IDENTITY_CONFLICT, Command, Envelope, check
from routerd.wire.enrollment import pack_enroll, pack_farewell
from routerd.wire.fields import pack
from routerd.wire.trust import Bundle
from tests.fleetd.enroll_kit import Box, add_token
from tests.fleetd.enroll_site import READ_KEY, TIME_KEY, TRUSTED, VITALS, Reply, Router, Site, active, running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as made:
        yield made


async def held(site: Site, router: Router, **said: Any) -> "asyncio.Task[Reply]":
    """A poll that the server holds."""
    site.roster.begun.clear()
    task = asyncio.create_task(router.polled(30, **said))
    await site.roster.begun.wait()
    return task


async def answered(task: "asyncio.Task[Reply]") -> polling.PollAnswer:
    return polling.read_poll_answer((await task).body)


async def test_zero_touch_from_the_manifest_to_the_first_poll(site: Site) -> None:
    router = await active(site, store="s1042")
    answer = await router.poll()
    assert (answer.epoch, answer.status, answer.commands) == (1, "active", [])
    assert site.admitted[-1] == (router.device, "s1042")
    seen = (await site.see(f"/mnsp/v1/devices/{router.device}")).json
    assert (seen["store"], seen["presence"], seen["serial"]) == ("s1042", "online", "GL-00001")


async def test_the_same_enrolment_ten_times_is_one_device(site: Site) -> None:
    router = await active(site)
    replies = [await router.enroll() for _ in range(10)]
    assert {(one.status, one.json["device_id"]) for one in replies} == {(200, router.device)}


async def test_who_is_not_expected_waits_with_a_ticket_and_a_person_decides(site: Site) -> None:
    router = Router(site, Box(1))
    waiting = await router.enroll()
    assert (waiting.status, waiting.json["reason"]) == (202, "not_in_manifest")
    assert int(waiting.headers["Retry-After"]) == waiting.json["retry_after_s"] >= 300
    [listed] = (await site.see("/mnsp/v1/pending")).json["pending"]
    assert listed["ticket"] == waiting.json["ticket"]
    path = f"/mnsp/v1/pending/{listed['ticket']}/approve"
    assert (await site.act(path, {"store_id": "s7"}, "t2")).status == 404
    approved = [await site.act(path, {"store_id": "s7"}) for _ in range(2)]
    assert {one.json["id"] for one in approved} == {(await router.enroll()).json["device_id"]}
    assert (await router.poll()).status == "active"


async def test_a_claim_signature_fits_one_key_one_serial_one_moment(site: Site) -> None:
    router, thief = Router(site, Box(1)), Router(site, Box(2))
    await router.time()
    await thief.time()
    captured = router.box.request(router.nonce)
    for changed in (
        {"public": thief.box.key.public},
        {"public": thief.box.key.public, "serial": thief.box.serial},
    ):
        body = pack_enroll(replace(captured, **changed))
        assert (await thief.post("/v1/enroll", body)).code == "claim_invalid"
    old = pack_enroll(captured)
    await router.time()
    assert (await router.post("/v1/enroll", old)).code == "claim_invalid"
    assert (await thief.post("/v1/enroll", old)).code == "signature_bad"


async def test_a_claim_key_opens_nothing_but_enrolment(site: Site) -> None:
    await active(site)
    holder = Router(site, Box(9))
    holder.box.key = holder.box.claim_key
    assert (await holder.polled()).code == "key_unknown"
    assert (await holder.post(f"/v1/results/{1:026}", b"{}")).code == "key_unknown"


async def test_what_is_altered_is_refused_with_the_code_of_the_table(site: Site) -> None:
    router = await active(site)
    await router.time()
    body = polling.pack_poll(polling.Poll(0, 1, VITALS))
    good = router.headers("/v1/poll", body)
    cases: list[tuple[dict[str, str], str, bytes, int, str]] = [
        ({}, "/v1/poll?x=1", body, 401, "signature_bad"),
        ({}, "/v1/poll", body + b" ", 400, "digest_mismatch"),
        ({"Routerd-Boot": good["Routerd-Boot"] + "1"}, "/v1/poll", body, 401, "signature_bad"),
        ({"Signature": "sig=:" + "A" * 86 + "==:"}, "/v1/poll", body, 401, "signature_bad"),
        ({"Signature": "x"}, "/v1/poll", body, 401, "signature_malformed"),
        ({"Signature-Input": good["Signature-Input"] + ";x=1"}, "/v1/poll", body, 401, "signature_malformed"),
        ({"Routerd-Protocol": "2.0"}, "/v1/poll", body, 426, "protocol_major"),
        ({"Host": "elsewhere.example"}, "/v1/poll", body, 401, "signature_bad"),
    ]
    for changed, path, sent, status, code in cases:
        reply = await site.ask("POST", path, sent, good | changed)
        assert (reply.status, reply.code) == (status, code), changed
        assert len(reply.headers["Routerd-Nonce"]) == 43
    assert (await site.ask("POST", "/v1/poll", body, good)).status == 200
    assert (await site.ask("POST", "/v1/poll", body, good)).code == "replayed"


async def test_a_held_poll_brings_a_command_and_its_result_comes_back(site: Site) -> None:
    router = await active(site)
    task = await held(site, router)
    path = f"/support/v1/devices/{router.device}/commands"
    made = await site.act(path, {"kind": "rescan", "reason": "TKT-1"})
    assert made.json["state"] == "queued"
    answer = await answered(task)
    command = check(answer.commands[0], router.device, TRUSTED, site.parts.now_ms())
    assert (command.kind, command.actor, command.reason) == ("rescan", "ana@t1", "TKT-1")
    assert [one.status for one in await router.run(answer)] == [204]
    assert [one.status for one in await router.run(answer)] == [204]  # the reply was lost
    [kept] = (await site.see(path)).json["commands"]
    assert (kept["state"], kept["result"]["state"]) == ("done", "ok")
    assert (await router.poll()).commands == []


async def test_commands_need_a_kind_a_reason_and_a_key_that_may(site: Site) -> None:
    router = await active(site)
    path = f"/support/v1/devices/{router.device}/commands"
    for said in ({"kind": "wipe", "reason": "x"}, {"kind": "ping", "reason": "x"}, {"kind": "shell", "reason": "x"}):
        assert (await site.act(path, said)).code == "unknown_kind"
    assert (await site.act(path, {"kind": "restart"})).status == 400
    assert (await site.act(path, {"kind": "restart", "reason": "x"}, "t2")).status == 404


async def test_a_ping_of_a_router_that_listens_is_answered_by_it(site: Site) -> None:
    router = await active(site)
    task = await held(site, router, health={"path": "ok"})
    path = f"/support/v1/devices/{router.device}/ping"
    asking = [asyncio.create_task(site.act(path, {"deadline_ms": 20_000})) for _ in range(3)]
    answer = await answered(task)
    assert len(answer.commands) == 1  # those who ask together share one
    await router.run(answer, {"pos_up": 1})
    for reply in await asyncio.gather(*asking):
        assert (reply.json["outcome"], reply.json["result"]["data"]) == ("answered", {"pos_up": 1})
        assert reply.json["last_health"] == {"path": "ok"}


async def test_a_ping_of_a_router_that_is_off_is_answered_at_once_and_leaves_nothing(site: Site) -> None:
    router = await active(site)
    reply = await site.act(f"/support/v1/devices/{router.device}/ping", {"deadline_ms": 30_000})
    assert (reply.status, reply.json["outcome"], reply.json["last_health"]) == (200, "offline", None)
    assert (await router.poll()).commands == []


async def test_a_ping_that_nobody_answers_ends_at_its_deadline(site: Site) -> None:
    router = await active(site)
    await router.poll(health={"path": "ok"})
    reply = await site.act(f"/support/v1/devices/{router.device}/ping", {"deadline_ms": 200})
    assert (reply.json["outcome"], reply.json["delivered"]) == ("timeout", False)
    assert reply.json["last_health"] == {"path": "ok"}
    assert (await router.poll()).commands == []  # it expired with its caller


async def test_a_revoked_router_learns_it_while_its_poll_is_held(site: Site) -> None:
    router = await active(site)
    task = await held(site, router)
    path = f"/mnsp/v1/devices/{router.device}/revoke"
    assert (await site.act(path, {})).status == 400
    assert (await site.act(path, {"reason": "stolen"})).json["status"] == "revoked"
    assert (await task).code == "device_revoked"
    assert (await router.enroll()).code == "device_revoked"
    assert (await site.act(f"/mnsp/v1/devices/{router.device}/reinstate", {})).json["status"] == "active"
    assert (await router.poll()).status == "active"


async def test_a_router_that_said_goodbye_comes_back_with_a_new_key(site: Site) -> None:
    router = await active(site)
    device = router.device
    assert (await router.post("/v1/farewell", pack_farewell("reset button"))).status == 204
    for expected in (200, 202):  # once
        router.box.reset()
        assert (await router.enroll()).status == expected
    assert router.device == device


async def test_two_that_hold_one_key_are_found_and_told_by_a_signed_word(site: Site) -> None:
    original = await active(site)
    copy = Router(site, Box(2, key=original.box.key))
    copy.device = original.device
    statuses = []
    for router in (original, copy, original, copy, original):
        statuses.append(await router.poll())
        site.clock.ahead_ms += 55_000
    assert [one.status for one in statuses] == ["active"] * 4 + ["conflict"]  # two polls after the copy spoke
    last = statuses[-1]
    assert last.directive is not None
    directive = check(last.directive, original.device, TRUSTED, site.parts.now_ms())
    assert directive.kind == IDENTITY_CONFLICT
    copy.box.renew()
    assert (await copy.enroll()).json["reason"] == "not_in_manifest"
    original.box.renew()
    assert (await original.enroll()).json["device_id"] == original.device
    assert (await original.poll()).status == "active"


async def test_another_tenant_finds_nothing(site: Site) -> None:
    router = await active(site)
    device = f"/mnsp/v1/devices/{router.device}"
    support = f"/support/v1/devices/{router.device}"
    for path in (device, f"{support}/health", f"{support}/audit", f"{support}/commands"):
        assert (await site.see(path, "t2")).status == 404, path
    acts: dict[str, dict[str, Any]] = {
        f"{device}/assign": {"store_id": "x"},
        f"{device}/replace": {"new_serial": "GL-7"},
        f"{device}/retire": {},
        f"{device}/revoke": {"reason": "x"},
        f"{device}/reinstate": {},
        f"{device}/reset-ticket": {},
        f"{support}/ping": {},
        "/mnsp/v1/claims/c1/disable": {},
    }
    for path, said in acts.items():
        assert (await site.act(path, said, "t2")).status == 404, path
    assert (await site.see("/mnsp/v1/devices", "t2")).json["devices"] == []


async def test_a_token_is_good_for_its_scopes_only(site: Site) -> None:
    narrow = add_token(site.registry, "t1", "devices:read", actor="eve")
    assert (await site.ask("GET", "/mnsp/v1/devices", headers=narrow)).status == 200
    assert (await site.ask("GET", "/mnsp/v1/pending", headers=narrow)).code == "scope_missing"
    assert (await site.ask("POST", "/mnsp/v1/manifests", b"serial\n", narrow)).code == "scope_missing"
    assert (await site.ask("GET", "/mnsp/v1/devices")).code == "token_missing"
    assert (await site.ask("GET", "/mnsp/v1/devices", headers={"Authorization": "Bearer fleet_x"})).status == 401


async def test_a_manifest_is_rehearsed_then_uploaded_and_told_line_by_line(site: Site) -> None:
    csv = b"serial,mac,store_id\nGL-1,,s1\n0000,,s2\nGL-2,94:83:c4:00:00:09,s3\n"
    for path, dry_run in (("/mnsp/v1/manifests?dry_run=1", True), ("/mnsp/v1/manifests", False)):
        reply = await site.ask("POST", path, csv, site.tokens["t1"])
        assert (reply.json["dry_run"], reply.json["counts"]) == (dry_run, {"created": 2, "invalid": 1})
        assert [(row["line"], row["result"]) for row in reply.json["rows"]] == [
            (2, "created"),
            (3, "invalid"),
            (4, "created"),
        ]
    assert (await site.ask("POST", "/mnsp/v1/manifests", b"\xff\xfex", site.tokens["t1"])).status == 422


async def test_the_life_of_a_device_is_led_by_its_mnsp(site: Site) -> None:
    router = await active(site)
    device = f"/mnsp/v1/devices/{router.device}"
    assert (await site.act(f"{device}/assign", {"store_id": "s2", "reason": "moved"})).json["epoch"] == 2
    assert (await router.poll()).epoch == 2
    assert site.admitted[-1] == (router.device, "s2")
    assert (await site.act(f"{device}/replace", {"new_serial": "gl-00002"})).json["status"] == "retiring"
    assert (await router.poll()).status == "retiring"
    new = Router(site, Box(2))
    assert (await new.enroll()).status == 201
    assert site.admitted[-1] == (new.device, "s2")
    assert (await site.act(f"{device}/retire", {"drain_days": 0})).json["status"] == "retired"
    assert (await router.polled()).code == "device_disabled"
    audit = (await site.see(f"/support/v1/devices/{router.device}/audit")).json
    assert audit["broken_at"] is None
    assert [one["kind"] for one in audit["audit"]][-2:] == ["device.replace", "device.retired"]


async def test_a_claim_is_made_and_switched_off_by_its_owner(site: Site) -> None:
    said = {"id": "batch-7", "pub": "A" * 43, "quota_total": 5}
    assert (await site.act("/mnsp/v1/claims", said)).json["quota_total"] == 5
    assert (await site.act("/mnsp/v1/claims", said, "t2")).code == "claim_exists"
    assert (await site.act("/mnsp/v1/claims/batch-7/disable", {})).status == 200
    listed = (await site.see("/mnsp/v1/claims")).json["claims"]
    assert [(one["id"], one["is_enabled"]) for one in listed] == [("batch-7", False), ("c1", True)]


async def test_the_time_is_signed_for_its_challenge(site: Site) -> None:
    challenge = "A" * 22
    reply = await site.ask("GET", f"/v1/time?c={challenge}")
    said = trust.read_time(reply.body, reply.headers["Routerd-Time-Signature"], challenge, {"t1": TIME_KEY.public})
    assert abs(said.at_ms - site.parts.now_ms()) < 60_000
    assert reply.headers["Cache-Control"] == "no-store"
    for bad in ("", "?c=", "?c=short", f"?c={'%0A' * 22}"):
        assert (await site.ask("GET", f"/v1/time{bad}")).code == "challenge_malformed"


async def test_trust_is_served_from_where_a_router_stands(site: Site) -> None:
    for version in (7, 8, 9):
        site.registry.add_bundle(version, trust.pack_bundle(Bundle(b"%d" % version, ())))
    chain = trust.read_chain((await site.ask("GET", "/v1/trust?have=7")).body)
    assert [one.payload for one in chain] == [b"8", b"9"]
    assert trust.read_chain((await site.ask("GET", "/v1/trust?have=9")).body) == []
    assert (await site.ask("GET", "/v1/trust?have=x")).status == 400


class NoSigner:
    async def sign(self, command: Command) -> Envelope:
        raise TransientError("signer.unavailable", "it is off")


async def test_without_its_signer_the_web_tier_orders_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, signer=NoSigner()) as site:
        router = await active(site)
        path = f"/support/v1/devices/{router.device}/commands"
        assert (await site.act(path, {"kind": "restart", "reason": "x"})).code == "signer_unavailable"
        assert (await router.poll()).commands == []


async def test_a_key_for_reading_orders_nothing_else(tmp_path: Path) -> None:
    async with running(tmp_path, signer=Keyring({"c1": (READ_KEY, frozenset({"read"}))})) as site:
        router = await active(site)
        path = f"/support/v1/devices/{router.device}/commands"
        assert (await site.act(path, {"kind": "restart", "reason": "x"})).code == "command_refused"
        assert (await site.act(path, {"kind": "logs.tail", "reason": "x"})).status == 200


async def test_a_herd_is_sent_away_before_anything_is_verified(tmp_path: Path) -> None:
    load = Load(turn_s=1.0)
    async with running(tmp_path, load=load) as site:
        router = Router(site, Box(1))
        await router.time()
        while load.enter():
            pass
        reply = await router.polled()
        assert (reply.status, reply.code) == (503, "busy")
        assert int(reply.headers["Retry-After"]) >= 1
        assert len(reply.headers["Routerd-Nonce"]) == 43


async def test_broken_bodies_are_refused_in_the_same_shape(site: Site) -> None:
    router = await active(site)
    for body in (b"", b"{", b"[]", pack({"wait_s": -1}), b"[" * 9000):
        assert (await router.post("/v1/poll", body)).code == "poll_malformed"
    assert (await router.post("/v1/poll", b" " * (polling.MAX_POLL_BYTES + 1))).code == "too_large"
    assert (await site.act("/mnsp/v1/claims", {"id": 7})).code == "request_malformed"
    assert (await site.ask("POST", "/mnsp/v1/claims", b"[" * 9000, site.tokens["t1"])).code == "request_malformed"
