"""The login to a POS: read when it is needed, kept nowhere, and never tried again once it was refused.

A POS locks the account after a few wrong passwords, for every program that uses it. So a refusal is noted durably, as a
slow salted digest of the POS's address and the login, before anything else happens; until either changes, the login is
not sent again, whatever restarts.
"""

import asyncio
import hashlib
import hmac
import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from routerd.capture.link import PullInlet
from routerd.errors import PermanentError, TransientError

log = logging.getLogger("routerd.capture.commander")

REFUSED = "refused"  # the note's key
_ROUNDS = 50_000  # of PBKDF2: 0.1 s of a small CPU, once per change of the file; the flash may be read by a thief
_MAX_FILE_BYTES = 4096
_WHY_CHARS = 120


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)
    otp: str = field(repr=False)


class Gate:
    """Hands out the login in `path` for the POS at `place`, unless the POS refused it before."""

    def __init__(self, path: Path, place: str, inlet: PullInlet) -> None:
        self._path = path
        self._place = place
        self._inlet = inlet
        self._refusal: str | None = None  # the note: salt, digest and the POS's words; None before it was looked at
        self._refused_file: tuple[int, ...] = ()  # the file the refusal was last found to be about
        self._is_noted = True

    async def login(self) -> Login:
        """Raises PermanentError: pos.login_file when the file is missing, malformed or open to others, pos.auth_failed
        when this login was refused. A changed file is looked at again. TransientError when the notes cannot be read."""
        if self._refusal is None:
            self._refusal = await self._inlet.noted(REFUSED)
        if not self._is_noted:
            await self._note(self._refusal)
        login, file = await asyncio.to_thread(_read, self._path)
        if self._refusal:
            salt, digest, *why = self._refusal.split(" ", 2)
            is_same = file == self._refused_file
            if is_same or hmac.compare_digest(await asyncio.to_thread(self._digest, login, salt), digest):
                self._refused_file = file
                raise PermanentError("pos.auth_failed", self._remedy(" ".join(why)))
        return login

    async def refuse(self, login: Login, why: str) -> PermanentError:
        """The POS refused it. Returns what to raise."""
        salt = os.urandom(16).hex()
        digest = await asyncio.to_thread(self._digest, login, salt)
        self._refused_file = ()
        await self._note(f"{salt} {digest} {why[:_WHY_CHARS]}")
        return PermanentError("pos.auth_failed", self._remedy(why))

    async def accept(self) -> None:
        """The POS took the login."""
        if self._refusal:
            await self._note("")

    async def _note(self, text: str) -> None:
        """A disk that refuses is asked again before the next login; until then this run remembers."""
        self._refusal = text
        try:
            await self._inlet.note(REFUSED, text)
        except TransientError as fault:
            self._is_noted = False
            log.warning("%s: what became of the login is not noted: %s", self._place, fault)
        else:
            self._is_noted = True

    def _digest(self, login: Login, salt: str) -> str:
        content = "\0".join((self._place, login.user, login.password, login.otp))
        return hashlib.pbkdf2_hmac("sha256", content.encode(), bytes.fromhex(salt), _ROUNDS).hex()

    def _remedy(self, why: str) -> str:
        return (
            f"{self._place} refused the login ({why}); it is not tried again, to keep the account from being locked: "
            f"check user, password and one-time password at the POS, then write {self._path} anew"
        )


def _read(path: Path) -> tuple[Login, tuple[int, ...]]:
    """The login and what tells this file from a changed one. PermanentError pos.login_file."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_FILE_BYTES).decode()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"  # a decoder's message quotes the bytes
        message = f"{path}: {reason}: write user and password there, a line each, mode 0600"
        raise PermanentError("pos.login_file", message) from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise PermanentError("pos.login_file", f"{path} can be read by others: chmod 600 it, and change the password")
    user, password, otp, *_ = [line.strip("\r") for line in content.split("\n")] + ["", "", ""]
    if not user or not password:
        message = f"{path}: write the user, the password and where needed a one-time password, a line each"
        raise PermanentError("pos.login_file", message)
    return Login(user, password, otp.strip()), (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
