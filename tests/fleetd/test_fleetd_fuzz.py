"""Whatever a registered router sends, the answer is 200 or a row of the error table."""

import http.client
import json
from collections.abc import Iterator

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routerd.model import RECORD, Draft, Segment, Stream
from routerd.wire import batch, codec
from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER
from tests.fleetd.kit import Cloud, headers, pack, packed_body

TABLE = {(400, "batch_invalid"), (400, "digest_mismatch"), (400, "http"), (401, "key_unknown")} | {
    (415, "media_type"),
    (415, "content_encoding"),
    (426, "protocol_major"),
}
U64 = st.integers(0, (1 << 64) - 1) | st.sampled_from([1, (1 << 63) - 2, (1 << 63) - 1, 1 << 63])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
ROW = st.tuples(st.text(max_size=70), U64, U64, U64, st.integers(0, 3), U64, U64, U64, st.binary()).map(list)
ROWS = st.lists(ROW | ANYTHING, max_size=4).map(lambda rows: msgpack.packb([1, rows]))
U63 = st.integers(1, (1 << 63) - 2)
TEXT = st.none() | st.text(max_size=40)


@st.composite
def drafts(draw: st.DrawFn) -> list[Draft]:
    one = st.builds(Draft, st.integers(0, 3), st.binary(max_size=40), TEXT, TEXT, st.text(max_size=20))
    return draw(st.lists(one, min_size=1, max_size=6))


@st.composite
def sealed(draw: st.DrawFn) -> Segment:
    """A segment with a right checksum over whatever it claims."""
    content = packed_body(draw(drafts())) + draw(st.sampled_from([b"", b"", b"\x00"]))
    name = draw(st.sampled_from(sorted(codec.CODES)))
    stream = Stream(draw(st.text(min_size=1, max_size=20)), draw(U63))
    first = draw(st.integers(1, 5) | U63)
    count = draw(st.integers(1, 7) | U63)
    packed = (name, 0, draw(payloads(content, name)))
    return batch.seal(stream, first, min(count, (1 << 63) - 1 - first), content, packed)


def payloads(content: bytes, name: str) -> st.SearchStrategy[bytes]:
    return st.just(codec.Codebook({}).compress(content, name)) | st.binary(max_size=30)


@pytest.fixture(scope="module")
def line(cloud: Cloud) -> Iterator[http.client.HTTPSConnection]:
    port = int(cloud.url.rsplit(":", 1)[1])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=cloud.tls, timeout=20)
    cloud.token("fuzz")
    yield connection
    connection.close()


def outcome(line: http.client.HTTPSConnection, data: bytes, sent: dict[str, str]) -> tuple[int, str]:
    line.request("POST", "/v1/ingest", data, sent)
    response = line.getresponse()
    content = response.read()
    assert response.headers[PROTOCOL_HEADER] == PROTOCOL
    if response.status == 200:
        batch.unpack_answer(content)
        return 200, ""
    return response.status, json.loads(content)["error"]["code"]


thorough = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@thorough
@given(data=st.binary(max_size=300) | ANYTHING.map(msgpack.packb) | ROWS)
def test_any_body_gets_an_answer_of_the_table(cloud: Cloud, line: http.client.HTTPSConnection, data: bytes) -> None:
    assert outcome(line, data, headers(data, cloud.token("fuzz"))) in {(200, ""), (400, "batch_invalid")}


@thorough
@given(segments=st.lists(sealed(), min_size=1, max_size=5))
def test_any_well_formed_batch_is_answered_segment_by_segment(
    cloud: Cloud, line: http.client.HTTPSConnection, segments: list[Segment]
) -> None:
    data = pack(*segments)
    assert outcome(line, data, headers(data, cloud.token("fuzz"))) == (200, "")


HEADER_VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)
HEADERS = ("content_type", "content_digest", "content_encoding", "authorization", "routerd_protocol")


@thorough
@given(others=st.dictionaries(st.sampled_from(HEADERS), HEADER_VALUE, max_size=3))
def test_any_headers_get_an_answer_of_the_table(
    cloud: Cloud, line: http.client.HTTPSConnection, others: dict[str, str]
) -> None:
    data = pack()
    assert outcome(line, data, headers(data, cloud.token("fuzz"), **others)) in TABLE | {(200, "")}


def test_the_cloud_is_well_after_all_that(cloud: Cloud, line: http.client.HTTPSConnection) -> None:
    data = pack(batch.seal(Stream("well", 1), 1, 1, packed_body([Draft(RECORD, b"x")]), ("raw", 0, b"")))
    assert outcome(line, data, headers(data, cloud.token("fuzz"))) == (200, "")
    line.request("GET", "/healthz")
    response = line.getresponse()
    assert (response.status, json.loads(response.read())["status"]) == (200, "ok")
