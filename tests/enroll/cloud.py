"""A cloud in memory that judges signatures for real, and a router plugged into it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from routerd.conditions import Conditions
from routerd.enroll.anchor import Anchor
from routerd.enroll.enrollment import Enrollment, open_identity
from routerd.enroll.exchange import Answer, Exchange
from routerd.enroll.hardware import Hardware
from routerd.enroll.identity import IdentityFiles
from routerd.enroll.image import Image, read_image
from routerd.enroll.parts import About, Parts
from routerd.enroll.signer import Signer
from routerd.errors import CorruptError
from routerd.wire import base64url, commands, ed25519, enrollment, fields, signing, trust
from routerd.wire.ed25519 import SigningKey
from routerd.wire.enrollment import EnrollRequest
from routerd.wire.signing import Target
from routerd.wire.trust import CommandKey, Trust
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk

HOST = "ingest.example"
NOW_MS = 1_790_000_000_000
ROOTS = {f"root-{name}": SigningKey(bytes([16 + at]) * 32) for at, name in enumerate("abc")}
CLAIM, TIME, OPERATOR = (SigningKey(bytes([n]) * 32) for n in (2, 4, 5))
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
BOX = Hardware("SN-1", ("02:00:00:00:00:01",), "acme,x1")


def version(number: int, time_key: SigningKey = TIME, hosts: tuple[str, ...] = (HOST,)) -> trust.Bundle:
    """A version of the trust that all its roots signed."""
    roots = {kid: key.public for kid, key in ROOTS.items()}
    orders = {"c2": CommandKey(OPERATOR.public, frozenset({"read", "operate"}))}
    payload = trust.pack_trust(
        Trust(number, NOW_MS - 1000 + number, roots, 2, (PEM,), hosts, orders, {"t1": time_key.public})
    )
    message = trust.trust_message(payload)
    return trust.Bundle(payload, tuple((kid, key.sign(message)) for kid, key in ROOTS.items()))


def image() -> Image:
    claim = {"id": "mnsp7", "seed": base64url.encode(CLAIM.seed), "not_after_ms": NOW_MS}
    return read_image(fields.pack({"claim": claim, "trust": trust.bundle_values(version(1))}))


def order(kind: str, device: str, key: SigningKey = OPERATOR) -> commands.Envelope:
    command = commands.Command(
        "01J9Z3K4M5N6P7Q8R9S0T1V2W3", device, kind, {}, NOW_MS, NOW_MS + 3_600_000, "ana@mnsp7", "T-1"
    )
    payload = commands.pack_command(command)
    return commands.Envelope(payload, "c2", key.sign(commands.command_message(payload)))


@dataclass
class Row:
    """A device as the cloud has it."""

    device_id: str
    serial: str
    keys: list[str]
    status: str = "active"


@dataclass
class FakeCloud:
    """Answers as the decision table says, without its rarer rows. `steps` is called where power may be cut."""

    clock: FakeClock
    manifest: set[str] = field(default_factory=lambda: {"SN-1"})
    devices: dict[str, Row] = field(default_factory=dict)
    chain: list[trust.Bundle] = field(default_factory=list)
    time_key: SigningKey = TIME
    stale: int = 0  # nonces that the next requests are told are too old
    lost: int = 0  # answers that the line swallows
    refuse: Answer | None = None  # what every signed request is answered
    fault: Answer | None = None  # what every request over TLS is answered
    majors: tuple[int, int] = (1, 1)
    max_boot: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    requests: list[EnrollRequest] = field(default_factory=list)
    step: Callable[[], None] = lambda: None
    nonces: set[str] = field(default_factory=set)

    def nonce(self) -> str:
        nonce = base64url.encode(os.urandom(32))
        self.nonces.add(nonce)
        return nonce

    async def get(self, path: str) -> Answer:
        self.asked.append(path)
        self.step()
        return self.fault or self._get(path)

    async def rescue(self, path: str) -> Answer:
        self.asked.append(f"rescue {path}")
        return self._get(path)

    def _get(self, path: str) -> Answer:
        if path.startswith("/v1/time?c="):
            newest = trust.read_trust(self.chain[-1].payload).version if self.chain else 1
            said = trust.TimeStatement(
                path[-22:], self.clock.now_ns // 1_000_000 + NOW_MS, self.nonce(), newest, *self.majors
            )
            body = trust.pack_time(said)
            signature = trust.time_signature("t1", self.time_key.sign(trust.time_message(body)))
            return Answer(200, "", body, self.nonce(), None, signature)
        have = int(path.removeprefix("/v1/trust?have="))
        newer = [bundle for bundle in self.chain if trust.read_trust(bundle.payload).version > have]
        return Answer(200, "", trust.pack_chain(newer), self.nonce())

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.asked.append(path)
        self.step()  # the request may never arrive
        answer = self.fault or self.judge(path, body, headers)
        self.step()  # the answer may never arrive
        if self.lost:
            self.lost -= 1
            return Answer(0, "cloud.timeout")
        return answer

    def judge(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """The order of checks of a cloud: shape, digest, key, signature, nonce, replay, status."""
        try:
            signed = signing.read(headers)
            signing.check_digest(signed, body)
            public = self._public(path, body, signed.key_id)
            if public is None:
                return self._no(401, "key_unknown")
            signing.check_signature(Target("POST", HOST, path), signed, public)
        except CorruptError as exc:
            return self._no(401, exc.code.replace(".", "_"))
        if self.stale or signed.nonce not in self.nonces:
            self.stale = max(0, self.stale - 1)
            return self._no(401, "nonce_stale")
        if signed.boot.count <= self.max_boot.get(signed.boot.id, 0):
            return self._no(409, "replayed")
        self.max_boot[signed.boot.id] = signed.boot.count
        if self.refuse:
            return self.refuse
        if path == "/v1/enroll":
            return self._enroll(enrollment.read_enroll(body), signed)
        if path == "/v1/key":
            return self._change(enrollment.read_key_change(body), signed)
        return Answer(204, "", b"", self.nonce())

    def _public(self, path: str, body: bytes, key_id: str) -> bytes | None:
        if path == "/v1/enroll":
            return enrollment.read_enroll(body).public
        known = [key for row in self.devices.values() for key in row.keys]
        return next((bytes.fromhex(key) for key in known if ed25519.key_id(bytes.fromhex(key)) == key_id), None)

    def _enroll(self, request: EnrollRequest, signed: signing.Signed) -> Answer:
        self.requests.append(request)
        public = request.public.hex()
        held = next((row for row in self.devices.values() if public in row.keys), None)
        if held and held.serial != request.serial:
            return self._no(409, "key_serial_mismatch")
        if held:
            return self._active(200, held)
        claim_message = enrollment.claim_message(signed.nonce, signed.key_id, request.serial)
        bound = next((row for row in self.devices.values() if row.serial == request.serial), None)
        if bound and request.previous and self._is_previous(request, bound, signed):
            bound.keys = [public]
            return self._active(200, bound)
        if not request.claim or not ed25519.verify(CLAIM.public, claim_message, request.claim.signature):
            return self._no(403, "claim_invalid")
        if bound or request.serial not in self.manifest:
            reason = "serial_in_use" if bound else "not_in_manifest"
            return Answer(202, "", enrollment.pack_pending(enrollment.Pending("7F3K-Q2", reason, 300)), self.nonce())
        row = Row(f"d_{len(self.devices) + 1}", request.serial, [public])
        self.devices[row.device_id] = row
        return self._active(201, row)

    def _is_previous(self, request: EnrollRequest, bound: Row, signed: signing.Signed) -> bool:
        message = enrollment.rekey_message(signed.nonce, signed.key_id)
        return any(
            ed25519.verify(bytes.fromhex(key), message, request.previous.signature) if request.previous else False
            for key in bound.keys
        )

    def _change(self, change: enrollment.KeyChange, signed: signing.Signed) -> Answer:
        row = next(
            r for r in self.devices.values() if signed.key_id in {ed25519.key_id(bytes.fromhex(k)) for k in r.keys}
        )
        message = enrollment.new_key_message(signed.nonce, signed.key_id, ed25519.key_id(change.public))
        if not ed25519.verify(change.public, message, change.signature):
            return self._no(401, "signature_bad")
        if change.public.hex() not in row.keys:
            row.keys.append(change.public.hex())
        return Answer(200, "", b'{"v":1}', self.nonce())

    def _active(self, status: int, row: Row) -> Answer:
        return Answer(status, "", enrollment.pack_enrolled(enrollment.Enrolled(row.device_id, 1, 55, 1)), self.nonce())

    def _no(self, status: int, code: str) -> Answer:
        return Answer(status, code, b"", self.nonce())


@dataclass
class Router:
    """One start of a daemon: `begin` opens the identity, `step` does one thing."""

    cloud: FakeCloud
    disk: FakeDisk
    clock: FakeClock
    box: Hardware = BOX
    audited: list[str] = field(default_factory=list)
    anchors: list[int] = field(default_factory=list)

    async def begin(self) -> Enrollment:
        def audit(kind: str, what: Mapping[str, Any]) -> None:
            self.audited.append(kind)

        files = IdentityFiles(self.disk, lambda: os.urandom(32))
        identity, box = await open_identity(files, lambda: self.box, audit)
        burnt = image()
        signer = Signer(identity.key, os.urandom(16), HOST)
        self.conditions = Conditions(self.clock)
        self.signer = signer
        self.anchor = Anchor(self.disk, burnt)
        parts = Parts(
            files=files,
            anchor=self.anchor,
            claim=burnt.claim,
            exchange=Exchange(self.cloud, signer, self.clock, os.urandom),
            signer=signer,
            clock=self.clock,
            conditions=self.conditions,
            about=About("x1", {"routerd": "0.1"}, {"hostname": "store"}),
            probe=lambda: self.box,
            waiting=lambda: enrollment.Waiting(7),
            trust_changed=lambda trusted: self.anchors.append(trusted.version),
            audit=audit,
            chance=lambda: 0.5,
        )
        self.room = Enrollment(parts, identity, box)
        return self.room

    def codes(self) -> set[str]:
        return {condition.code for condition in self.conditions.snapshot()}


async def steps(room: Enrollment, count: int) -> str:
    for _ in range(count):
        await room.step()
    return room.snapshot().state


async def active(router: Router) -> Enrollment:
    room = await router.begin()
    assert await steps(room, 2) == "active"
    return room


async def ask(router: Router, path: str = "/v1/poll") -> Answer:
    """A signed request as any other room sends it."""
    headers = router.signer.headers("POST", path, signing.content_digest(b"{}"))
    return await router.cloud.post(path, b"{}", headers)


async def active_in(router: Router, most: int = 4) -> Enrollment:
    room = await router.begin()
    for _ in range(most):
        if room.snapshot().state == "active":
            break
        await room.step()
    assert room.snapshot().state == "active"
    return room
