"""Every accent colour has a shade that can be read, and one that can be read already stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.brands.rules import (
    CONTRAST_MIN,
    DARK_GROUNDS,
    LIGHT_GROUNDS,
    contrast,
    dark_shade,
    light_shade,
)

COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#ffffff", "#ffffff", 1.0)],
)
def test_the_contrast_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@given(COLOURS)
def test_shades_can_be_read_on_their_grounds(colour: str) -> None:
    assert all(contrast(light_shade(colour), one) >= CONTRAST_MIN for one in LIGHT_GROUNDS)
    assert all(contrast(dark_shade(colour), one) >= CONTRAST_MIN for one in DARK_GROUNDS)


def test_what_can_be_read_stays_as_it_is() -> None:
    assert light_shade("#0b6e69") == "#0b6e69"
    assert dark_shade("#4cc3b8") == "#4cc3b8"
    assert light_shade("#ffe100") != "#ffe100"
    assert dark_shade("#101060") != "#101060"


def test_the_grounds_are_those_of_the_pages() -> None:
    from importlib.resources import files  # noqa: PLC0415 — of this test alone

    css = files("boxoffice.web").joinpath("static/css/1-tokens.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark")
    for part, grounds in ((light, LIGHT_GROUNDS), (dark, DARK_GROUNDS)):
        shown = {line.split()[1].rstrip(";") for line in part.splitlines()
                 if line.split()[:1] in (["--paper:"], ["--sheet:"])}  # fmt: skip
        assert shown == set(grounds)
