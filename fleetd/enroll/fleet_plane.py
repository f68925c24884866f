"""What MNSPs and support ask, with bearer tokens: of one tenant, for named scopes, every act under a name."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from fleetd.enroll import chain, manifest, tokens
from fleetd.enroll.claims import HOUR_MS, Claim
from fleetd.enroll.front import Front, body_of
from fleetd.enroll.orders import MAX_PING_MS, Orderer, Wish
from fleetd.enroll.registry import By, Device, Order
from fleetd.enroll.waiters import Waiters
from fleetd.refusal import Refusal
from routerd.errors import CorruptError
from routerd.wire import ed25519
from routerd.wire.commands import DEADLINE_S, IDENTITY_ROTATE, result_values
from routerd.wire.enrollment import normal_serial
from routerd.wire.fields import Fields

MAX_JSON_BYTES = 64 << 10
_DAY_MS = 24 * HOUR_MS
_ORDERABLE = {*DEADLINE_S, IDENTITY_ROTATE} - {"ping"}
Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose token is good. `fields` is its JSON body, empty for none."""

    request: web.Request
    by: By
    fields: Fields

    @property
    def id(self) -> str:
        """What the path names."""
        return self.request.match_info.get("id", "")


class FleetPlane:
    """The handlers; `routes` mounts them."""

    def __init__(self, front: Front, orderer: Orderer, waiters: Waiters) -> None:
        self._front = front
        self._registry = front.parts.registry
        self._orderer = orderer
        self._waiters = waiters

    def routes(self) -> list[web.RouteDef]:
        device = "/mnsp/v1/devices/{id}"
        support = "/support/v1/devices/{id}"
        return [
            web.post("/mnsp/v1/manifests", self.upload),
            self._get("/mnsp/v1/pending", "pending:read", self.pending),
            self._post("/mnsp/v1/pending/{id}/approve", "pending:write", self.approve),
            self._post("/mnsp/v1/pending/{id}/reject", "pending:write", self.reject),
            self._get("/mnsp/v1/claims", "claims:write", self.claims),
            self._post("/mnsp/v1/claims", "claims:write", self.add_claim),
            self._post("/mnsp/v1/claims/{id}/disable", "claims:write", self.disable_claim),
            self._get("/mnsp/v1/devices", "devices:read", self.devices),
            self._get(device, "devices:read", self.device),
            self._post(f"{device}/assign", "devices:write", self.assign),
            self._post(f"{device}/replace", "devices:write", self.replace),
            self._post(f"{device}/retire", "devices:write", self.retire),
            self._post(f"{device}/revoke", "devices:write", self.revoke),
            self._post(f"{device}/reinstate", "devices:write", self.reinstate),
            self._post(f"{device}/reset-ticket", "devices:write", self.reset_ticket),
            self._post(f"{support}/ping", "support:read", self.ping),
            self._get(f"{support}/health", "support:read", self.health),
            self._get(f"{support}/audit", "support:read", self.audit),
            self._get(f"{support}/commands", "support:read", self.orders),
            self._post(f"{support}/commands", "support:operate", self.order),
        ]

    def _get(self, path: str, scope: str, function: Callable[[Asked], Awaitable[Answer]]) -> web.RouteDef:
        return web.get(path, self._guarded(scope, function))

    def _post(self, path: str, scope: str, function: Callable[[Asked], Awaitable[Answer]]) -> web.RouteDef:
        return web.post(path, self._guarded(scope, function))

    def _guarded(
        self, scope: str, function: Callable[[Asked], Awaitable[Answer]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            token = await self._token(request, scope)
            body = await body_of(request, MAX_JSON_BYTES)
            try:
                fields = Fields(json.loads(body) if body else {}, "request")
                reason = fields.text("reason", 256, 0) if fields.has("reason") else ""
                by = By(token.tenant, token.actor, self._front.parts.now_ms(), reason)
                return web.json_response(await function(Asked(request, by, fields)))
            except (ValueError, RecursionError) as exc:
                raise Refusal(400, "request_malformed", "the body is no JSON object") from exc
            except CorruptError as exc:
                raise Refusal(400, "request_malformed", str(exc)) from exc

        return handle

    async def _token(self, request: web.Request, scope: str) -> tokens.Token:
        hashed = tokens.carried(request.headers)
        token = await self._front.turn(self._registry.token, hashed)
        return tokens.allow(token, scope, self._front.parts.now_ms())

    async def upload(self, request: web.Request) -> web.Response:
        """CSV in the body; `?dry_run=1` writes nothing."""
        token = await self._token(request, "manifest:write")
        data = await body_of(request, manifest.MAX_BYTES)
        dry_run = request.query.get("dry_run", "0") not in ("0", "")
        by = By(token.tenant, token.actor, self._front.parts.now_ms())
        outcomes = await self._front.turn(self._import, data, by, dry_run)
        counts: dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.result] = counts.get(outcome.result, 0) + 1
        rows = [{"line": one.no, "result": one.result, "reason": one.reason} for one in outcomes]
        digest = hashlib.sha256(data).hexdigest()
        return web.json_response({"dry_run": dry_run, "sha256": digest, "counts": counts, "rows": rows})

    def _import(self, data: bytes, by: By, dry_run: bool) -> list[manifest.Outcome]:
        sheet = manifest.parse(data)
        taken = self._registry.import_manifest(sheet.lines, by, dry_run=dry_run)
        return sorted([*sheet.invalid, *taken], key=lambda outcome: outcome.no)

    async def pending(self, asked: Asked) -> Answer:
        waiting = await self._front.turn(self._registry.pending, asked.by.tenant)
        return {"pending": [asdict(one) for one in waiting]}

    async def approve(self, asked: Asked) -> Answer:
        store = _name(asked.fields, "store_id") if asked.fields.has("store_id") else None
        device = await self._front.turn(self._approve, asked.id, store, asked.by)
        return self._shown(device)

    def _approve(self, ticket: str, store: str | None, by: By) -> Device:
        return self._told(self._registry.approve(ticket, store, by))

    def _told(self, device: Device) -> Device:
        """Whatever else keeps a list of devices learns where this one is. On the registry's thread."""
        self._front.parts.admitted(device.id, device.store)
        return device

    async def reject(self, asked: Asked) -> Answer:
        await self._front.turn(self._registry.reject, asked.id, asked.by)
        return {"rejected": asked.id}

    async def claims(self, asked: Asked) -> Answer:
        return {"claims": [_claim(one) for one in await self._front.turn(self._registry.claims, asked.by.tenant)]}

    async def add_claim(self, asked: Asked) -> Answer:
        fields = asked.fields
        total, hourly = (fields.integer(name) if fields.has(name) else 0 for name in ("quota_total", "quota_per_hour"))
        not_after_ms = fields.integer("not_after_ms") if fields.has("not_after_ms") else None
        public = fields.blob("pub", ed25519.PUBLIC_BYTES)
        by = asked.by
        made = Claim(_name(fields, "id"), by.tenant, public, by.now_ms, not_after_ms, True, total, hourly)
        await self._front.turn(self._registry.add_claim, made, by)
        return _claim(made)

    async def disable_claim(self, asked: Asked) -> Answer:
        await self._front.turn(self._registry.disable_claim, asked.id, asked.by)
        return {"disabled": asked.id}

    async def devices(self, asked: Asked) -> Answer:
        query = asked.request.query
        found = await self._front.turn(
            self._registry.devices, asked.by.tenant, store=query.get("store", ""), status=query.get("status", "")
        )
        shown = [self._shown(device) for device in found]
        return {"devices": [one for one in shown if "stale" not in query or one["presence"] in ("stale", "offline")]}

    async def device(self, asked: Asked) -> Answer:
        device = await self._front.turn(self._registry.device, asked.by.tenant, asked.id)
        history = await self._front.turn(self._registry.assignments, asked.by.tenant, asked.id)
        return {**self._shown(device), "assignments": [asdict(one) for one in history]}

    async def assign(self, asked: Asked) -> Answer:
        store = _name(asked.fields, "store_id")
        return self._shown(await self._front.turn(self._assign, asked.id, store, asked.by))

    def _assign(self, device: str, store: str, by: By) -> Device:
        return self._told(self._registry.assign(device, store, by))

    async def replace(self, asked: Asked) -> Answer:
        serial = normal_serial(asked.fields.text("new_serial"))
        if not serial:
            raise asked.fields.malformed("new_serial")
        return await self._change(asked, self._registry.replace, serial)

    async def retire(self, asked: Asked) -> Answer:
        days = asked.fields.integer("drain_days", 0, 365) if asked.fields.has("drain_days") else 14
        return await self._change(asked, self._registry.retire, days * _DAY_MS)

    async def revoke(self, asked: Asked) -> Answer:
        if not asked.by.reason:
            raise asked.fields.malformed("reason")
        return await self._change(asked, self._registry.revoke)

    async def reinstate(self, asked: Asked) -> Answer:
        return await self._change(asked, self._registry.reinstate)

    async def _change(self, asked: Asked, function: Callable[..., Device], *more: object) -> Answer:
        """One step in a device's life, which its held poll learns of at once."""
        device = await self._front.turn(function, asked.id, *more, asked.by)
        self._waiters.wake(device.id)
        return self._shown(device)

    async def reset_ticket(self, asked: Asked) -> Answer:
        hours = asked.fields.integer("ttl_h", 1, 168) if asked.fields.has("ttl_h") else 24
        until_ms = asked.by.now_ms + hours * HOUR_MS
        await self._front.turn(self._registry.open_ticket, asked.id, until_ms, asked.by)
        return {"device": asked.id, "until_ms": until_ms}

    async def ping(self, asked: Asked) -> Answer:
        fields = asked.fields
        deadline_ms = fields.integer("deadline_ms", 200, MAX_PING_MS) if fields.has("deadline_ms") else 8000
        return await self._orderer.ping(asked.id, deadline_ms, asked.by)

    async def health(self, asked: Asked) -> Answer:
        device = await self._front.turn(self._registry.device, asked.by.tenant, asked.id)
        health = await self._front.turn(self._registry.health, asked.by.tenant, asked.id)
        shown = {"at_ms": health.at_ms, "ip": health.ip, "document": dict(health.document)} if health else None
        return {"device": device.id, "presence": self._shown(device)["presence"], "health": shown}

    async def audit(self, asked: Asked) -> Answer:
        """What happened to a device, and whether the tenant's chain holds."""
        await self._front.turn(self._registry.device, asked.by.tenant, asked.id)
        entries = await self._front.turn(self._registry.audit, asked.by.tenant, asked.id)
        whole = await self._front.turn(self._registry.audit, asked.by.tenant, limit=1 << 40)
        shown = [{**asdict(entry), "document": json.loads(entry.document)} for entry, _ in entries]
        head = whole[-1][1].hex() if whole else ""
        return {"audit": shown, "broken_at": chain.broken_at(whole), "head": head}

    async def orders(self, asked: Asked) -> Answer:
        found = await self._front.turn(self._registry.orders, asked.by.tenant, asked.id)
        return {"commands": [_order(one) for one in found]}

    async def order(self, asked: Asked) -> Answer:
        kind = asked.fields.text("kind", 32)
        if kind not in _ORDERABLE:
            raise Refusal(422, "unknown_kind", f"there are {', '.join(sorted(_ORDERABLE))}")
        if not asked.by.reason:
            raise asked.fields.malformed("reason")
        args = asked.fields.values("args") if asked.fields.has("args") else {}
        life_s = asked.fields.integer("life_s", 1, 86_400) if asked.fields.has("life_s") else 3600
        return _order(await self._orderer.order(Wish(asked.id, kind, args, life_s * 1000), asked.by))

    def _shown(self, device: Device) -> dict[str, Any]:
        presence = self._front.parts.roster.state(device.id, self._front.parts.now_ms())
        return {**asdict(device), "presence": presence}


def _claim(claim: Claim) -> dict[str, Any]:
    """Without its public half: nobody needs it back."""
    return {name: value for name, value in asdict(claim).items() if name != "public"}


def _order(order: Order) -> dict[str, Any]:
    result = result_values(order.result) if order.result else None
    shown = {"id": order.id, "device": order.device, "kind": order.kind, "state": order.state}
    return {**shown, "expires_ms": order.expires_ms, "result": result}


def _name(fields: Fields, name: str) -> str:
    text = fields.text(name, 64)
    if not manifest.is_name(text):
        raise fields.malformed(name)
    return text
