"""One fleetd per file for the tests that only talk to it; each takes a device of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetd import sqlite_schema
from fleetd.enroll.registry import Registry
from fleetd.enroll.sqlite_registry import SqliteRegistry
from fleetd.sqlite_store import SqliteStore
from fleetd.store import Store
from tests.fleetd.enroll_kit import OpenRegistry, prepare
from tests.fleetd.kit import Cloud, device

OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the same store again and again, each time as another process would; knows the devices r1 and r2."""
    path = tmp_path / "fleet.db"
    sqlite_schema.create(path)
    opened: list[Store] = []

    def opening() -> Store:
        opened.append(SqliteStore(path))
        return opened[-1]

    first = opening()
    first.add_device(device("r1"))
    first.add_device(device("r2"))
    yield opening
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    prepared = Cloud.prepare(tmp_path_factory.mktemp("fleet"))
    with prepared.running():
        yield prepared


@pytest.fixture(params=["sqlite"])
def open_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenRegistry]:
    """Opens the same registry again and again, each time as another process would."""
    opened: list[Registry] = []

    def opening() -> Registry:
        opened.append(SqliteRegistry(tmp_path / "registry.db"))
        return opened[-1]

    yield opening
    for one in opened:
        one.close()


@pytest.fixture
def held(open_registry: OpenRegistry) -> Registry:
    """Knows two tenants and a claim of each."""
    return prepare(open_registry())
