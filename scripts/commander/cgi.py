"""What the CGI answers to a command, and what it notes about it."""

import gzip
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from scripts.commander import answers
from scripts.commander.answers import RefusedError
from scripts.commander.book import Book
from scripts.commander.sessions import Sessions, Site

_EMPLOYEE = 8  # the "secure employee" number of the router's account
_XML = "text/xml"


class Books(Protocol):
    """Where the periods come from."""

    def catch_up(self, now: datetime) -> None: ...

    def call(self, at: datetime, words: str) -> None: ...

    def names(self) -> list[tuple[int, str]]: ...

    def book(self, kind: int, name: str) -> Book | None: ...


@dataclass(slots=True)
class Counters:
    """What was asked and what was said since the start."""

    requests: Counter[str] = field(default_factory=Counter)  # by command
    logins: int = 0
    refused_logins: int = 0
    releases: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # by message
    bytes_served: int = 0  # of bodies, as far as they were sent
    broken: int = 0  # answers that a lever spoiled


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: str = _XML


class Cgi:
    """Answers commands. `hidden` are identities of records that are left out of every document."""

    def __init__(self, site: Site, books: Books, seed: int) -> None:
        self._site, self._books = site, books
        self.sessions = Sessions(site, seed)
        self.counters = Counters()
        self.hidden: set[str] = set()

    def answer(self, command: str, query: dict[str, str], now: datetime, peer: str, *, busy: bool = False) -> Answer:
        """Answer at `now` to `peer`, and leave the record of it. `busy` refuses whatever is asked."""
        self._books.catch_up(now)
        self.counters.requests[command] += 1
        try:
            if busy:
                raise RefusedError(answers.BUSY)
            answer, user = self._do(command, query, now)
        except RefusedError as exc:
            self.counters.faults[exc.fault.message] += 1
            self._note_refusal(command, query, now, peer, exc.fault)
            if exc.fault is answers.NO_CREDENTIAL and self._site.login_page:
                return Answer(answers.LOGIN_PAGE, "text/html")
            return Answer(answers.fault_xml(exc.fault))
        self._note(now, f"{_who(user)}{command} - PASSED - HTTP REQUEST - Register ID# 0 - REMOTE IP# {peer} - ")
        return answer

    def _do(self, command: str, query: dict[str, str], now: datetime) -> tuple[Answer, str]:
        cookie = query.get("cookie", "")
        if command == "validate":
            return self._log_in(query, now), self._site.user
        if command == "vAppInfo":
            return Answer(answers.version_xml(self._site.version)), ""
        if command not in answers.COMMANDS or (command == "vtranssetz" and not self._site.gzip):
            raise RefusedError(answers.NO_COMMAND)
        if command == "releaseCredential":
            user = self.sessions.release(cookie, now)
            self.counters.releases += 1
            return Answer(answers.released_xml()), user
        user = self.sessions.check(cookie, now)
        if command == "vtlogpdlist":
            return Answer(answers.list_xml(self._books.names())), user
        data = self._document(query)
        if command == "vtranssetz":
            return Answer(gzip.compress(data, 6, mtime=0), "application/gzip"), user
        return Answer(data), user

    def _log_in(self, query: dict[str, str], now: datetime) -> Answer:
        try:
            cookie = self.sessions.log_in(query.get("user", ""), query.get("passwd", ""), query.get("otp", ""), now)
        except RefusedError:
            self.counters.refused_logins += 1
            raise
        self.counters.logins += 1
        who = _who(self._site.user)
        self._note(now, f"{who}SECURE LOG-IN - PASSED - SECURE ACCESS - Register ID# 0")
        commands = [one for one in answers.COMMANDS if one != "vtranssetz" or self._site.gzip]
        return Answer(answers.credential_xml(cookie, self._site.store, commands))

    def _document(self, query: dict[str, str]) -> bytes:
        kind = int(query["period"]) if query.get("period", "") in ("1", "2") else 0
        name = query.get("filename", "")
        if not name and query.get("reptnum", "").isdecimal():
            named = [name for period, name in self._books.names() if period == kind]
            number = int(query["reptnum"])
            name = named[number - 1] if 1 <= number <= len(named) else ""
        book = self._books.book(kind, name)
        if not book:
            raise RefusedError(answers.NO_FILE)
        return book.data(self.hidden)

    def _note_refusal(
        self, command: str, query: dict[str, str], now: datetime, peer: str, fault: answers.Fault
    ) -> None:
        who = ""
        if command == "validate":
            who = f"USER: {query.get('user', '')} - "
            self._note(
                now,
                f"USER: {query.get('user', '')}, SEC EMP ID# {_EMPLOYEE} - SECURE LOG-IN - FAILED - SECURE ACCESS - "
                "Register ID# 0 - Login failed, user name or password error.",
            )
        where = f"HTTP REQUEST - Register ID# 0 - REMOTE IP# {peer}"
        self._note(now, f"{who}{command} - FAILED - {where} - {fault.message}")

    def _note(self, now: datetime, words: str) -> None:
        if self._site.journal:
            self._books.call(now, words)


def _who(user: str) -> str:
    return f"USER: {user}, SEC EMP ID# {_EMPLOYEE} - " if user else ""
