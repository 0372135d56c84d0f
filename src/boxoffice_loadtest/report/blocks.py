"""The blocks of a report, before they become HTML or Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `tone` is empty, `good`, `bad` or `note`."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: list[str]


@dataclass(frozen=True)
class Table:
    """A table; columns in `numeric` are right-aligned. `outcome` is the column with signs and tones.

    `is_detail`: a print leaves it out.
    """

    columns: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()
    outcome: int | None = None
    tones: list[str] = field(default_factory=list)
    is_detail: bool = False


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    name: str
    points: list[tuple[float, float]]
    is_dots: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines with a common x axis, which may be logarithmic (of 1 + x, so that 0 is on it).

    It is one of the first page, or one that a print leaves out.
    """

    title: str
    x_name: str
    series: list[Series]
    is_headline: bool = False
    is_detail: bool = False
    x_is_log: bool = False


@dataclass(frozen=True)
class Tile:
    """A figure of the first page: its name, its value, and the bound that it is measured against."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Tiles:
    """The headline figures."""

    items: list[Tile]


@dataclass(frozen=True)
class Contents:
    """A list of the sections that follow."""

    title: str


Block = Heading | Paragraph | Bullets | Table | Chart | Tiles | Contents


def number(value: float, digits: int | None = None) -> str:
    """Format a number: three significant digits, thousands separated."""
    if digits is None:
        digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def shown(details: Mapping[str, float | str]) -> dict[str, str]:
    """Format the values of a sentence: whole numbers without a fraction."""
    return {
        name: value if isinstance(value, str) else number(value, 0 if value == int(value) else 2)
        for name, value in details.items()
    }


def percent(share: float, digits: int = 0) -> str:
    """Format a share as a percentage."""
    return f"{100 * share:.{digits}f} %"
