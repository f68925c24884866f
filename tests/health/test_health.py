"""A health document is whole and on time whatever hangs; a ping is answered within its deadline or not at all."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from routerd.health import ping
from routerd.health.document import EVERY_S, MAX_DOCUMENT_BYTES, Trouble, document, is_due, status
from routerd.health.ping import Plan
from routerd.health.probes import gather
from routerd.wire import health
from routerd.wire.commands import Command, Result

NOW_MS = 1_790_000_000_000
PING = Command("01J9Z3K4M5N6P7Q8R9S0T1V2W3", "d_1", "ping", {"deep": True}, NOW_MS, NOW_MS + 8_000, "ana", "T-1")


def test_every_field_is_there_with_its_type_or_none() -> None:
    whole = document({"queue": {"rows": 3}, "path": "ok"}, [{"id": "till-1", "link": "up"}], [], [])
    assert set(whole) == set(health.SHAPE)
    assert whole["queue"] == dict.fromkeys(whole["queue"], None) | {"rows": 3}
    assert health.read(whole) == (whole, [])


def test_errors_are_one_per_code_with_the_newest_first_and_at_most_ten() -> None:
    troubles = [Trouble(f"c.{at}", "m", at, at) for at in range(12)]
    again = [Trouble("c.11", "later\nline", 5, 99), Trouble("c.11", "x" * 500, None, None)]
    rows = document({}, [], [*troubles, *again], [])["errors"]
    assert len(rows) == 10
    assert rows[0] == {"code": "c.11", "msg": "later line", "first_ms": 5, "last_ms": 99, "count": 3}
    assert len(document({}, [], again[1:], [])["errors"][0]["msg"]) == 160


@pytest.mark.parametrize(("chars", "partial"), [(4, ["temp"]), (160, ["pos", "temp"])])
def test_a_full_document_fits_into_a_poll(chars: int, partial: list[str]) -> None:
    row = {name: "x" * chars if kind is str else 1 << 40 for name, kind in health.SHAPE["pos"].shape.items()}
    troubles = [Trouble(f"c.{at}", "m" * 160, NOW_MS, NOW_MS) for at in range(20)]
    whole = document({}, [row] * 40, troubles, ["temp"])
    assert whole["partial"] == partial
    assert 5 < len(whole["pos"]) <= health.MAX_POS
    assert len(json.dumps(whole, separators=(",", ":"))) <= MAX_DOCUMENT_BYTES


def test_a_change_of_state_is_worth_sending_and_a_counter_is_not() -> None:
    before = document({"path": "ok"}, [{"id": "till-1", "link": "up", "tlogs_total": 1}], [], [])
    counted = document({"path": "ok"}, [{"id": "till-1", "link": "up", "tlogs_total": 2}], [], [])
    down = document({"path": "ok"}, [{"id": "till-1", "link": "down", "tlogs_total": 2}], [], [])
    assert status(before) == status(counted) != status(down)


@pytest.mark.parametrize(("chance", "after_s"), [(0.0, 0.9 * EVERY_S), (0.5, EVERY_S), (1.0, 1.1 * EVERY_S)])
def test_it_is_sent_every_five_minutes_give_or_take_a_tenth(chance: float, after_s: float) -> None:
    assert is_due(100.0, 100.0 + after_s + 0.001, chance)
    assert not is_due(100.0, 100.0 + after_s - 0.001, chance)


async def test_a_probe_that_hangs_or_fails_is_named_and_the_others_count() -> None:
    hung = asyncio.Event()

    async def temp() -> Mapping[str, Any]:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            hung.set()
        return {}

    async def wan() -> Mapping[str, Any]:
        return {"up": True}

    async def wear() -> Mapping[str, Any]:
        raise OSError("no such device")

    facts, missed = await gather({"sys": temp, "wan": wan, "wear": wear}, 0.01)
    assert facts == {"wan": {"up": True}}
    assert missed == ["sys", "wear"]
    await hung.wait()
    assert document(facts, [], [], missed)["partial"] == ["sys", "wear"]
    assert await gather({}, 0.01) == ({}, [])


async def test_a_probe_with_a_bug_crashes() -> None:
    async def bug() -> Mapping[str, Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await gather({"sys": bug}, 0.01)


@pytest.mark.parametrize(
    ("late_ms", "expected"),
    [
        (0, Plan(0.5)),
        (7_500, Plan(0.25)),
        (7_900, Plan(0.0)),
        (8_000, Result(PING.id, "expired")),
        (9_000, Result(PING.id, "expired")),
    ],
)
def test_a_ping_takes_what_its_deadline_leaves(late_ms: int, expected: Plan | Result) -> None:
    assert ping.plan(PING, NOW_MS + late_ms) == expected


def test_a_plain_ping_asks_nobody() -> None:
    for args in ({}, {"deep": False}, {"deep": "yes"}):
        assert ping.plan(replace(PING, args=args), NOW_MS) == Plan(0.0)


def test_an_answer_carries_the_document() -> None:
    whole = document({}, [], [], [])
    assert ping.answer(PING, whole, 41) == Result(PING.id, "ok", 41, {"health": whole})
