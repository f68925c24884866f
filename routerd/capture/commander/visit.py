"""A stay at a controller's CGI: at most one cookie, got when it is needed, given back at the end.

Invariants: a controller has five cookies for everybody, so there is never a second one of ours: it is kept on the RAM
disk before its first use, so that a restarted daemon goes on with it; a login that was refused is not sent again
(`login.Gate`); an answer counts only if its root is the one asked for.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from routerd.capture.commander import cgi, periods
from routerd.capture.commander.cgi import Fault, Meaning
from routerd.capture.commander.controller import Answer, Controller, Reply
from routerd.capture.commander.login import Gate, Login
from routerd.capture.link import CERTIFICATE, PullInlet
from routerd.errors import PermanentError, RouterdError, TransientError
from routerd.fsio import write_atomically

log = logging.getLogger("routerd.capture.commander")

_PAGE = Fault(Meaning.DOUBTED, "it shows its login page")
_WORDS_CHARS = 120  # of the controller's words, for people
_DECLARES = "a document type declaration, which is refused: no Commander needs one"
_LIST_BYTES = 16 << 20  # one of 182 periods is 64 KB
_COOKIE_BYTES = 1024  # an element that holds one
_SILENT = Fault(Meaning.OTHER, "it answers something else than was asked for")


class FaultError(TransientError):
    """The controller answered with a fault that is not about the cookie."""

    def __init__(self, place: str, cmd: str, fault: Fault) -> None:
        code = {
            Meaning.BUSY: "pos.busy",
            Meaning.CONTENDED: "pos.busy",
            Meaning.DENIED: "pos.not_permitted",
            Meaning.UNKNOWN: "pos.not_permitted",
            Meaning.ABSENT: "pos.document_absent",
        }.get(fault.meaning, "pos.fault")
        remedy = ": let the POS's user view transaction logs" if code == "pos.not_permitted" else ""
        super().__init__(code, f"{place} answers {cmd} with a fault ({fault.words}){remedy}")
        self.meaning = fault.meaning


class Visit:
    """`trust` before each round of requests, `leave` in the end."""

    def __init__(self, controller: Controller, gate: Gate, inlet: PullInlet) -> None:
        self._controller = controller
        self._gate = gate
        self._inlet = inlet
        self._cookie = ""
        self._asks_plain = False  # this controller has no vtranssetz, or not for this user

    async def trust(self) -> None:
        """Know the certificate: the one noted, or on first use the one shown now. Forgetting the note accepts another.

        Raises what `Controller.certificate` does, TransientError when the disk refuses.
        """
        noted = await self._inlet.noted(CERTIFICATE)
        if not noted:
            noted = await self._controller.certificate()
            await self._inlet.note(CERTIFICATE, noted)
        if noted != self._controller.pin:
            self._controller.pin = noted
            self._cookie = self._kept()

    async def listed(self) -> tuple[periods.Period, ...]:
        """The closed periods the controller has, oldest first. Raises as `_answer` does."""
        async with self._answer(cgi.PERIOD_LIST, "vtlogpdlist") as answer:
            return await self._read_list(answer)

    async def _read_list(self, answer: Answer) -> tuple[periods.Period, ...]:
        listing, size, seen, renewed = periods.Listing(), 0, b"", ""
        while size < _LIST_BYTES and (piece := await answer.piece()):
            size += len(piece)
            listing.feed(piece)
            seen = seen[-_COOKIE_BYTES:] + piece
            renewed = cgi.cookie(seen) or renewed
        if renewed:
            self._keep(renewed)
        if size < _LIST_BYTES:
            self._inlet.unwarn("pos.list_truncated")
        else:
            message = f"{self._controller.place} lists more periods than are read ({size} bytes): the rest is not seen"
            self._inlet.warn("pos.list_truncated", message)
        return listing.end()

    @asynccontextmanager
    async def document(self, kind: str, file_name: str) -> AsyncIterator[Answer]:
        """A period's document, gzip where the controller has it. Raises as `_answer` does."""
        wish = {"period": periods.CODES[kind], "filename": file_name}
        async with AsyncExitStack() as stack:
            if not self._asks_plain:
                try:
                    yield await stack.enter_async_context(self._answer(cgi.DOCUMENT, "vtranssetz", **wish))
                    return
                except FaultError as fault:
                    if fault.meaning not in (Meaning.UNKNOWN, Meaning.DENIED):
                        raise
                    self._asks_plain = True
            yield await stack.enter_async_context(self._answer(cgi.DOCUMENT, "vtransset", **wish))

    async def leave(self) -> None:
        """Give the cookie back, if there is one. Raises RouterdError, and it stays kept for the next start."""
        if self._cookie:
            async with self._controller.ask("releaseCredential", cookie=self._cookie) as answer:
                await answer.small()
            self._forget()

    @asynccontextmanager
    async def _answer(self, root: str, cmd: str, **params: str) -> AsyncIterator[Answer]:
        """An answer with that root. A cookie that ran out costs one login; one that is refused right after it does not.

        Raises FaultError, PermanentError pos.auth_failed | pos.login_file | pos.not_a_commander, TransientError
        pos.session_lost, and what `Controller.ask` raises.
        """
        fault = _PAGE
        was_kept = True
        while was_kept:
            was_kept = bool(self._cookie)
            cookie = self._cookie or await self._login()
            async with self._controller.ask(cmd, cookie=cookie, **params) as answer:
                if answer.root == root and not answer.is_page:
                    yield answer
                    return
                fault = await self._fault(answer)
            if fault.meaning not in (Meaning.EXPIRED, Meaning.DOUBTED, Meaning.REFUSED):
                raise FaultError(self._controller.place, cmd, _told(fault, cookie))
            if fault.meaning is not Meaning.EXPIRED:  # it may still count as in use
                await self.leave()
            self._forget()
        message = f"{self._controller.place} took the login, and then {cmd} says: {_told(fault, cookie).words}"
        raise TransientError("pos.session_lost", message)

    async def _login(self) -> str:
        login = await self._gate.login()
        params = {"user": login.user, "passwd": login.password}
        if login.otp:
            params["otp"] = login.otp
        await self._controller.reach()  # a POS that is off wears no flash
        await self._gate.begin(login)
        try:
            reply = await self._controller.log_in(**params)
        except RouterdError:
            await self._gate.clear()
            raise
        cookie = cgi.cookie(reply.body) if reply.status == 200 and cgi.root(reply.body) == cgi.CREDENTIAL else ""
        if not cookie:
            raise await self._turned_away(login, reply)
        self._keep(cookie)
        await self._gate.clear()
        return cookie

    async def _turned_away(self, login: Login, reply: Reply) -> RouterdError:
        """Only what is plainly not about the login may be tried again."""
        place = self._controller.place
        fault = cgi.fault(reply.body)
        if not fault:
            if reply.status == 503 and reply.is_whole:
                await self._gate.clear()
                return TransientError("pos.busy", f"{place} is busy (HTTP 503): it is asked less often")
            if reply.status in (401, 403) or (cgi.is_page(cgi.root(reply.body)) and cgi.asks_for_login(reply.body)):
                return await self._gate.refuse(f"HTTP {reply.status}" if reply.status != 200 else _PAGE.words)
            return await self._gate.doubt(_unclear(reply))
        words = _told(fault, login.password, login.otp).words
        if not cgi.is_no_attempt(fault):
            return await self._gate.refuse(words)
        if not reply.is_whole:
            return await self._gate.doubt(_unclear(reply))
        await self._gate.clear()
        if fault.meaning is Meaning.CONTENDED:
            message = f"{place} has every cookie in use ({words}): find the other programs that poll it"
            return TransientError("source.contended", message)
        return TransientError("pos.busy", f"{place} is busy ({words}): it is asked less often")

    async def _fault(self, answer: Answer) -> Fault:
        if answer.is_page:
            return _PAGE
        if not answer.head:
            raise TransientError("pos.cut", f"{self._controller.place} answered nothing")
        if cgi.declares_types(answer.head):
            raise TransientError("pos.fault", f"{self._controller.place} answers with {_DECLARES}")
        if not answer.root:
            what = f"{self._controller.place} answers no XML, so it is no Commander: check host and port"
            raise PermanentError("pos.not_a_commander", what)
        return cgi.fault(await answer.small()) or _SILENT

    def _keep(self, cookie: str) -> None:
        self._cookie = cookie
        content = f"{self._controller.place} {self._controller.pin}\n{cookie}\n"
        try:
            write_atomically(self._inlet.scratch, content.encode())  # RAM: no wait
        except OSError as exc:  # a crash would leave one cookie in use until it runs out; the data matter more
            log.warning("%s: %s: the cookie is not kept for a restart", self._inlet.scratch, exc.strerror)

    def _kept(self) -> str:
        """The cookie of an earlier run at this very controller."""
        try:
            whose, _, cookie = self._inlet.scratch.read_text("ascii").partition("\n")
        except (OSError, UnicodeDecodeError):
            return ""
        return cookie.strip() if whose == f"{self._controller.place} {self._controller.pin}" else ""

    def _forget(self) -> None:
        self._cookie = ""
        self._inlet.scratch.unlink(missing_ok=True)


def _unclear(reply: Reply) -> str:
    """Why a login's answer does not say what became of it."""
    if not reply.status:
        return "no answer came"
    if reply.status != 200:
        return f"the answer was HTTP {reply.status}"
    if not reply.is_whole:
        return "the answer broke off"
    if cgi.declares_types(reply.body):
        return f"the answer has {_DECLARES}"
    return "the answer is no Commander's: check host and port"


def _told(fault: Fault, *secrets: str) -> Fault:
    """For people: what the controller says may quote what it was sent."""
    words = fault.words
    for secret in secrets:
        words = words.replace(secret, "…") if secret else words
    return Fault(fault.meaning, words[:_WORDS_CHARS])
