"""What routers ask: to be let in, for orders, for the time and for what to trust."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping

from aiohttp import web

from fleetd.auth import Inbound
from fleetd.enroll import registry
from fleetd.enroll.front import Front, body_of, inbound_of
from fleetd.enroll.orders import Orderer
from fleetd.enroll.registry import Admission, Asking, By, Caller, Health, Order
from fleetd.enroll.waiters import Results, Waiters
from fleetd.refusal import Refusal
from routerd.errors import CorruptError, RouterdError
from routerd.wire import ed25519, enrollment, polling, trust
from routerd.wire.commands import IDENTITY_CONFLICT, MAX_RESULT_BYTES, Envelope, read_result
from routerd.wire.enrollment import EnrollRequest
from routerd.wire.polling import Poll, PollAnswer

MAX_ORDERS = 8
_FAREWELL_MS = 24 * 3_600_000  # a board that was reset is back on the same day
_CONFLICT_PAUSE_S = 30  # between polls of those who hold one key together
_JITTER = 0.1  # of a poll's wait, so that a fleet does not fall into step
_JSON = "application/json"


class DevicePlane:
    """The handlers; `routes` mounts them."""

    def __init__(self, front: Front, waiters: Waiters, results: Results, orderer: Orderer) -> None:
        self._front = front
        self._parts = front.parts
        self._waiters = waiters
        self._results = results
        self._orderer = orderer

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/enroll", self.enroll),
            web.post("/v1/poll", self.poll),
            web.post("/v1/results/{id}", self.result),
            web.post("/v1/farewell", self.farewell),
            web.get("/v1/trust", self.trust),
            web.get("/v1/time", self.time),
        ]

    async def enroll(self, request: web.Request) -> web.Response:
        body = await body_of(request, enrollment.MAX_ENROLL_BYTES)
        inbound = inbound_of(request, body)
        admission, version = await self._front.turn(self._enroll, inbound, body, self._front.ip(request))
        made = admission.decision
        if made.status == 202:
            wait_s = _spread(admission.retry_after_s)
            waiting = enrollment.Pending(admission.ticket, made.code, wait_s)
            headers = {"Retry-After": str(wait_s)}
            return _json(enrollment.pack_pending(waiting), 202, headers)
        if made.code:
            later_s = _spread(admission.retry_after_s) if made.status == 429 else None
            raise Refusal(made.status, made.code, "not let in", retry_after_s=later_s)
        enrolled = enrollment.Enrolled(admission.device, admission.epoch, polling.WAIT_S, version)
        return _json(enrollment.pack_enrolled(enrolled), made.status)

    def _enroll(self, inbound: Inbound, body: bytes, ip: str) -> tuple[Admission, int]:
        """On the registry's thread."""
        authenticator, held = self._parts.authenticator, self._parts.registry
        proven = authenticator.read(inbound)
        try:
            asked = enrollment.read_enroll(body)
        except CorruptError as exc:
            raise Refusal(400, "enroll_malformed", str(exc)) from exc
        authenticator.check(proven, asked.public)
        signed = proven.signed
        claimed, vouched = self._proofs(asked, signed.nonce, signed.key_id)
        admission = held.enroll(
            Asking(asked, signed.key_id, ip, proven.now_ms, True, claimed, vouched, self._heard, self._parts.started_ms)
        )
        if admission.device:
            self._parts.admitted(admission.device, admission.store)
        return admission, held.trust_version()

    def _proofs(self, asked: EnrollRequest, nonce: str, key_id: str) -> tuple[bool, bool]:
        """Whether the claim's and the old key's signatures verify."""
        claimed = vouched = False
        if asked.claim and (claim := self._parts.registry.claim(asked.claim.id)):
            told = enrollment.claim_message(nonce, key_id, asked.serial)
            claimed = ed25519.verify(claim.public, told, asked.claim.signature)
        if asked.previous and (old := self._parts.registry.caller(asked.previous.id)):
            told = enrollment.rekey_message(nonce, key_id)
            vouched = ed25519.verify(old.public, told, asked.previous.signature)
        return claimed, vouched

    def _heard(self, device: str) -> int:
        last = self._parts.roster.last(device)
        return last[0] if last else 0

    async def poll(self, request: web.Request) -> web.Response:
        body = await body_of(request, polling.MAX_POLL_BYTES)
        inbound = inbound_of(request, body)
        ip = self._front.ip(request)
        caller, asked = await self._front.turn(self._heartbeat, inbound, body, ip)
        for result in asked.results:
            self._results.arrived(result.id)
        roster, device = self._parts.roster, caller.device
        roster.begin(device, asked.wait_s, ip, self._parts.now_ms())
        try:
            with self._waiters.hold(device) as woken:
                answer = await self._answer(caller, asked, woken)
        finally:
            roster.end(device, self._parts.now_ms())
        return _json(polling.pack_poll_answer(answer))

    def _heartbeat(self, inbound: Inbound, body: bytes, ip: str) -> tuple[Caller, Poll]:
        """On the registry's thread: who polls, and what it brought is kept."""
        held, now_ms = self._parts.registry, self._parts.now_ms()
        caller = self._parts.authenticator.identify(inbound)
        try:
            asked = polling.read_poll(body)
        except CorruptError as exc:
            raise Refusal(400, "poll_malformed", str(exc)) from exc
        for result in asked.results:
            held.finish(caller.device, result, now_ms)
        if asked.acked:
            held.acknowledge(caller.device, asked.acked)
        if asked.health is not None:
            held.put_health(caller.device, Health(now_ms, ip, asked.health))
        return caller, asked

    async def _answer(self, caller: Caller, asked: Poll, woken: asyncio.Event) -> PollAnswer:
        """At once when there is something to say, else when there is or when the wait is over."""
        if caller.status == registry.CONFLICT:
            return await self._directive(caller)
        orders = await self._front.turn(self._deliver, caller.device)
        if not orders and asked.wait_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), asked.wait_s * (1 - _JITTER * _chance()))
            orders = await self._front.turn(self._deliver, caller.device)
            caller = await self._front.turn(self._again, caller)
        if caller.status == registry.CONFLICT:
            return await self._directive(caller)
        return PollAnswer(caller.epoch, caller.status, polling.WAIT_S, [order.envelope for order in orders])

    def _deliver(self, device: str) -> list[Order]:
        return self._parts.registry.deliver(device, self._parts.now_ms(), MAX_ORDERS)

    def _again(self, caller: Caller) -> Caller:
        """What became of a device while its poll was held. Raises Refusal."""
        now = self._parts.registry.caller(caller.key_id)
        if now is None or now.key_state != registry.CURRENT:
            raise Refusal(401, "key_unknown", "this key is not registered here any more")
        if now.status == registry.REVOKED:
            raise Refusal(403, "device_revoked", "this device is revoked")
        if now.status == registry.RETIRED:
            raise Refusal(403, "device_disabled", "this device is retired")
        return now

    async def _directive(self, caller: Caller) -> PollAnswer:
        """Signed, so that no proxy can make a router give up its key. Without a signer both go on as they are."""
        directive: Envelope | None = None
        with contextlib.suppress(RouterdError):
            directive = await self._orderer.seal(caller.device, IDENTITY_CONFLICT, "fleetd", "two hold this key")
        pause_s = _CONFLICT_PAUSE_S
        return PollAnswer(caller.epoch, caller.status, polling.WAIT_S, (), directive, not_before_s=pause_s)

    async def result(self, request: web.Request) -> web.Response:
        body = await body_of(request, MAX_RESULT_BYTES)
        inbound = inbound_of(request, body)
        order_id = request.match_info["id"]
        await self._front.turn(self._finish, inbound, body, order_id)
        self._results.arrived(order_id)
        return web.Response(status=204)

    def _finish(self, inbound: Inbound, body: bytes, order_id: str) -> None:
        caller = self._parts.authenticator.identify(inbound)
        try:
            result = read_result(json.loads(body))
        except (CorruptError, ValueError, RecursionError) as exc:
            raise Refusal(400, "result_malformed", str(exc)) from exc
        if result.id != order_id or not self._parts.registry.finish(caller.device, result, self._parts.now_ms()):
            raise Refusal(404, "not_found", "there is no such command")

    async def farewell(self, request: web.Request) -> web.Response:
        """A router that is about to forget its key: for a day one new key may take its place."""
        body = await body_of(request, enrollment.MAX_ANSWER_BYTES)
        await self._front.turn(self._farewell, inbound_of(request, body), body)
        return web.Response(status=204)

    def _farewell(self, inbound: Inbound, body: bytes) -> None:
        caller, now_ms = self._parts.authenticator.identify(inbound), self._parts.now_ms()
        try:
            by = By(caller.tenant, caller.device, now_ms, enrollment.read_farewell(body))
        except CorruptError as exc:
            raise Refusal(400, "farewell_malformed", str(exc)) from exc
        self._parts.registry.open_ticket(caller.device, now_ms + _FAREWELL_MS, by)

    async def trust(self, request: web.Request) -> web.Response:
        have = _number(request.query.get("have", "0"))
        bundles = await self._front.turn(self._parts.registry.bundles, have, trust.MAX_CHAIN)
        return _json(trust.pack_chain(trust.read_bundle(one) for one in bundles))

    async def time(self, request: web.Request) -> web.Response:
        challenge = request.query.get("c", "")
        if len(challenge) != 22 or not challenge.isascii() or not challenge.isprintable():
            raise Refusal(400, "challenge_malformed", "c is 22 characters")
        version = await self._front.turn(self._parts.registry.trust_version)
        statement = trust.TimeStatement(challenge, self._parts.now_ms(), self._front.nonce(), version)
        body = trust.pack_time(statement)
        kid, key = self._parts.time_key
        signature = trust.time_signature(kid, key.sign(trust.time_message(body)))
        return _json(body, headers={trust.TIME_SIGNATURE_HEADER: signature})


def _json(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=body, status=status, content_type=_JSON, headers=headers)


def _number(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 15:
        raise Refusal(400, "version_malformed", "have is a version number")
    return int(text)


def _chance() -> float:
    return secrets.randbelow(1 << 30) / (1 << 30)


def _spread(wait_s: int) -> int:
    """Between this and a quarter more: those who were sent away together do not come back together."""
    return round(wait_s * (1 + _chance() / 4))
