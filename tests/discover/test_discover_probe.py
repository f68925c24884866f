"""Probing: refused unless everything allows it, and then exactly what the plan says, seen by real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from routerd.board.mnsp import ProbePolicy
from routerd.discover import prober
from routerd.discover.certificate import issuer_of
from routerd.discover.fingerprint import UNKNOWN, Candidate, Verdict
from routerd.discover.inventory import Device
from routerd.discover.probe import (
    GAP_S,
    MAX_ANSWER_BYTES,
    NEVER,
    REPEAT_MS,
    Circumstances,
    Plan,
    Request,
    Step,
    is_busy,
    plan,
    refuse_port,
)
from routerd.discover.prober import CLOSED, OPEN, REFUSED, SILENT, AuditRow
from routerd.discover.proposal import ProbePort, Profile

HOST = "192.168.31.11"
NOON = 12 * 60
REQUEST = Request(HOST, "Ann", "technician", "new store")
DEVICE = Device("mac:00:0b:4f:01:02:03", HOST)
PROFILE = Profile("commander", "", ("verifone-commander",), {}, (), "", 60, 90, (ProbePort(443, "http-get-root-once"),), (), True)  # fmt: skip # noqa: E501
ALLOWED = Circumstances(ProbePolicy(allowed=True, busy_hours="06:00-11:00"), ("192.168.31.0/24",), {}, 10**12, NOON)


def verdict(*candidates: tuple[str, str, float]) -> Verdict:
    rows = tuple(Candidate(*each) for each in candidates)
    top = rows[0] if rows and rows[0].score >= 0.5 else Candidate(UNKNOWN, UNKNOWN, 0)
    return Verdict(top.class_id, top.kind, "a device", top.score, (), rows)


COMMANDER = verdict(("verifone-commander", "site_controller", 0.8), ("verifone-ped", "payment_terminal", 0.3))


def planned(
    request: Request = REQUEST,
    device: Device | None = DEVICE,
    seen: Verdict = COMMANDER,
    profile: Profile = PROFILE,
    now: Circumstances = ALLOWED,
) -> Plan:
    return plan(request, device, seen, profile, now, "0.1")


def test_a_plan_lists_exactly_what_would_be_sent() -> None:
    sends = b"GET / HTTP/1.1\r\nHost: 192.168.31.11\r\nUser-Agent: routerd/0.1 (store inventory)\r\n"
    sends += b"Connection: close\r\n\r\n"
    assert planned() == Plan(REQUEST, (Step(HOST, 443, "http-get-root-once", sends, 0.0),), ())


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (planned(now=replace(ALLOWED, policy=ProbePolicy())), "off"),
        (planned(replace(REQUEST, role="operate")), "technician"),
        (planned(replace(REQUEST, who=" ")), "technician"),
        (planned(replace(REQUEST, reason="")), "technician"),
        (planned(device=None), "no device"),
        (planned(replace(REQUEST, host="192.168.31.12")), "no device"),
        (planned(now=replace(ALLOWED, networks=())), "not inside"),
        (planned(now=replace(ALLOWED, networks=("10.0.0.0/8",))), "not inside"),
        (planned(now=replace(ALLOWED, is_backfilling=True)), "backfill"),
        (planned(now=replace(ALLOWED, wall_ms=0)), "clock is not set"),
        (planned(now=replace(ALLOWED, minute_of_day=8 * 60)), "busy"),
        (planned(now=replace(ALLOWED, minute_of_day=None)), "busy"),
        (planned(seen=verdict(("verifone-commander", "site_controller", 0.29))), "too little"),
        (planned(seen=verdict(("epson-tm", "receipt_printer", 0.6), ("verifone-commander", "x", 0.3))), "never"),
        (planned(seen=verdict(("pax", "payment_terminal", 0.6))), "never"),
        (planned(seen=verdict(("veeder-root-atg", "tank_gauge", 0.9))), "never"),
        (planned(seen=verdict(("moxa", "serial_bridge", 0.9))), "never"),
        (planned(seen=verdict(("verifone-commander", "x", 0.3), ("verifone-ped", "payment_terminal", 0.3))), "as well"),
        (planned(profile=replace(PROFILE, probes=())), "names no port"),
    ],
)
def test_each_limit_alone_refuses_the_whole_request(refused: Plan, why: str) -> None:
    assert refused.steps == ()
    assert len(refused.refusals) == 1
    assert why in refused.refusals[0]


FORBIDDEN = {*range(9100, 9108), 515, 10001, 5015, 5016, 9600, 10009, 12345}
PORTS = st.integers(-5, 70000) | st.sampled_from(sorted(FORBIDDEN | {port + 1 for port in FORBIDDEN}))


def test_the_never_list_is_the_one_that_was_agreed() -> None:
    assert set(NEVER) == FORBIDDEN
    assert all(NEVER.values())


@given(PORTS)
def test_ports_on_the_never_list_are_refused_whatever_the_profile_says(port: int) -> None:
    forbidden = port in FORBIDDEN or not 0 < port < 65536
    found = planned(profile=replace(PROFILE, probes=(ProbePort(port, "connect-only"),)))
    assert bool(found.steps) is not forbidden
    assert bool(refuse_port(port)) is forbidden


@pytest.mark.parametrize("port", sorted(NEVER))
async def test_the_prober_refuses_them_itself_even_in_a_forged_plan(port: int) -> None:
    rows: list[AuditRow] = []
    answers = await prober.probe(Plan(REQUEST, (Step("127.0.0.1", port, "connect-only", b"", 0),), ()), rows.append)
    assert answers == []
    assert [(row.outcome, row.sent_bytes) for row in rows] == [(REFUSED, 0)]


def test_no_kind_of_question_is_invented_by_data() -> None:
    found = planned(profile=replace(PROFILE, probes=(ProbePort(443, "post-login"),)))
    assert found.steps == ()
    assert "nothing that can be done" in found.refusals[0]


def test_a_host_and_port_is_asked_once_a_day() -> None:
    key = f"{HOST}:443"
    for before_ms, asked in ((1, False), (REPEAT_MS - 1, False), (REPEAT_MS, True), (-1, False)):
        found = planned(now=replace(ALLOWED, probed={key: ALLOWED.wall_ms - before_ms}))
        assert bool(found.steps) is asked


def test_connections_are_two_seconds_apart_over_the_whole_daemon() -> None:
    many = replace(PROFILE, probes=tuple(ProbePort(port, "connect-only") for port in (21, 139, 445, 80)))
    found = planned(profile=many, now=replace(ALLOWED, since_last_s=0.5))
    assert [step.wait_s for step in found.steps] == [1.5, GAP_S, GAP_S]  # and a profile has three ports at most


@pytest.mark.parametrize(
    ("hours", "busy", "quiet"),
    [
        ("06:00-23:00", (360, 1379), (359, 1380)),
        ("22:00-04:00", (1320, 239), (240, 1319)),
        ("00:00-24:00", (0, 1439), ()),
    ],
)
def test_busy_hours_hold_to_the_minute_and_across_midnight(
    hours: str, busy: tuple[int, ...], quiet: tuple[int, ...]
) -> None:
    assert all(is_busy(hours, minute) for minute in busy)
    assert not any(is_busy(hours, minute) for minute in quiet)
    assert not is_busy("", None)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def device(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Somebody on loopback who answers like `talk`, and is gone with the block."""
    conversations: list[asyncio.Task[None]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations.append(asyncio.create_task(converse(reader, writer)))

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*conversations)
        await server.wait_closed()


async def ask(port: int, sends: bytes = b"") -> tuple[prober.Answer, list[AuditRow]]:
    rows: list[AuditRow] = []
    step = Step("127.0.0.1", port, "x", sends, 0)
    [(_, answer)] = await prober.probe(Plan(REQUEST, (step,), ()), rows.append)
    return answer, rows


async def test_connect_only_sends_nothing() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        with suppress(ConnectionResetError):
            data = await reader.read()
        received.put_nowait(data)

    async with device(talk) as port:
        answer, [row] = await ask(port)
        async with asyncio.timeout(20):
            assert await received.get() == b""
    assert answer.outcome == OPEN
    assert (row.port, row.sent_bytes, row.request) == (port, 0, REQUEST)


async def test_who_never_answers_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "TIMEOUT_S", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with device(talk) as port:
        monkeypatch.setattr(prober, "_TLS_PORTS", (port,))
        answer, [row] = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
    assert answer.outcome == SILENT
    assert row.sent_bytes == 0


async def test_one_get_is_sent_and_what_it_brings_is_kept() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()
    page = b"<html><title>System</title><script>location='/JournalBrowser/'</script>"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Type: text/html\r\n\r\n" + page)

    sends = planned().steps[0].sends
    async with device(talk) as port:
        answer, [row] = await ask(port, sends)
        assert received.get_nowait() == sends
    assert (answer.status, answer.server, answer.title) == (200, "Apache", "System")
    assert "/JournalBrowser" in {each.value for each in answer.evidence}
    assert row.sent_bytes == len(sends)
    assert row.detail == "HTTP 200, Apache, System"


async def test_no_more_than_the_limit_is_read() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * MAX_ANSWER_BYTES + b"<title>too far</title>")
        await reader.read()

    async with device(talk) as port:
        answer, _ = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
    assert (answer.outcome, answer.status, answer.title) == (OPEN, 200, "")


async def test_a_closed_port_is_told_and_not_tried_again() -> None:
    async with device(lambda r, w: asyncio.sleep(0)) as port:
        pass
    answer, rows = await ask(port)
    assert answer.outcome == CLOSED
    assert len(rows) == 1


async def test_who_says_nothing_is_left_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "TIMEOUT_S", 0.05)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 401 No\r\n")  # and the connection stays open
        await reader.read(1 << 20)
        await reader.read()

    async with device(talk) as port:
        answer, _ = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
    assert (answer.outcome, answer.status) == (OPEN, 401)


def own_certificate(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """What a store's device has: a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Store"), x509.NameAttribute(NameOID.COMMON_NAME, "site-1")]
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 << 100)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *private) + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, certificate.public_bytes(serialization.Encoding.DER)


async def test_a_certificate_signed_by_its_own_device_is_told_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, der = own_certificate(tmp_path)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n<title>x</title>")

    async with device(talk, context) as port:
        monkeypatch.setattr(prober, "_TLS_PORTS", (port,))
        answer, [row] = await ask(port, b"GET / HTTP/1.1\r\n\r\n")
    assert (answer.status, answer.issuer) == (200, "site-1")
    assert len(answer.certificate) == 64
    assert "by site-1" in row.detail
    assert issuer_of(der) == "site-1"


@given(st.binary(max_size=60), st.integers(0, 400))
def test_no_damaged_certificate_raises(junk: bytes, cut: int) -> None:
    issuer_of(junk)
    whole = bytes.fromhex("3081803070a00302010202010130050603550403") + b"\x30\x10" + junk
    issuer_of(whole[:cut])


async def test_a_refused_plan_is_audited_and_touches_nothing() -> None:
    rows: list[AuditRow] = []
    refused = planned(now=replace(ALLOWED, policy=ProbePolicy()))
    assert await prober.probe(refused, rows.append) == []
    assert [(row.outcome, row.request.who, row.request.reason) for row in rows] == [(REFUSED, "Ann", "new store")]


async def test_the_prober_waits_as_the_plan_says() -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    async with device(lambda r, w: asyncio.sleep(0)) as port:
        pass
    steps = tuple(Step("127.0.0.1", port, "x", b"", wait_s) for wait_s in (0.5, GAP_S))
    await prober.probe(Plan(REQUEST, steps, ()), lambda row: None, wait)
    assert waited == [0.5, GAP_S]
