"""From a person's wish to a signed command on its way, and the ping that always has an answer in time."""

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleetd.enroll.front import Front
from fleetd.enroll.presence import State
from fleetd.enroll.registry import DONE, QUEUED, By, Order
from fleetd.enroll.waiters import Results, Waiters
from fleetd.refusal import Refusal
from routerd.errors import PermanentError, TransientError
from routerd.wire.commands import PING, Command, Envelope

MAX_PING_MS = 30_000
_DIRECTIVE_LIFE_MS = 600_000
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MINUTE_MS = 60_000


class Allowance:
    """So many a minute for each name."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._times: dict[str, deque[int]] = {}

    def take(self, name: str, now_ms: int) -> None:
        """Raises Refusal 429 `too_often`."""
        times = self._times.setdefault(name, deque(maxlen=self._per_minute))
        if len(times) == self._per_minute and now_ms - times[0] < _MINUTE_MS:
            wait_s = (_MINUTE_MS - (now_ms - times[0])) // 1000 + 1
            raise Refusal(429, "too_often", f"{self._per_minute} a minute are allowed", retry_after_s=wait_s)
        times.append(now_ms)


@dataclass(frozen=True, slots=True)
class Wish:
    """A command that a person asks for; it lives `life_ms`."""

    device: str
    kind: str
    args: Mapping[str, Any]
    life_ms: int


class Orderer:
    """Has commands signed, keeps them, and wakes the poll that takes them along."""

    def __init__(self, front: Front, waiters: Waiters, results: Results) -> None:
        self._front = front
        self._parts = front.parts
        self._waiters = waiters
        self._results = results
        self._pings: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._per_device, self._per_actor, self._per_tenant = Allowance(6), Allowance(60), Allowance(600)

    async def seal(self, device: str, kind: str, actor: str, reason: str) -> Envelope:
        """A command that is not kept: said in each answer as long as it is true. Raises RouterdError."""
        now_ms = self._parts.now_ms()
        expires_ms = now_ms + _DIRECTIVE_LIFE_MS
        return await self._parts.signer.sign(Command(ulid(now_ms), device, kind, {}, now_ms, expires_ms, actor, reason))

    async def order(self, wish: Wish, by: By) -> Order:
        """Raises Refusal 404, 422 `command_refused`, 503 `signer_unavailable`."""
        device = await self._front.turn(self._parts.registry.device, by.tenant, wish.device)
        now_ms = self._parts.now_ms()
        expires_ms = now_ms + wish.life_ms
        command = Command(
            ulid(now_ms), device.id, wish.kind, wish.args, now_ms, expires_ms, f"{by.actor}@{by.tenant}", by.reason
        )
        try:
            envelope = await self._parts.signer.sign(command)
        except PermanentError as exc:
            raise Refusal(422, "command_refused", str(exc)) from exc
        except TransientError as exc:
            raise Refusal(503, "signer_unavailable", str(exc), retry_after_s=5) from exc
        made = Order(command.id, device.id, wish.kind, QUEUED, expires_ms, envelope)
        await self._front.turn(self._parts.registry.order, made, by)
        self._waiters.wake(device.id)
        return made

    async def ping(self, device: str, deadline_ms: int, by: By) -> dict[str, Any]:
        """What is known: the router's own answer, or why there is none, with the last health in every case.

        Those who ask at the same time share one ping. Nothing is queued for a router that is not there.
        """
        await self._front.turn(self._parts.registry.device, by.tenant, device)
        if running := self._pings.get(device):
            return await asyncio.shield(running)
        state = self._parts.roster.state(device, self._parts.now_ms())
        if state in (State.OFFLINE, State.STALE):
            return await self._known("offline", device, by)
        for allowance, name in ((self._per_device, device), (self._per_actor, by.actor), (self._per_tenant, by.tenant)):
            allowance.take(name, self._parts.now_ms())
        task = self._pings[device] = asyncio.create_task(self._ask(device, deadline_ms, by), name=f"ping {device}")
        task.add_done_callback(lambda _: self._pings.pop(device, None))
        return await asyncio.shield(task)

    async def _ask(self, device: str, deadline_ms: int, by: By) -> dict[str, Any]:
        order: Order | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_ms / 1000):
                order = await self.order(Wish(device, PING, {}, deadline_ms), by)
                with self._results.expect(order.id) as arrived:
                    if not await self._is_done(device, order.id, by):  # it may have come before we listened
                        await arrived.wait()
        if order is None:
            return await self._known("timeout", device, by) | {"delivered": False}
        orders = await self._front.turn(self._parts.registry.orders, by.tenant, device)
        held = next(one for one in orders if one.id == order.id)
        if held.result is None:
            return await self._known("timeout", device, by) | {"delivered": held.state != QUEUED}
        said = {"state": held.result.state, "took_ms": held.result.took_ms, "data": held.result.data}
        return await self._known("answered", device, by) | {"result": said}

    async def _is_done(self, device: str, order_id: str, by: By) -> bool:
        orders = await self._front.turn(self._parts.registry.orders, by.tenant, device)
        return any(one.id == order_id and one.state == DONE for one in orders)

    async def _known(self, outcome: str, device: str, by: By) -> dict[str, Any]:
        health = await self._front.turn(self._parts.registry.health, by.tenant, device)
        now_ms = self._parts.now_ms()
        heard = self._parts.roster.last(device)
        last_ms = max(heard[0] if heard else 0, health.at_ms if health else 0) or None
        return {
            "outcome": outcome,
            "presence": self._parts.roster.state(device, now_ms),
            "last_seen_ms": last_ms,
            "last_health": dict(health.document) if health else None,
            "last_health_age_s": (now_ms - health.at_ms) // 1000 if health else None,
        }


def ulid(now_ms: int) -> str:
    """26 characters that sort by time."""
    number = now_ms << 80 | secrets.randbits(80)
    return "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))
