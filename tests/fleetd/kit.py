"""Segments as a router makes them, a fleetd as an operator runs it, and requests as a router sends them."""

import base64
import hashlib
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from fleetd import cli
from fleetd.init import init
from fleetd.judge import judge
from fleetd.store import ACTIVE, Delivery, Device
from routerd.model import RECORD, Draft, Gap, Segment, Stamp, Stream
from routerd.wire import batch, body
from routerd.wire.answers import MEDIA_TYPE, PROTOCOL, PROTOCOL_HEADER
from routerd.wire.codec import Codebook

BOOK = Codebook({})
STAMP = Stamp("00112233", 5_000_000_000, 1_784_000_000_000, True)
POS1 = Stream("pos1", 7)
NOW_MS = 1_784_000_100_000


def device(device_id: str) -> Device:
    return Device(device_id, ACTIVE, NOW_MS, hashlib.sha256(device_id.encode()).digest(), device_id)


def sale(number: int) -> Draft:
    data = f"<trans>{number}</trans>\n".encode()
    return Draft(RECORD, data, f"transset:{number}", "2026-07-15T02:05:58-04:00", "sale")


def sales(first: int, last: int) -> list[Draft]:
    return [sale(number) for number in range(first, last + 1)]


def packed_body(drafts: Iterable[Draft], stamp: Stamp = STAMP) -> bytes:
    return body.pack_head(stamp) + b"".join(body.pack_record(draft, at) for at, draft in enumerate(drafts))


def segment(first: int, drafts: Sequence[Draft], stream: Stream = POS1, codec: str = "zlib") -> Segment:
    content = packed_body(drafts)
    return batch.seal(stream, first, len(drafts), content, (codec, 0, BOOK.compress(content, codec)))


def run_of(first: int, last: int, stream: Stream = POS1) -> Segment:
    """A segment whose records are the sales of the same numbers."""
    return segment(first, sales(first, last), stream)


def broken(good: Segment) -> Segment:
    return Segment(good.info, good.payload[:-1] + bytes([good.payload[-1] ^ 1]))


def gap(first: int, last: int, stream: Stream = POS1, cause: str = "spool.full") -> Draft:
    return body.gap_draft(Gap(stream, first, last, cause, 100, NOW_MS - 10, NOW_MS - 5))


def delivery(device_id: str, *segments: Segment, at_ms: int = NOW_MS) -> Delivery:
    return Delivery(device_id, at_ms, tuple(judge(one, BOOK) for one in segments))


def pack(*segments: Segment) -> bytes:
    return batch.pack_batch([batch.pack_segment(one) for one in segments])


def headers(data: bytes, token: str, **others: str) -> dict[str, str]:
    """What a router sends with a batch; a keyword replaces (`content_digest=`) or, when empty, leaves out."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    made = {
        "Content-Type": MEDIA_TYPE,
        PROTOCOL_HEADER: PROTOCOL,
        "Content-Digest": f"sha-256=:{digest}:",
        "Authorization": f"Bearer {token}",
    }
    made |= {name.replace("_", "-").title(): value for name, value in others.items()}
    return {name: value for name, value in made.items() if value}


def request_head(sent: Mapping[str, str]) -> bytes:
    """A POST for those who speak HTTP by hand."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
    return f"POST /v1/ingest HTTP/1.1\r\n{lines}\r\n".encode()


@dataclass
class Cloud:
    """A prepared data folder and, while `running`, the process that serves it."""

    root: Path
    process: "subprocess.Popen[str] | None" = None
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    told: dict[str, dict[Stream, int]] = field(default_factory=dict)

    @classmethod
    def prepare(cls, root: Path) -> "Cloud":
        init(root / "data", [])
        return cls(root)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def log(self) -> Path:
        return self.root / "fleetd.log"

    @property
    def command(self) -> list[str]:
        run = [sys.executable, "-m", "fleetd.server", "run"]
        return [*run, "--data", str(self.data), "--listen", "127.0.0.1:0"]

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.data / "ca.pem")

    @property
    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.tls))

    def token(self, device_id: str) -> str:
        """The device's key; it is registered when it is first asked for."""
        if device_id not in self.tokens:
            key_file = self.root / f"{device_id}.key"
            assert cli.main(["--data", str(self.data), "device", "add", device_id, "--key-file", str(key_file)]) == 0
            self.tokens[device_id] = key_file.read_text().strip()
        return self.tokens[device_id]

    @contextmanager
    def running(self) -> Iterator["Cloud"]:
        with (
            self.log.open("a") as log,
            subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
        ):
            assert process.stdout is not None
            self.process = process
            try:
                line = process.stdout.readline()
                assert line.startswith("fleetd listens on https://127.0.0.1:"), self.log.read_text()
                self.url = line.split()[-1]
                yield self
            finally:
                process.terminate()

    async def post(self, session: aiohttp.ClientSession, data: Any, sent: Mapping[str, str]) -> "Reply":
        async with session.post(f"{self.url}/v1/ingest", data=data, headers=sent) as response:
            return Reply(response.status, await response.read(), dict(response.headers))

    async def send(self, session: aiohttp.ClientSession, device_id: str, *segments: Segment) -> batch.Answer:
        data = pack(*segments)
        reply = await self.post(session, data, headers(data, self.token(device_id)))
        assert reply.status == 200, reply.body
        answer = batch.unpack_answer(reply.body)
        self.told.setdefault(device_id, {}).update(answer.processed)
        return answer

    async def until_processed(
        self, session: aiohttp.ClientSession, device_id: str, wanted: Mapping[Stream, int]
    ) -> None:
        """Ask until the device was told that the ledger has come so far: it follows at its own pace."""
        while any(self.told.get(device_id, {}).get(stream, 0) < seq for stream, seq in wanted.items()):
            await self.send(session, device_id)


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str]
