"""What many tests share: places to write to, of the kinds a router has."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None, max_examples=60)  # slow machines fail no property
settings.load_profile("house")


@pytest.fixture
def ram_dir() -> Iterator[Path]:
    """A directory on a RAM disk, as the hot tier wants it."""
    path = Path(tempfile.mkdtemp(prefix="routerd-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
