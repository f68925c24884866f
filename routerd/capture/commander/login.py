"""The login to a POS: read when it is needed, kept nowhere, and never tried again once it was refused.

A POS locks the account after a few wrong passwords, for every program that uses it. So each try is noted durably, as a
slow salted digest of the POS's address and the login, before it is sent, and the note goes only when the POS took the
login or plainly did not look at it. Until either changes, a login that is noted is not sent again, whatever restarts.
Of a try whose outcome is not known, writing the file anew is enough.
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
_LOST = "no answer came"
_KNOWN = "-"  # in the note, where the POS said that it refuses


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)
    otp: str = field(repr=False)


class Gate:
    """Hands out the login in `path` for the POS at `place`, unless the POS refused it before.

    In this order: `login`, `begin`, the try itself, then one of `clear`, `refuse`, `doubt`.
    """

    def __init__(self, path: Path, place: str, inlet: PullInlet) -> None:
        self._path = path
        self._place = place
        self._inlet = inlet
        self._refusal: str | None = None  # the note: salt, digest, `_KNOWN` or mtime, why; None before a look
        self._file: tuple[int, ...] = ()  # the file last handed out
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
            salt, digest, tried, *why = self._refusal.split(" ", 3)
            is_same = file == self._refused_file
            if not is_same and tried in (_KNOWN, str(file[0])):
                is_same = hmac.compare_digest(await asyncio.to_thread(self._digest, login, salt), digest)
            if is_same:
                self._refused_file = file
                raise self._blocked(tried == _KNOWN, " ".join(why))
        self._file = file
        return login

    async def begin(self, login: Login) -> None:
        """The POS will be sent it now. TransientError when that cannot be noted: then it must not be sent."""
        salt = os.urandom(16).hex()
        digest = await asyncio.to_thread(self._digest, login, salt)
        text = f"{salt} {digest} {self._file[0]} {_LOST}"
        await self._inlet.note(REFUSED, text)
        self._refusal, self._refused_file, self._is_noted = text, (), True

    async def refuse(self, why: str) -> PermanentError:
        """The POS refused it. Returns what to raise."""
        return await self._settle(_KNOWN, why)

    async def doubt(self, why: str) -> PermanentError:
        """What the POS made of it is not known. Returns what to raise."""
        return await self._settle(str(self._file[0]), why)

    async def clear(self) -> None:
        """The POS took the login, or did not look at it."""
        await self._note("")

    async def _settle(self, tried: str, why: str) -> PermanentError:
        salt, digest, *_ = (self._refusal or "").split(" ")
        why = why[:_WHY_CHARS]
        text = f"{salt} {digest} {tried} {why}"
        if text != self._refusal:
            await self._note(text)
        return self._blocked(tried == _KNOWN, why)

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

    def _blocked(self, is_known: bool, why: str) -> PermanentError:
        if is_known:
            message = (
                f"{self._place} refused the login ({why}); it is not tried again, to keep the account from being "
                f"locked: check user, password and one-time password at the POS, then write {self._path} anew"
            )
        else:
            message = (
                f"{self._place} was sent the login and its outcome is unknown ({why}); it is not tried again by itself,"
                f" to keep the account from being locked: check the login at the POS, then write {self._path} anew, "
                "also unchanged"
            )
        return PermanentError("pos.auth_failed", message)


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
