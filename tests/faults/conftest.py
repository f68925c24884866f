"""A house for each test that breaks one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.spool.house import House


@pytest.fixture
async def house(tmp_path: Path, ram_dir: Path) -> AsyncIterator[House]:
    made = House(tmp_path / "data", ram_dir)
    yield made
    await made.end()
