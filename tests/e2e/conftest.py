"""A cloud and a router for each end-to-end test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.router import Router
from tests.fleetd.kit import Cloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    prepared = Cloud.prepare(tmp_path_factory.mktemp("fleet"))
    with prepared.running():
        yield prepared


@pytest.fixture
def router(tmp_path: Path, ram_dir: Path) -> Iterator[Router]:
    made = Router(tmp_path, ram_dir, "")
    yield made
    made.end()
