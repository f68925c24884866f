"""The identity's files: a key, what is known of the device, and nothing in between after any power cut.

    identity/device.key       64 hex digits and a newline: the Ed25519 seed
    identity/identity.json    what the cloud made of the key, and the box it was made on
    identity/device.key.prev  the key before a re-identification, until the new one is enrolled
    identity/device.key.next  the key of a rotation, until it is in use
    identity.building/        an identity that is not yet one: nothing was ever sent with it

A new identity is built beside the old, made durable, and takes its place by one rename. What does not belong here or
cannot be read is renamed as a whole (`identity.foreign-1a2b3c4d`, `identity.damaged-1`) and never deleted.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from routerd.enroll.disk import Disk, write_durably
from routerd.enroll.hardware import Hardware, fingerprint, is_same_box
from routerd.errors import CorruptError
from routerd.wire import fields
from routerd.wire.ed25519 import SEED_BYTES, SigningKey

ACTIVE, RETIRING, RETIRED = "active", "retiring", "retired"
_HOME, _BUILDING = "identity", "identity.building"
_KEY, _RECORD, _PREVIOUS, _NEXT = "device.key", "identity.json", "device.key.prev", "device.key.next"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the cloud made of a key. `device_id` is empty until it enrolled it; `status` then is one of the above."""

    device_id: str = ""
    epoch: int = 0
    status: str = ""
    enrolled_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """`box`: the hardware the key was made on. `previous` proves who this was before, `following` is not yet in use."""

    key: SigningKey
    box: Hardware
    standing: Standing = Standing()
    previous: SigningKey | None = None
    following: SigningKey | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """An identity, and why it is not the one that was there: `created`, `foreign`, `damaged`, `exposed`, or empty."""

    identity: Identity
    event: str = ""
    aside: str = ""


class IdentityFiles:
    """Every method raises OSError when the disk does not obey; what was durable before still is."""

    def __init__(self, disk: Disk, new_seed: Callable[[], bytes]) -> None:
        """`new_seed` gives 32 bytes from a kernel pool that is initialised: identical images start identically."""
        self._disk = disk
        self._new_seed = new_seed

    def open(self, box: Hardware) -> Opened:
        """The identity of this box, made now if there is none. Before any packet: it may belong to another box."""
        self._finish_building()
        event, identity, aside = self._read(box)
        if event:
            aside = self._set_aside(aside)
        if identity is not None and not event:
            return Opened(identity)
        created = self._build(Identity(SigningKey(self._new_seed_checked()), box))
        return Opened(created, event or "created", aside)

    def keep(self, identity: Identity, standing: Standing) -> Identity:
        """Remember what the cloud said. The proof of who this was before has then served."""
        if standing != identity.standing:
            self._write_record(_HOME, replace(identity, standing=standing))
        if standing.device_id and identity.previous is not None:
            self._disk.remove(f"{_HOME}/{_PREVIOUS}")
            self._disk.sync_names(_HOME)
            identity = replace(identity, previous=None)
        return replace(identity, standing=standing)

    def renew(self, identity: Identity, box: Hardware) -> Identity:
        """A new key after a conflict, with the old one as proof; the old identity is kept aside."""
        self._clear_building()
        self._fill_building(Identity(SigningKey(self._new_seed_checked()), box, previous=identity.key))
        self._set_aside(f"conflict-{identity.key.id[:8]}")
        self._move_in()
        return self._must_read(box)

    def begin_rotation(self, identity: Identity) -> Identity:
        """A second key, durable before the cloud hears of it. The one of an unfinished rotation is used again."""
        if identity.following is not None:
            return identity
        self._write_key(f"{_HOME}/{_NEXT}", self._new_seed_checked())
        return replace(identity, following=self._key(f"{_HOME}/{_NEXT}"))

    def finish_rotation(self, identity: Identity) -> Identity:
        """The second key takes the place of the first. Raises ValueError without one."""
        if identity.following is None:
            raise ValueError("no rotation has begun")
        renewed = replace(identity, key=identity.following, following=None)
        self._write_record(_HOME, renewed, was=identity.key.id)  # both ids: the rename below may never come
        self._disk.rename(f"{_HOME}/{_NEXT}", f"{_HOME}/{_KEY}")
        self._disk.sync_names(_HOME)
        return renewed

    def _read(self, box: Hardware) -> tuple[str, Identity | None, str]:
        """(what is wrong or empty, the identity if it is readable, the name to set it aside under)."""
        if not self._disk.names(_HOME):
            return "", None, ""
        try:
            if not self._disk.is_private(f"{_HOME}/{_KEY}"):
                return "exposed", None, "exposed"
            key = self._key(f"{_HOME}/{_KEY}")
        except (FileNotFoundError, CorruptError):
            return "damaged", None, "damaged"
        ids, held, standing = self._record(key, box)
        if key.id not in ids:
            return "damaged", None, "damaged"
        if not is_same_box(held, box):
            return "foreign", None, f"foreign-{key.id[:8]}"
        previous, following = self._optional_key(_PREVIOUS), self._optional_key(_NEXT)
        return "", Identity(key, held, standing, previous, following), ""

    def _record(self, key: SigningKey, box: Hardware) -> tuple[set[str], Hardware, Standing]:
        """Key ids, hardware and standing. A lost record costs nothing: the cloud knows this key, and its serial."""
        try:
            document = fields.read(self._disk.read(f"{_HOME}/{_RECORD}"), "identity", fields.MAX_INTEGER)
            hw = document.table("hw")
            held = Hardware(hw.text("serial", 64, 0), hw.texts("macs", 16), hw.text("board", 64, 0))
            enrolled_ms = document.integer("enrolled_ms") if document.has("enrolled_ms") else None
            standing = Standing(
                document.text("device_id", 64, 0), document.integer("epoch"), document.text("state", 16, 0), enrolled_ms
            )
            ids = {document.text("keyid"), document.text("was_keyid", 32, 0)}
        except (FileNotFoundError, CorruptError):
            return {key.id}, box, Standing()
        return ids, held, standing

    def _write_record(self, home: str, identity: Identity, was: str = "") -> None:
        standing, box = identity.standing, identity.box
        said: dict[str, Any] = {
            "keyid": identity.key.id,
            "was_keyid": was,
            "hw": asdict(box) | {"fp": fingerprint(box)},
            "device_id": standing.device_id,
            "state": standing.status,
            "epoch": standing.epoch,
            "enrolled_ms": standing.enrolled_ms,
        }
        text = json.dumps(json.loads(fields.pack(said)), indent=1) + "\n"  # a person with a rescue shell reads it
        write_durably(self._disk, f"{home}/{_RECORD}", text.encode("ascii"))

    def _build(self, identity: Identity) -> Identity:
        self._clear_building()
        self._fill_building(identity)
        self._move_in()
        return self._must_read(identity.box)

    def _fill_building(self, identity: Identity) -> None:
        """The record comes last: with it the identity is whole."""
        self._disk.make_directory(_BUILDING)
        self._write_key(f"{_BUILDING}/{_KEY}", identity.key.seed)
        if identity.previous is not None:
            self._write_key(f"{_BUILDING}/{_PREVIOUS}", identity.previous.seed)
        self._write_record(_BUILDING, identity)

    def _move_in(self) -> None:
        self._disk.rename(_BUILDING, _HOME)
        self._disk.sync_names(".")

    def _finish_building(self) -> None:
        """Take what a power cut left: a whole identity moves in if its place is free, a part of one is cleared away."""
        if _RECORD in self._disk.names(_BUILDING) and not self._disk.names(_HOME):
            self._move_in()
        else:
            self._clear_building()

    def _clear_building(self) -> None:
        if _BUILDING in self._disk.names("."):
            for name in self._disk.names(_BUILDING):
                self._disk.remove(f"{_BUILDING}/{name}")
            self._disk.remove(_BUILDING)

    def _set_aside(self, reason: str) -> str:
        """Durable with the next move in: until then a cut puts it back, and it is set aside again."""
        taken = set(self._disk.names("."))
        tries = (f"{_HOME}.{reason}-{number}" for number in range(1, len(taken) + 2))
        aside = next(name for name in tries if name not in taken)
        self._disk.rename(_HOME, aside)
        return aside

    def _must_read(self, box: Hardware) -> Identity:
        """What was just written, from the disk: a key that cannot be read back must not meet the cloud."""
        event, identity, _ = self._read(box)
        if identity is None or event:
            raise OSError(f"the identity cannot be read back: {event}")
        return identity

    def _write_key(self, path: str, seed: bytes) -> None:
        write_durably(self._disk, path, seed.hex().encode("ascii") + b"\n")

    def _key(self, path: str) -> SigningKey:
        """Raises CorruptError for anything but 64 hex digits and a newline, FileNotFoundError."""
        content = self._disk.read(path)
        text = content.decode("ascii", "replace")
        if len(content) != 2 * SEED_BYTES + 1 or not text.endswith("\n") or set(text[:-1]) - set("0123456789abcdef"):
            raise CorruptError("identity.key", f"{path} holds no key")
        return SigningKey(bytes.fromhex(text[:-1]))

    def _optional_key(self, name: str) -> SigningKey | None:
        try:
            return self._key(f"{_HOME}/{name}")
        except (FileNotFoundError, CorruptError):
            return None

    def _new_seed_checked(self) -> bytes:
        seed = self._new_seed()
        if len(seed) != SEED_BYTES or len(set(seed)) < 8:  # 32 random bytes with fewer values: less than 1 in 2^90
            raise OSError("the kernel gives no random bytes")
        return seed
