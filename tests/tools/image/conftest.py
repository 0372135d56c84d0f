"""The image, built once for the tests that run it."""

from collections.abc import Iterator

import pytest

from drills.containers import Engine, engine, unfit


@pytest.fixture(scope="session")
def image() -> Iterator[Engine]:
    """An engine with the image on a stand-in for its base; half a minute on an idle machine."""
    if why := unfit():
        pytest.skip(why)
    with engine() as opened:
        opened.make_image()
        yield opened
