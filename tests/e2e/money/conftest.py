"""A till for each test: processes of the product, simulated providers, and a sale."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boxoffice.settings import Settings
from tests.support.simulators import Simulators
from tests.support.till import Till, open_till


@pytest.fixture
async def till(settings: Settings, simulators: Simulators, tmp_path: Path) -> AsyncIterator[Till]:
    """A sale of eight seats; the test starts the processes."""
    async with open_till(settings, simulators, tmp_path) as one:
        yield one
