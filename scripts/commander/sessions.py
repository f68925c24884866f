"""Who is logged in: at most five cookies, and an account that locks itself. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from scripts.commander.answers import LOCKED, NO_COOKIES_LEFT, NO_CREDENTIAL, OTP, WRONG, RefusedError


@dataclass(frozen=True, slots=True)
class Site:
    """One controller's settings; the defaults are what is known of genuine ones."""

    user: str = "router"
    password: str = "Creek-42a"
    otp: str = ""  # four digits made on a register; empty: this release asks for none
    store: str = "0042"
    version: str = "55.02.01"
    max_cookies: int = 5  # Site Controller URL Reference 2.00.01: "a maximum of five cookies in use"
    cookie_life_s: float = 1800.0  # since its last use; a live unit was seen to forget a cookie within 30 minutes
    lock_after: int = 3  # wrong passwords in a row
    gzip: bool = True  # whether `vtranssetz` exists
    login_page: bool = False  # a bad cookie is answered with the HTML login page instead of a fault
    journal: bool = True  # requests leave their SECURE USER records in the t-log


class Sessions:
    """The controller's cookies. `highest` is the most that were ever in use at once."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site, self._rng = site, Random(seed ^ 0xC00C1E)
        self._used: dict[str, datetime] = {}
        self._failed = 0
        self.locked = False
        self.highest = 0

    def log_in(self, user: str, password: str, otp: str, now: datetime) -> str:
        """A new cookie. Raises RefusedError, and counts against the account, for anything wrong."""
        if self.locked and user == self._site.user:
            raise RefusedError(LOCKED)
        if user != self._site.user or password != self._site.password:
            self._failed += user == self._site.user
            self.locked = self._failed >= self._site.lock_after
            raise RefusedError(LOCKED if self.locked else WRONG)
        if otp != self._site.otp:
            raise RefusedError(OTP)
        self._failed = 0
        return self.issue(now)

    def issue(self, now: datetime) -> str:
        """A new cookie for somebody who may have one. Raises RefusedError when all are in use."""
        if self.in_use(now) >= self._site.max_cookies:
            raise RefusedError(NO_COOKIES_LEFT)
        cookie = f"{self._rng.getrandbits(128):032x}"
        self._used[cookie] = now
        self.highest = max(self.highest, len(self._used))
        return cookie

    def check(self, cookie: str, now: datetime) -> str:
        """The user of a cookie, which lives on from now. Raises RefusedError when it is not in use."""
        self._forget(now)
        if cookie not in self._used:
            raise RefusedError(NO_CREDENTIAL)
        self._used[cookie] = now
        return self._site.user

    def release(self, cookie: str, now: datetime) -> str:
        """Take a cookie out of use. Raises RefusedError when it was in none."""
        user = self.check(cookie, now)
        del self._used[cookie]
        return user

    def in_use(self, now: datetime) -> int:
        self._forget(now)
        return len(self._used)

    def forget_all(self) -> None:
        """A reboot: no cookie survives."""
        self._used.clear()

    def unlock(self) -> None:
        """What a person does at the controller."""
        self._failed, self.locked = 0, False

    def _forget(self, now: datetime) -> None:
        life = timedelta(seconds=self._site.cookie_life_s)
        self._used = {cookie: used for cookie, used in self._used.items() if now - used < life}
