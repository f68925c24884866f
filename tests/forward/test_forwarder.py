"""What each answer does to what waits: only an ack removes, the blamed segment goes aside, the rest goes on."""

from routerd.cloud import Reply
from routerd.model import Segment
from routerd.wire import codec
from routerd.wire.answers import Meaning, Reaction, meaning
from tests.forward.room import BOOK, Room, refused, stored, waiting


async def test_an_ack_settles_and_the_watermark_is_passed_on() -> None:
    room = Room()
    await room.send(waiting(1), waiting(2))
    assert room.outbox.settled == [1, 2]
    assert room.outbox.processed == [2]
    assert room.cloud.batches == [[1, 2]]
    assert room.forwarder.snapshot().state == "online"


async def test_a_segment_without_an_ack_is_sent_again() -> None:
    room = Room(lambda segments: stored(segments[:1]))
    await room.send(waiting(1), waiting(2))
    assert room.cloud.batches == [[1, 2], [2]]
    assert room.outbox.settled == [1, 2]


async def test_an_invalid_segment_goes_aside_and_the_others_go_on() -> None:
    room = Room(lambda segments: stored(segments, invalid=2))
    await room.send(waiting(1), waiting(2), waiting(3))
    assert (room.outbox.settled, room.outbox.quarantined) == ([1, 3], [2])


async def test_an_unreadable_batch_is_split_until_the_one_to_blame_stands_alone() -> None:
    def judge(segments: list[Segment]) -> Reply:
        bad = any(segment.info.first_seq == 3 for segment in segments)
        return refused(400, "batch_invalid")(segments) if bad else stored(segments)

    room = Room(*[judge] * 20)
    await room.send(*[waiting(number) for number in range(1, 6)])
    assert sorted(room.outbox.settled) == [1, 2, 4, 5]
    assert room.outbox.quarantined == [3]


async def test_a_batch_too_large_is_halved() -> None:
    room = Room(refused(413, "too_large"))
    await room.send(*[waiting(number) for number in range(1, 5)])
    assert room.cloud.batches[:3] == [[1, 2, 3, 4], [1, 2], [3, 4]]
    assert room.outbox.settled == [1, 2, 3, 4]


async def test_a_codec_the_cloud_cannot_read_is_sent_plain_under_the_same_numbers() -> None:
    room = Room(refused(415))
    await room.send(waiting(7, codec.ZSTD))
    assert room.cloud.batches == [[7], [7]]
    assert room.cloud.codecs == [codec.ZSTD, codec.ZLIB]
    assert room.outbox.settled == [7]
    assert room.outbox.codec == codec.ZLIB


async def test_the_best_codec_both_sides_know_is_used_from_the_first_answer_on() -> None:
    room = Room()
    await room.send(waiting(1))
    assert room.outbox.codec == BOOK.codecs[0]


async def test_refusals_delete_nothing_wait_long_and_say_what_to_do() -> None:
    for status, code in ((401, "key_unknown"), (403, "device_disabled"), (426, "protocol_major")):
        room = Room(refused(status, code))
        await room.fail_once(waiting(1))
        snapshot = room.forwarder.snapshot()
        assert (snapshot.state, room.outbox.settled, room.outbox.quarantined) == ("held", [], [])
        assert snapshot.next_try_s >= 120
        assert len(room.outbox.live) == 1
        assert not room.outbox.reachable


async def test_a_told_wait_is_kept_to_the_second() -> None:
    room = Room(refused(503, "busy", 77.0))
    await room.fail_once(waiting(1))
    assert room.forwarder.snapshot().next_try_s == 77.0
    assert room.codes() == {"cloud.busy"}


async def test_silence_is_retried_and_the_condition_cleared_when_an_ack_comes() -> None:
    lost = Meaning(Reaction.RETRY, "cloud.unreachable", "check the line")
    room = Room(lambda _: Reply(lost), lambda _: Reply(lost))
    await room.send(waiting(1))
    assert room.cloud.batches == [[1], [1], [1]]
    assert room.codes() == set()
    assert room.outbox.reachable


async def test_an_answer_that_does_not_decode_is_nobodys_ack() -> None:
    room = Room(lambda _: Reply(meaning(200, "", "1.0"), b"<html>"))
    room.forwarder = room.make(lambda: 0.999)  # a wait in which the test can look
    await room.fail_once(waiting(1))
    assert room.codes() == {"cloud.captive"}
    assert room.outbox.settled == []
