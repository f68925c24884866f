"""The golden vectors rule: what they say is what travels, whatever the code thinks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from routerd.model import Document, Draft, Gap, Run, Stamp, Stream
from routerd.wire import batch, body, codec

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "wire-v1.json").read_text("utf-8"))
STREAM = Stream(**VECTORS["stream"])
DICTIONARY = bytes.fromhex(VECTORS["dictionary_hex"])
BOOK = codec.Codebook({VECTORS["dictionary_id"]: DICTIONARY})


def drafts() -> list[tuple[Draft, int]]:
    rows = VECTORS["records"]
    return [
        (Draft(r["kind"], bytes.fromhex(r["data_hex"]), r["identity"], r["pos_time"], r["pos_kind"]), r["since_ms"])
        for r in rows
    ]


def test_a_body_is_packed_as_the_vector_says() -> None:
    packed = body.pack_head(Stamp(**VECTORS["head"])) + b"".join(body.pack_record(*row) for row in drafts())
    assert packed.hex() == VECTORS["body_hex"]


@pytest.mark.parametrize("name", VECTORS["segments"])
def test_a_segment_of_the_vector_is_read_whatever_its_codec(name: str) -> None:
    vector = VECTORS["segments"][name]
    [segment] = batch.unpack_segments(bytes.fromhex(vector["hex"]))
    info = segment.info
    assert (info.stream, info.first_seq, info.count) == (STREAM, VECTORS["first_seq"], VECTORS["count"])
    assert (info.codec, info.dict_id, info.crc) == (vector["codec"], vector["dict_id"], vector["crc"])
    assert batch.is_intact(segment)
    content = BOOK.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
    assert content.hex() == VECTORS["body_hex"]
    found = list(body.records(content, info.stream, info.first_seq))
    assert [record.draft for record in found] == [draft for draft, _ in drafts()]


def test_a_raw_segment_and_its_batch_are_packed_as_the_vector_says() -> None:
    content = bytes.fromhex(VECTORS["body_hex"])
    segment = batch.seal(STREAM, VECTORS["first_seq"], VECTORS["count"], content, ("raw", 0, content))
    packed = batch.pack_segment(segment)
    assert packed.hex() == VECTORS["segments"]["raw-00000000"]["hex"]
    assert batch.pack_batch([packed]).hex() == VECTORS["batch_hex"]


def test_a_dictionary_is_named_as_the_vector_says() -> None:
    assert codec.dictionary_id(DICTIONARY) == VECTORS["dictionary_id"]


def test_a_document_is_packed_as_the_vector_says() -> None:
    said = VECTORS["document"]
    document = Document(said["name"], said["frames"], tuple(Run(*row) for row in said["runs"]))
    assert body.document_draft(document) == drafts()[4][0]
    assert body.unpack_document(drafts()[4][0].data) == document


def test_a_gap_and_an_answer_are_packed_as_the_vector_says() -> None:
    fields = dict(VECTORS["gap"])
    stream = Stream(fields.pop("source"), fields.pop("epoch"))
    assert body.unpack_gap(drafts()[3][0].data) == Gap(stream, **fields)
    said = VECTORS["answer"]
    acks = tuple(batch.Ack(STREAM, *row) for row in said["acks"])
    answer = batch.Answer(acks, ((STREAM, said["processed"]),), tuple(said["codecs"]), tuple(said["dicts"]))
    answer = replace(answer, orders=tuple(batch.Order(*row) for row in said["orders"]))
    assert batch.pack_answer(answer).hex() == VECTORS["answer_hex"]
    assert batch.unpack_answer(bytes.fromhex(VECTORS["answer_hex"])) == answer
