"""Every test also checks that no exception is lost and reported by the event loop."""

from pathlib import Path

import pytest

from tests.support.batching import limit_time, nothing_unretrieved

__all__ = ["nothing_unretrieved"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of each test of this folder."""
    limit_time(items, Path(__file__).parent)
