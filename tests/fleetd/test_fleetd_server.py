"""fleetd as routers meet it: a real process, real TLS."""

import asyncio
import base64
import hashlib
import io
import json
import socket
import ssl

import aiohttp
import msgpack
import pytest

from fleetd import cli
from fleetd.ingest import MAX_BODIES_BYTES
from routerd.model import Segment, Stream
from routerd.wire import batch
from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER, Reaction, meaning
from routerd.wire.batch import DUPLICATE, INVALID, STORED, Ack
from tests.fleetd.kit import POS1, Cloud, Reply, broken, headers, pack, request_head, run_of


def error(reply: Reply) -> str:
    """The code of an error, after its shape was checked."""
    assert reply.headers[PROTOCOL_HEADER] == PROTOCOL
    assert reply.headers["Content-Type"].startswith("application/json")
    found = json.loads(reply.body)["error"]
    assert set(found) <= {"code", "message", "request_id", "retry_after_s"}
    assert len(found["request_id"]) == 16
    assert found["message"]
    return str(found["code"])


async def refused(cloud: Cloud, data: bytes, sent: dict[str, str]) -> tuple[int, str]:
    async with cloud.session as session:
        reply = await cloud.post(session, data, sent)
    return reply.status, error(reply)


async def test_a_batch_is_stored_and_answered(cloud: Cloud) -> None:
    async with cloud.session as session:
        first = await cloud.send(session, "stored", run_of(1, 3))
        again = await cloud.send(session, "stored", run_of(1, 3), run_of(4, 4))
        await cloud.until_processed(session, "stored", {POS1: 4})
    assert first.acks == (Ack(POS1, 1, 3, STORED),)
    assert again.acks == (Ack(POS1, 1, 3, DUPLICATE), Ack(POS1, 4, 1, STORED))
    assert [stream for stream, _ in again.processed] == [POS1]
    assert first.codecs[-2:] == ("zlib", "raw")
    assert 0 in first.dictionary_ids


async def test_an_invalid_segment_leaves_its_neighbours_alone(cloud: Cloud) -> None:
    async with cloud.session as session:
        answer = await cloud.send(session, "beside", broken(run_of(1, 3)), run_of(4, 6))
    assert [ack.status for ack in answer.acks] == [INVALID, STORED]
    assert answer.processed == ((POS1, 0),)


async def test_an_empty_batch_is_answered_with_what_was_processed_since_the_last_answer(cloud: Cloud) -> None:
    async with cloud.session as session:
        assert await cloud.send(session, "empty") == batch.Answer((), (), *(await spoken(cloud)))
        await cloud.send(session, "empty", run_of(1, 3), run_of(1, 2, Stream("pos2", 7)))
        await cloud.until_processed(session, "empty", {POS1: 3, Stream("pos2", 7): 2})
        assert (await cloud.send(session, "empty")).processed == ()


async def spoken(cloud: Cloud) -> tuple[tuple[str, ...], tuple[int, ...]]:
    async with cloud.session as session:
        answer = await cloud.send(session, "spoken")
    return answer.codecs, answer.dictionary_ids


async def test_a_wrong_key_is_refused_before_the_body_is_read(cloud: Cloud) -> None:
    """A body that was announced and never comes: whoever has no key is told so all the same."""
    sent = headers(b"never sent", "nobody.secret", host="a", connection="close", content_length="1000")
    assert (await raw(cloud, request_head(sent))).startswith(b"HTTP/1.1 401 ")


async def test_a_request_past_its_budget_is_acked_as_far_as_it_was_taken(cloud: Cloud) -> None:
    segments = [run_of(number, number, Stream("many", 1)) for number in range(1, 4200)]
    async with cloud.session as session:
        taken = (await cloud.send(session, "many", *segments)).acks
        rest = (await cloud.send(session, "many", *segments[len(taken) :])).acks
    assert len(taken) == 4096
    assert len(taken) + len(rest) == len(segments)


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer auth.wrong", (401, "key_unknown")),
        ("Bearer nobody.secret", (401, "key_unknown")),
        ("Bearer ", (401, "key_unknown")),
        ("Basic YTpi", (401, "key_unknown")),
        ("Bearer auth", (401, "key_unknown")),
        ("Bearer ' OR 1=1 --.x", (401, "key_unknown")),
        ("", (401, "key_unknown")),
    ],
)
async def test_only_a_registered_key_gets_in(cloud: Cloud, authorization: str, expected: tuple[int, str]) -> None:
    cloud.token("auth")
    data = pack(run_of(1, 1))
    assert await refused(cloud, data, headers(data, "", authorization=authorization)) == expected


async def test_one_devices_secret_does_not_open_another(cloud: Cloud) -> None:
    _, secret = cloud.token("mine").split(".")
    cloud.token("yours")
    data = pack(run_of(1, 1))
    assert await refused(cloud, data, headers(data, f"yours.{secret}")) == (401, "key_unknown")


async def test_a_disabled_device_is_refused_until_it_is_enabled(cloud: Cloud) -> None:
    data = pack(run_of(1, 1))
    sent = headers(data, cloud.token("retired"))
    assert cli.main(["--data", str(cloud.data), "device", "disable", "retired"]) == 0
    assert await refused(cloud, data, sent) == (403, "device_disabled")
    assert cli.main(["--data", str(cloud.data), "device", "enable", "retired"]) == 0
    async with cloud.session as session:
        assert (await cloud.post(session, data, sent)).status == 200


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha-256=:" + base64.b64encode(hashlib.sha256(b"other").digest()).decode() + ":",
        "sha-256=:!!!:",
        "sha-256=:",
        "md5=:YWJj:",
        "sha-256=:ÄÖ:",
    ],
)
async def test_a_body_that_is_not_what_its_digest_says_is_refused(cloud: Cloud, digest: str) -> None:
    data = pack(run_of(1, 1))
    sent = headers(data, cloud.token("digest"), content_digest=digest)
    assert await refused(cloud, data, sent) == (400, "digest_mismatch")


@pytest.mark.parametrize("protocol", ["", "2.0", "0.9", "x", "10.0"])
async def test_another_major_is_told_which_we_speak(cloud: Cloud, protocol: str) -> None:
    data = pack(run_of(1, 1))
    async with cloud.session as session:
        reply = await cloud.post(session, data, headers(data, "nobody.x", routerd_protocol=protocol))
    assert (reply.status, error(reply)) == (426, "protocol_major")
    assert json.loads(reply.body)["server"] == {"min_major": 1, "max_major": 1}
    assert meaning(reply.status, error(reply), reply.headers[PROTOCOL_HEADER]).reaction is Reaction.HOLD


async def test_a_newer_minor_is_welcome(cloud: Cloud) -> None:
    data = pack(run_of(1, 1))
    async with cloud.session as session:
        reply = await cloud.post(session, data, headers(data, cloud.token("minor"), routerd_protocol="1.7"))
    assert reply.status == 200


@pytest.mark.parametrize(
    ("header", "value"),
    [("content_type", "application/json"), ("content_type", "text/plain; x"), ("content_encoding", "gzip")],
)
async def test_another_media_type_or_encoding_is_refused(cloud: Cloud, header: str, value: str) -> None:
    data = pack(run_of(1, 1))
    status, _ = await refused(cloud, data, headers(data, cloud.token("media"), **{header: value}))
    assert status == 415


async def test_a_body_at_the_limit_is_read(cloud: Cloud) -> None:
    data = bytes(batch.MAX_BATCH_BYTES)
    async with cloud.session as session:
        reply = await cloud.post(session, io.BytesIO(data), headers(data, cloud.token("large")))
    assert (reply.status, error(reply)) == (400, "batch_invalid")


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
async def test_a_body_past_the_limit_is_refused_however_it_comes(cloud: Cloud, framing: str) -> None:
    data = bytes(batch.MAX_BATCH_BYTES + 1)
    sent = headers(data, cloud.token("larger"), host="a", connection="close")
    if framing == "chunked":
        sent["Transfer-Encoding"] = "chunked"
        data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    else:
        sent["Content-Length"] = str(len(data))
    answer = await raw(cloud, request_head(sent), data)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert f"{PROTOCOL_HEADER}: {PROTOCOL}".encode() in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_large"


async def test_uploads_beyond_what_memory_may_hold_are_told_to_come_back(cloud: Cloud) -> None:
    """64 routers that announce 4 MiB and wait fill the room; when they hang up it is free again."""
    data = pack(run_of(1, 1))
    sent = headers(data, cloud.token("busy"), host="a", expect="100-continue")
    sent["Content-Length"] = str(batch.MAX_BATCH_BYTES)
    port = int(cloud.url.rsplit(":", 1)[1])
    waiting = []
    for _ in range(MAX_BODIES_BYTES // batch.MAX_BATCH_BYTES):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=cloud.tls, server_hostname="localhost")
        writer.write(request_head(sent))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        waiting.append(writer)
    async with cloud.session as session:
        reply = await cloud.post(session, data, headers(data, cloud.token("busy")))
        assert (reply.status, error(reply), reply.headers["Retry-After"]) == (503, "busy", "5")
        for writer in waiting:
            writer.close()
            await writer.wait_closed()
        while (reply := await cloud.post(session, data, headers(data, cloud.token("busy")))).status == 503:
            pass
    assert reply.status == 200
    assert "Traceback" not in cloud.log.read_text(), "a router that hangs up is no error of ours"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/ingest", (405, "method_not_allowed")),
        ("DELETE", "/healthz", (405, "method_not_allowed")),
        ("GET", "/", (404, "not_found")),
        ("POST", "/v1/nothing", (404, "not_found")),
        ("GET", "/v1/%00%ff/../..", (404, "not_found")),
    ],
)
async def test_wrong_routes_get_our_errors(cloud: Cloud, method: str, path: str, expected: tuple[int, str]) -> None:
    async with cloud.session as session, session.request(method, cloud.url + path) as response:
        assert (response.status, error(Reply(response.status, await response.read(), response.headers))) == expected
        assert (response.status == 405) == ("Allow" in response.headers)


async def test_health_is_told_to_anybody(cloud: Cloud) -> None:
    async with cloud.session as session, session.get(f"{cloud.url}/healthz") as response:
        assert (response.status, (await response.json())["status"]) == (200, "ok")
        assert response.headers[PROTOCOL_HEADER] == PROTOCOL


async def raw(cloud: Cloud, *pieces: bytes) -> bytes:
    """What comes back for bytes that no HTTP client would send."""
    port = int(cloud.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=cloud.tls, server_hostname="localhost")
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/ingest HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n",
        b"POST /v1/ingest HTTP/1.1\r\nHost: a\r\nRouterd-Protocol: 1.0\r\nContent-Type: application/msgpack\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_broken_http_gets_our_errors_too(cloud: Cloud, request_bytes: bytes) -> None:
    answer = await raw(cloud, request_bytes)
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.split(b" ", 2)[1] == b"400"
    assert f"{PROTOCOL_HEADER}: {PROTOCOL}".encode() in head
    assert json.loads(content)["error"]["code"] == "http"


async def test_a_client_that_expects_to_be_asked_is_asked(cloud: Cloud) -> None:
    data = pack(run_of(1, 1))
    sent = headers(data, cloud.token("expect"), host="a", connection="close", expect="100-continue")
    answer = await raw(cloud, request_head({**sent, "Content-Length": str(len(data))}), data)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_old_tls_is_not_spoken(cloud: Cloud) -> None:
    old = cloud.tls
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    port = int(cloud.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="localhost")


async def test_a_router_that_pins_another_ca_does_not_connect(cloud: Cloud) -> None:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{cloud.url}/healthz")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        [2, []],
        [1],
        [1, {}],
        [1, [[]]],
        [1, [["pos1", 1 << 63, 1, 1, 0, 0, 0, 0, b""]]],
        [1, [["pos1", 1, 1, (1 << 63) - 1, 0, 0, 0, 0, b""]]],
        [1, [["", 1, 1, 1, 0, 0, 0, 0, b""]]],
        [1, [["pos1", 1, 1, 1, 0, 0, 1 << 40, 0, b""]]],
    ],
)
async def test_a_document_that_is_no_batch_is_refused(cloud: Cloud, document: object) -> None:
    data = msgpack.packb(document)
    assert await refused(cloud, data, headers(data, cloud.token("shape"))) == (400, "batch_invalid")


async def test_extreme_numbers_that_are_allowed_get_an_answer(cloud: Cloud) -> None:
    edge = (1 << 63) - 2
    rows = [
        ["pos1", edge + 1, edge, 1, 0, 0, 0, 0, b""],
        ["pos1", 1, 1, edge, 1, -(1 << 63), 4 << 20, 1 << 63, b"x"],
        ["pos\x00\x1b[2J", True, 1, 1, 2, (1 << 64) - 1, 9, -5, bytes(70000)],
    ]
    data = msgpack.packb([1, rows])
    async with cloud.session as session:
        reply = await cloud.post(session, data, headers(data, cloud.token("edge")))
    assert reply.status == 200
    assert [ack.status for ack in batch.unpack_answer(reply.body).acks] == [INVALID] * 3


async def test_many_devices_at_once_get_each_their_own_answer(cloud: Cloud) -> None:
    async with cloud.session as session:

        async def one(number: int) -> tuple[Segment, batch.Answer]:
            segment = run_of(1, 5, Stream(f"pos{number}", number))
            return segment, await cloud.send(session, f"crowd{number}", segment)

        for number in range(1, 21):
            cloud.token(f"crowd{number}")
        for segment, answer in await asyncio.gather(*(one(number) for number in range(1, 21))):
            assert answer.acks == (Ack(segment.info.stream, 1, 5, STORED),)
            assert {stream for stream, _ in answer.processed} <= {segment.info.stream}, "nobody else's"
