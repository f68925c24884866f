"""The one place that connects to a device: obeys a plan of `probe`, step by step, and accounts for each."""

import asyncio
import hashlib
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from routerd.discover.certificate import issuer_of
from routerd.discover.evidence import BANNER, Evidence, hints
from routerd.discover.probe import MAX_ANSWER_BYTES, TIMEOUT_S, Plan, Request, Step, refuse_port

OPEN, CLOSED, SILENT, REFUSED = "open", "closed", "silent", "refused"
_TLS_PORTS = (443,)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_SERVER = re.compile(rb"\r\nserver:[ \t]*([^\r\n]*)", re.IGNORECASE)
_TITLE = re.compile(rb"<title>[^<]{0,120}</title>", re.IGNORECASE)
_SCRIPT_PATH = re.compile(rb"/[A-Za-z]{4,32}(?=[/\"'])")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one step brought. `certificate` is the SHA-256 of the server's, in hex; texts are "" where there is none."""

    outcome: str
    status: int = 0
    server: str = ""
    title: str = ""
    certificate: str = ""
    issuer: str = ""
    evidence: frozenset[Evidence] = frozenset()


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line for the audit log: who had what asked why, what was sent, what came back."""

    request: Request
    port: int
    sent_bytes: int
    outcome: str
    detail: str


async def probe(
    plan: Plan,
    audit: Callable[[AuditRow], None],
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> list[tuple[Step, Answer]]:
    """Do the steps of a plan, each once. Every refusal and every step leaves its audit row before the next begins."""
    for refusal in plan.refusals:
        audit(AuditRow(plan.request, 0, 0, REFUSED, refusal))
    answers = []
    for step in plan.steps:
        if reason := refuse_port(step.port):
            audit(AuditRow(plan.request, step.port, 0, REFUSED, reason))
            continue
        await wait(step.wait_s)
        answer = await _ask(step)
        sent_bytes = len(step.sends) if answer.outcome == OPEN else 0
        audit(AuditRow(plan.request, step.port, sent_bytes, answer.outcome, _detail(answer)))
        answers.append((step, answer))
    return answers


async def _ask(step: Step) -> Answer:
    deadline = asyncio.get_running_loop().time() + TIMEOUT_S
    try:
        return await _converse(step, deadline)
    except TimeoutError:
        return Answer(SILENT)
    except OSError:  # refused, unreachable, or TLS that is none; also ssl.SSLError
        return Answer(CLOSED)


async def _converse(step: Step, deadline: float) -> Answer:
    is_tls = bool(step.sends) and step.port in _TLS_PORTS
    context = _anonymous_context() if is_tls else None
    async with asyncio.timeout_at(deadline):
        reader, writer = await asyncio.open_connection(step.host, step.port, ssl=context, limit=MAX_ANSWER_BYTES)
    try:
        tls = writer.get_extra_info("ssl_object")
        certificate = (tls.getpeercert(binary_form=True) if tls else None) or b""
        if not step.sends:
            return Answer(OPEN)
        writer.write(step.sends)
        return _answer(await _read(reader, deadline), certificate)
    finally:
        writer.transport.abort()  # no farewell: nothing more is sent, and nobody waits for it


async def _read(reader: asyncio.StreamReader, deadline: float) -> bytes:
    """At most MAX_ANSWER_BYTES of what comes before the other side closes or the time is up."""
    data = b""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            while len(data) < MAX_ANSWER_BYTES and (piece := await reader.read(MAX_ANSWER_BYTES - len(data))):
                data += piece
    return data


def _anonymous_context() -> ssl.SSLContext:
    """A store's devices sign their own certificates: this one looks at them, believes nothing and tells nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _answer(data: bytes, certificate: bytes) -> Answer:
    status, server, title = _STATUS.match(data), _SERVER.search(data), _TITLE.search(data)
    body = data.partition(b"\r\n\r\n")[2]
    seen = [title.group()] if title else []
    seen += sorted(set(_SCRIPT_PATH.findall(body)))[:8]
    return Answer(
        outcome=OPEN,
        status=int(status.group(1)) if status else 0,
        server=_printable(server.group(1) if server else b""),
        title=_printable(title.group()[7:-8] if title else b""),
        certificate=hashlib.sha256(certificate).hexdigest() if certificate else "",
        issuer=issuer_of(certificate),
        evidence=hints((BANNER, _printable(each)) for each in seen),
    )


def _printable(data: bytes) -> str:
    text = data.decode("utf-8", "replace").strip()
    return "".join(c for c in text if c.isprintable())[:120]


def _detail(answer: Answer) -> str:
    parts = [
        f"HTTP {answer.status}" if answer.status else "",
        answer.server,
        answer.title,
        f"certificate {answer.certificate[:16]}" if answer.certificate else "",
        f"by {answer.issuer}" if answer.issuer else "",
    ]
    return ", ".join(part for part in parts if part)
