"""The room: brings a device from its first start to an identity the cloud knows, and keeps it there."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from routerd.conditions import CRITICAL, WARNING
from routerd.enroll import state, trusted
from routerd.enroll.exchange import UNTRUSTED, Answer, Told, malformed
from routerd.enroll.hardware import Hardware, is_same_box
from routerd.enroll.identity import ACTIVE, RETIRED, RETIRING, Identity, IdentityFiles, Standing
from routerd.enroll.parts import EnrollSnapshot, Parts
from routerd.enroll.state import ASKS_IDENTITY, ASKS_TIME, SPEAKS, Event, Heard, State, Worked
from routerd.errors import CorruptError, PermanentError
from routerd.wire import commands, enrollment
from routerd.wire.commands import Command, Envelope
from routerd.wire.enrollment import Enrolled, EnrollRequest, Pending, Proof

log = logging.getLogger("routerd.enroll")

_REFRESH_S = 86_400.0  # a crystal is 17 s off after a day
_NO_CLOCK_REFRESH_S = 300.0
_RESCUE_EVERY_S = 3600.0
_MAJOR = 1
_FAULTS = {
    State.PENDING: ("enroll.pending", WARNING),
    State.BLOCKED: ("enroll.blocked", CRITICAL),
    State.HELD: ("enroll.held", CRITICAL),
    State.REVOKED: ("enroll.revoked", CRITICAL),
    State.INCOMPATIBLE: ("enroll.incompatible", CRITICAL),
}
_SUBJECT = "identity"


class Enrollment:
    """`identity` is that of this box before anything is sent. `speaks` is set while requests as a device make sense."""

    def __init__(self, parts: Parts, identity: Identity, box: Hardware, start_after_s: float = 0.0) -> None:
        """`start_after_s`: a random wait after a boot, so that a city whose power returns does not call at once."""
        self._parts = parts
        self._identity = identity
        self._box = box
        self._place = replace(state.start(identity.standing.status), wait_s=start_after_s)
        self._time = trusted.floor(parts.anchor.trust.issued_ms, self._mono_ms())
        self._ticket = self._reason = ""
        self._rescued_s = -_RESCUE_EVERY_S
        self._moved = asyncio.Event()
        self.speaks = asyncio.Event()
        parts.signer.use(identity.key)
        self._settle()

    @property
    def device_id(self) -> str:
        return self._identity.standing.device_id

    @property
    def epoch(self) -> int:
        """The assignment known now: what is captured from now on is stamped with it."""
        return self._identity.standing.epoch

    @property
    def captures(self) -> bool:
        """Whether the store's data is this device's business: always, until a signed retirement."""
        return self._place.state not in (State.RETIRING, State.RETIRED)

    def now_ms(self) -> int | None:
        """The trusted time, None while there is none."""
        return self._time.now_ms(self._mono_ms())

    def snapshot(self) -> EnrollSnapshot:
        standing, place = self._identity.standing, self._place
        return EnrollSnapshot(
            place.state,
            self._identity.key.id,
            standing.device_id,
            standing.epoch,
            standing.enrolled_ms,
            self._ticket if place.state is State.PENDING else "",
            self._reason,
            place.wait_s,
            self._parts.anchor.trust.version,
            self._time.source,
            self._time.doubt_ms(self._mono_ms()),
        )

    async def run(self) -> None:
        """For ever; quiet while the device is active, but for a question for the time once a day."""
        while True:
            self._moved.clear()
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._moved.wait()
            except TimeoutError:
                await self.step()

    async def step(self) -> None:
        """Do what this place asks for, once, now."""
        match self._place.state:
            case State.REIDENTIFY:
                await self._reidentify()
            case State.RETIRED:
                return
            case found if found in ASKS_IDENTITY:
                await self._ask_identity()
            case _:
                await self._ask_time()

    def worked(self) -> None:
        """The cloud took something this device sent."""
        self._reason = ""
        self._go(Worked())

    async def refused(self, status: int, code: str, retry_after_s: float | None = None) -> None:
        """What the cloud answered to any signed request that it did not take; status 0 for no answer."""
        self._reason = code
        if code == "key_unknown" and self._identity.following is not None:
            await self._finish_rotation()  # the cloud has moved on to the key it was offered
            return
        if code == "key_serial_mismatch" and await self._is_foreign():
            return
        self._go(Heard(status, code, retry_after_s))

    async def learned(self, epoch: int) -> None:
        """The epoch a poll answered with. Raises OSError."""
        if epoch > self.epoch:
            await self._keep(replace(self._identity.standing, epoch=epoch))

    async def obey(self, envelope: Envelope) -> Command:
        """A directive about the identity itself. Raises CorruptError if it is not to be believed, OSError."""
        command = commands.check(envelope, self.device_id, self._parts.anchor.trust.command_keys, self.now_ms())
        self._parts.audit("directive", {"id": command.id, "kind": command.kind, "actor": command.actor})
        if command.kind == commands.IDENTITY_ROTATE:
            await self.rotate()
        if command.kind == commands.RETIRE:
            await self._keep(replace(self._identity.standing, status=RETIRING))
        self._go(state.Ordered(command.kind))
        return command

    async def drained(self) -> None:
        """Nothing waits any more, and a retiring device is done. Raises OSError."""
        if self._place.state is State.RETIRING:
            await self._keep(replace(self._identity.standing, status=RETIRED))
        self._go(state.Drained())

    async def rotate(self) -> bool:
        """Change the key: both are good until the new one has spoken. Raises OSError; False if the cloud refused."""
        self._identity = await asyncio.to_thread(self._parts.files.begin_rotation, self._identity)
        following = self._identity.following
        if following is None or not self._place.enrolled:
            return False
        answer = await self._parts.exchange.change_key(self._identity.key, following)
        if answer.status == 200:
            await self._finish_rotation()
        return answer.status == 200

    async def farewell(self, reason: str) -> bool:
        """Tell the cloud that this key will be lost (a reset): its next key will be expected."""
        return (await self._parts.exchange.farewell(self._identity.key, reason)).status == 204

    async def _ask_time(self) -> None:
        parts = self._parts
        try:
            told = await parts.exchange.time(parts.anchor.trust.time_keys)
        except CorruptError as exc:
            told = malformed(exc)
        if isinstance(told, Answer):
            await self._mend_trust(told.code)
            self._heard(told)
            return
        statement = told.statement
        self._take_time(told)
        if statement.trust_version > parts.anchor.trust.version:
            await self._advance(parts.exchange.chain)
        self._go(state.Timed(statement.min_major <= _MAJOR <= statement.max_major))

    def _take_time(self, told: Told) -> None:
        before = self.now_ms()
        self._time = trusted.heard(self._time, told.statement.at_ms, told.sent_mono_ms, told.received_mono_ms)
        after = self.now_ms()
        if before is not None and after is not None and abs(after - before) > 60_000:
            self._parts.audit("clock.stepped", {"by_ms": after - before})

    async def _mend_trust(self, code: str) -> None:
        """Anchors or time keys may have changed while this box slept: the chain tells, whoever brings it."""
        if code == "time.unsigned":
            await self._advance(self._parts.exchange.chain)
        now_s = self._now_s()
        if code == UNTRUSTED and now_s - self._rescued_s >= _RESCUE_EVERY_S:
            self._rescued_s = now_s
            await self._advance(self._parts.exchange.rescue_chain)

    async def _advance(self, fetch: Callable[[int], Any]) -> None:
        anchor = self._parts.anchor
        try:
            for bundle in await fetch(anchor.trust.version):
                if anchor.disputes(bundle):
                    raise CorruptError("trust.disputed", f"another version {anchor.trust.version} is shown")
                believed = await asyncio.to_thread(anchor.advance, bundle)
                self._parts.audit("trust.applied", {"version": believed.version})
                self._parts.trust_changed(believed)
        except CorruptError as exc:
            self._parts.conditions.raise_(exc.code, "trust", f"{exc}: ask support", CRITICAL)
            self._parts.audit("trust.refused", {"code": exc.code})
        except OSError as exc:
            self._disk_fault(exc)

    async def _ask_identity(self) -> None:
        answer = await self._parts.exchange.post("/v1/enroll", self._enroll_body, self._identity.key)
        if answer.status not in (200, 201, 202):
            self._parts.audit("enroll.refused", {"status": answer.status, "code": answer.code})
            if not (answer.code == "key_serial_mismatch" and await self._is_foreign()):
                self._heard(answer)
            return
        try:
            said = enrollment.read_answer(answer.body)
        except CorruptError as exc:
            self._heard(malformed(exc))
            return
        if isinstance(said, Pending):
            self._ticket, self._reason = said.ticket, said.reason
            self._go(state.Deferred(said.retry_after_s))
            return
        await self._admitted(said)

    async def _admitted(self, said: Enrolled) -> None:
        try:
            await self._keep(Standing(said.device_id, said.epoch, ACTIVE, self.now_ms()))
        except OSError as exc:  # asked again: the same key gets the same answer
            self._disk_fault(exc)
            self._heard(Answer(0, "identity.disk"))
            return
        self._ticket = self._reason = ""
        self._parts.audit("enrolled", {"device_id": said.device_id, "epoch": said.epoch})
        self._go(state.Admitted())

    def _enroll_body(self, nonce: str) -> bytes:
        key, claim, previous, about = self._identity.key, self._parts.claim, self._identity.previous, self._parts.about
        name = self._box.name
        request = EnrollRequest(
            key.public,
            name,
            self._box.macs,
            about.model,
            self._box.board,
            about.firmware,
            Proof(claim.id, claim.key.sign(enrollment.claim_message(nonce, key.id, name))) if claim else None,
            Proof(previous.id, previous.sign(enrollment.rekey_message(nonce, key.id))) if previous else None,
            about.hints,
            self._parts.waiting(),
        )
        return enrollment.pack_enroll(request)

    async def _reidentify(self) -> None:
        try:
            box = await asyncio.to_thread(self._parts.probe)
            renewed = await asyncio.to_thread(self._parts.files.renew, self._identity, box)
        except OSError as exc:
            self._disk_fault(exc)
            self._place = replace(self._place, wait_s=60.0)
            return
        self._parts.audit("key.renewed", {"was": self._identity.key.id, "is": renewed.key.id})
        self._become(renewed, box)

    async def _is_foreign(self) -> bool:
        """Look at the hardware again; an identity that is another box's is set aside now."""
        box = await asyncio.to_thread(self._parts.probe)
        if is_same_box(self._identity.box, box):
            return False
        opened = await asyncio.to_thread(self._parts.files.open, box)
        self._parts.audit("key.foreign", {"was": self._identity.key.id, "is": opened.identity.key.id})
        self._become(opened.identity, box)
        return True

    def _become(self, identity: Identity, box: Hardware) -> None:
        self._identity, self._box = identity, box
        self._parts.signer.use(identity.key)
        self._place = state.start("")
        self._settle()

    async def _finish_rotation(self) -> None:
        before = self._identity.key.id
        self._identity = await asyncio.to_thread(self._parts.files.finish_rotation, self._identity)
        self._parts.signer.use(self._identity.key)
        self._parts.audit("key.rotated", {"was": before, "is": self._identity.key.id})

    async def _keep(self, standing: Standing) -> None:
        self._identity = await asyncio.to_thread(self._parts.files.keep, self._identity, standing)
        self._parts.conditions.clear("identity.disk", _SUBJECT)

    def _heard(self, answer: Answer) -> None:
        self._reason = answer.code
        if self._place.state in ASKS_TIME | ASKS_IDENTITY:
            self._go(Heard(answer.status, answer.code, answer.retry_after_s))

    def _go(self, event: Event) -> None:
        self._place = state.follow(self._place, event, self._now_s(), self._parts.chance())
        self._settle()

    def _settle(self) -> None:
        """What follows from the place: who may speak, which condition holds."""
        if self._place.state in SPEAKS:
            self.speaks.set()
        else:
            self.speaks.clear()
        for found, (code, severity) in _FAULTS.items():
            if found is self._place.state:
                self._parts.conditions.raise_(code, _SUBJECT, self._remedy(found), severity)
            else:
                self._parts.conditions.clear(code, _SUBJECT)
        self._moved.set()

    def _remedy(self, found: State) -> str:
        match found:
            case State.PENDING:
                return f"support must approve ticket {self._ticket} ({self._reason}); data is kept meanwhile"
            case State.INCOMPATIBLE:
                return "the cloud speaks another protocol version: update routerd; data is kept meanwhile"
        return f"the cloud refuses this device ({self._reason}): ask support; data is kept meanwhile"

    def _disk_fault(self, exc: OSError) -> None:
        self._parts.conditions.raise_("identity.disk", _SUBJECT, f"{exc}: check the flash", CRITICAL)

    def _pause_s(self) -> float | None:
        if self._place.state is State.RETIRED:
            return None
        if self._place.state in SPEAKS:
            return _REFRESH_S if self._time.source == trusted.SERVER else _NO_CLOCK_REFRESH_S
        return self._place.wait_s

    def _mono_ms(self) -> int:
        return self._parts.clock.mono_ns() // 1_000_000

    def _now_s(self) -> float:
        return self._parts.clock.mono_ns() / 1e9


async def open_identity(
    files: IdentityFiles, probe: Callable[[], Hardware], audit: Callable[..., None]
) -> tuple[Identity, Hardware]:
    """The identity of this box, before any packet. Raises PermanentError without a disk or a name for it."""
    box = await asyncio.to_thread(probe)
    if not box.name:
        raise PermanentError("identity.no_hardware", "no serial and no address found: set [identity] serial_cmd")
    try:
        opened = await asyncio.to_thread(files.open, box)
    except OSError as exc:
        raise PermanentError("identity.disk", f"{exc}: check the flash") from exc
    if opened.event:
        audit(f"key.{opened.event}", {"is": opened.identity.key.id, "aside": opened.aside})
    return opened.identity, box
