"""A router with a cloud of its own."""

import pytest

from tests.enroll.cloud import FakeCloud, Router
from tests.fakes.clock import FakeClock
from tests.fakes.disk import FakeDisk


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud(FakeClock())


@pytest.fixture
def router(cloud: FakeCloud) -> Router:
    return Router(cloud, FakeDisk(), cloud.clock)
