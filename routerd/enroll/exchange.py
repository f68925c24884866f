"""The questions a device asks about its identity: each is one request, or two if the nonce was old."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from routerd.clock import Clock
from routerd.enroll.signer import Signer
from routerd.errors import CorruptError
from routerd.wire import base64url, signing
from routerd.wire.ed25519 import SigningKey
from routerd.wire.enrollment import KeyChange, new_key_message, pack_farewell, pack_key_change
from routerd.wire.trust import CHALLENGE_BYTES, Bundle, TimeStatement, read_chain, read_time

_AGAIN = {(401, "nonce_stale"), (401, "nonce_invalid"), (409, "replayed")}
UNTRUSTED = "cloud.tls_intercepted"  # the code of an answer that never came: its certificate is not ours


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. `status` is 0 unless our cloud answered; `code` is the error body's or the fault's."""

    status: int
    code: str = ""
    body: bytes = b""
    nonce: str | None = None
    retry_after_s: float | None = None
    time_signature: str = ""


class Uplink(Protocol):
    """One HTTP client. Never raises for what network or server do; never follows a redirect.

    `get` and `post` speak over TLS to our anchors. `rescue` is a GET to anybody, with no header that tells who asks:
    only for what authenticates itself.
    """

    async def get(self, path: str) -> Answer: ...
    async def rescue(self, path: str) -> Answer: ...
    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Told:
    """A signed time, with when its question left and its answer came (monotonic milliseconds)."""

    statement: TimeStatement
    sent_mono_ms: int
    received_mono_ms: int


class Exchange:
    """Asks; decides nothing. Every answer's nonce goes to the signer."""

    def __init__(self, uplink: Uplink, signer: Signer, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._uplink = uplink
        self._signer = signer
        self._clock = clock
        self._random_bytes = random_bytes

    async def time(self, keys: Mapping[str, bytes]) -> Told | Answer:
        """The time, signed by one of `keys`; else the answer. Raises CorruptError for a time not to be believed."""
        challenge = base64url.encode(self._random_bytes(CHALLENGE_BYTES))
        sent_ms = self._clock.mono_ns() // 1_000_000
        answer = await self._uplink.get(f"/v1/time?c={challenge}")
        received_ms = self._clock.mono_ns() // 1_000_000
        self._signer.heard(answer.nonce)
        if answer.status != 200:
            return answer
        statement = read_time(answer.body, answer.time_signature, challenge, keys)
        self._signer.heard(statement.nonce)
        return Told(statement, sent_ms, received_ms)

    async def chain(self, have: int) -> list[Bundle]:
        """The bundles after version `have`, none if the cloud gives none. Raises CorruptError."""
        answer = await self._uplink.get(f"/v1/trust?have={have}")
        self._signer.heard(answer.nonce)
        return read_chain(answer.body) if answer.status == 200 else []

    async def rescue_chain(self, have: int) -> list[Bundle]:
        """The same from anybody: for a router that slept through a change of anchors. Raises CorruptError."""
        answer = await self._uplink.rescue(f"/v1/trust?have={have}")
        return read_chain(answer.body) if answer.status == 200 else []

    async def post(self, path: str, body_for: Callable[[str], bytes], key: SigningKey) -> Answer:
        """A signed request whose body depends on the nonce. With an old nonce it is sent once more, at once."""
        answer = await self._post(path, body_for, key)
        if (answer.status, answer.code) in _AGAIN:
            answer = await self._post(path, body_for, key)
        return answer

    async def change_key(self, old: SigningKey, new: SigningKey) -> Answer:
        def body(nonce: str) -> bytes:
            return pack_key_change(KeyChange(new.public, new.sign(new_key_message(nonce, old.id, new.id))))

        return await self.post("/v1/key", body, old)

    async def farewell(self, key: SigningKey, reason: str) -> Answer:
        return await self.post("/v1/farewell", lambda nonce: pack_farewell(reason), key)

    async def _post(self, path: str, body_for: Callable[[str], bytes], key: SigningKey) -> Answer:
        body = body_for(self._signer.nonce)  # nothing may take another nonce before the headers are made
        headers = self._signer.headers_by(key, "POST", path, signing.content_digest(body))
        answer = await self._uplink.post(path, body, headers)
        self._signer.heard(answer.nonce)
        return answer


def malformed(exc: CorruptError) -> Answer:
    """An answer that cannot be believed is none."""
    return Answer(0, exc.code)
