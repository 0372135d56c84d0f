"""One rendering for each file of values."""

import pytest

from tests.tools.chart.helm import VALUES, Helm, Rendered


@pytest.fixture(scope="session")
def texts(helm: Helm) -> dict[str, str]:
    """What the chart renders, by name of the values."""
    return {name: helm.rendered("--values", path) for name, path in VALUES.items()}


@pytest.fixture(scope="session")
def renderings(texts: dict[str, str]) -> dict[str, Rendered]:
    """The same, read."""
    return {name: Rendered.of(text) for name, text in texts.items()}
