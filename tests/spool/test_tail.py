"""What a framer had pending when the daemon ended is neither lost nor made twice."""

from routerd.spool.hot import Tail
from tests.spool.house import House, everything, total


async def test_a_tail_survives_a_kill(house: House) -> None:
    spool = await house.start()
    spool.grow_tail("serial", 0, b"half a tick")
    spool.grow_tail("serial", 6, b" ticket and more")
    await house.crash()
    spool = await house.start()
    assert spool.tail("serial") == Tail(b"half a ticket and more", 0)
    assert spool.tail("serial") == Tail(b"", 0)


async def test_a_record_stored_just_before_a_kill_is_not_made_again_from_the_tail(house: House) -> None:
    spool = await house.start()
    house.sell(1, source="serial")
    spool.cut_tail("serial", b"tick")
    spool.grow_tail("serial", 4, b"et 2\nticket 3")
    house.sell(2, source="serial")  # stored; the kill comes before the tail is cut
    await house.crash()
    for _ in range(3):  # also when the next daemons die before they read the line, and the record is long in the cloud
        spool = await house.start()
        for held, _ in await everything(spool):
            spool.settle(held)
        await house.crash()
    spool = await house.start()
    assert spool.tail("serial") == Tail(b"ticket 2\nticket 3", 1)


async def test_what_a_serial_line_had_begun_is_delivered_though_its_source_is_gone(house: House) -> None:
    spool = await house.start()
    spool.grow_tail("renamed", 0, b"half a ticket")
    await house.crash()
    spool = await house.start()
    assert spool.snapshot().counts["renamed"].queued == 1
    assert spool.tail("renamed") == Tail(b"", 0)
    await house.crash()
    spool = await house.start()
    assert total(spool)["queued"] == 1
