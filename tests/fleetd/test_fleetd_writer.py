"""Group commit, told with a store that commits when it is let."""

import threading
from collections.abc import Sequence

import pytest

from fleetd.sqlite_store import SqliteStore
from fleetd.store import Delivery, Receipt
from fleetd.writer import MAX_GROUP, Writer
from routerd.errors import TransientError


class GatedStore(SqliteStore):
    """Only `commit`: notes the groups it gets and waits at the gate before each."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.groups: list[list[str]] = []
        self.failing: Exception | None = None

    def commit(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        self.groups.append([delivery.device for delivery in deliveries])
        self.entered.release()
        assert self.gate.acquire(timeout=10)
        if self.failing and any(delivery.device == "bad" for delivery in deliveries):
            raise self.failing
        return [Receipt((), ()) for _ in deliveries]


def named(name: str) -> Delivery:
    return Delivery(name, 0, ())


@pytest.fixture
def store() -> GatedStore:
    return GatedStore()


@pytest.fixture
def writer(store: GatedStore) -> Writer:
    writer = Writer(store)
    writer.start()
    return writer


def test_what_waits_during_a_commit_is_the_next_commit(store: GatedStore, writer: Writer) -> None:
    futures = [writer.submit(named("first"))]
    assert store.entered.acquire(timeout=10)
    futures += [writer.submit(named(name)) for name in ("a", "b", "c")]
    assert not futures[0].done(), "nobody is answered before the commit"
    store.gate.release(2)
    assert [future.result(10) for future in futures] == [Receipt((), ())] * 4
    assert store.groups == [["first"], ["a", "b", "c"]]
    writer.close()


def test_a_group_has_a_bound(store: GatedStore, writer: Writer) -> None:
    writer.submit(named("first"))
    assert store.entered.acquire(timeout=10)
    last = [writer.submit(named("x")) for _ in range(MAX_GROUP + 1)][-1]
    store.gate.release(3)
    last.result(10)
    assert [len(group) for group in store.groups] == [1, MAX_GROUP, 1]
    writer.close()


def test_one_that_trips_a_bug_takes_no_other_along(store: GatedStore, writer: Writer) -> None:
    store.failing = ValueError("bug")
    writer.submit(named("first"))
    assert store.entered.acquire(timeout=10)
    good, bad, other = (writer.submit(named(name)) for name in ("good", "bad", "other"))
    store.gate.release(5)
    assert good.result(10) == other.result(10) == Receipt((), ())
    assert isinstance(bad.exception(10), ValueError)
    writer.close()


def test_trouble_of_the_engine_is_told_to_all_and_mends(store: GatedStore, writer: Writer) -> None:
    store.failing = TransientError("store.unavailable", "disk full")
    store.gate.release(3)
    assert isinstance(writer.submit(named("bad")).exception(10), TransientError)
    assert not writer.alive
    store.failing = None
    assert writer.submit(named("bad")).result(10) == Receipt((), ())
    assert writer.alive
    writer.close()
    assert not writer.alive


def test_closing_commits_what_is_queued_and_takes_no_more(store: GatedStore, writer: Writer) -> None:
    futures = [writer.submit(named("first"))]
    assert store.entered.acquire(timeout=10)
    futures.append(writer.submit(named("queued")))
    store.gate.release(2)
    writer.close()
    assert all(future.done() for future in futures)
    with pytest.raises(TransientError):
        writer.submit(named("late"))
