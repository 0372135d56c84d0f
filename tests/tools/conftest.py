"""Programs that several of these tests need."""

import pytest

from tests.programs import packed_program
from tests.tools.chart.helm import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The real Helm, unpacked once."""
    return Helm(packed_program("helm", tmp_path_factory.mktemp("helm")))
