"""Local times that exist once, twice, or not at all."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxoffice.errors import Invalid
from boxoffice.venues.errors import LocalTimeAmbiguous, LocalTimeSkipped
from boxoffice.venues.rules import LocalTime, instants, resolve, zone_named

NEW_YORK = ZoneInfo("America/New_York")
SEOUL = ZoneInfo("Asia/Seoul")


@pytest.mark.parametrize(
    ("local", "fold", "zone", "utc"),
    [
        ("2026-07-04T19:00", None, SEOUL, "2026-07-04T10:00+00:00"),
        ("2026-07-04T19:00:30", None, SEOUL, "2026-07-04T10:00:30+00:00"),
        ("2026-11-01T01:30", 0, NEW_YORK, "2026-11-01T05:30+00:00"),
        ("2026-11-01T01:30", 1, NEW_YORK, "2026-11-01T06:30+00:00"),
        ("2026-11-01T01:30-05:00", None, NEW_YORK, "2026-11-01T06:30+00:00"),
        # A time that exists once needs no choice, and a choice changes nothing.
        ("2026-11-01T03:30", 1, NEW_YORK, "2026-11-01T08:30+00:00"),
    ],
)
def test_a_local_time_names_an_instant(
    local: str, fold: int | None, zone: ZoneInfo, utc: str
) -> None:
    given_time = LocalTime(local=local, fold=fold)  # type: ignore[arg-type]
    assert resolve("starts_at", given_time, zone) == datetime.fromisoformat(utc)


def test_an_instant_stays() -> None:
    at = datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert resolve("starts_at", at, NEW_YORK) is at


def test_a_skipped_time_is_refused_with_those_around_it() -> None:
    with pytest.raises(LocalTimeSkipped) as refused:
        resolve("starts_at", LocalTime(local="2026-03-08T02:30"), NEW_YORK)
    assert refused.value.extra["choices"] == [
        "2026-03-08T01:30:00-05:00",
        "2026-03-08T03:30:00-04:00",
    ]
    assert refused.value.extra["errors"][0]["path"] == "$.starts_at"  # type: ignore[index]


def test_a_time_that_exists_twice_needs_a_choice() -> None:
    with pytest.raises(LocalTimeAmbiguous) as refused:
        resolve("starts_at", LocalTime(local="2026-11-01T01:30"), NEW_YORK)
    assert refused.value.extra["choices"] == [
        "2026-11-01T01:30:00-04:00",
        "2026-11-01T01:30:00-05:00",
    ]


@pytest.mark.parametrize(
    "local", ["2026-11-01T01:30-06:00", "2026-02-30T01:00", "1999-01-01T00:00", "2026-01-01T24:01"]
)
def test_what_is_no_time_of_the_venue_is_refused(local: str) -> None:
    with pytest.raises(Invalid):
        resolve("starts_at", LocalTime(local=local), NEW_YORK)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2036, 1, 1)),  # noqa: DTZ001 - times of clocks
    st.sampled_from(["America/New_York", "Asia/Seoul", "Australia/Lord_Howe", "Europe/London"]),
)
def test_instants_show_the_local_time_and_their_neighbours_are_counted(
    wall: datetime, name: str
) -> None:
    zone = ZoneInfo(name)
    found = instants(wall, zone)
    assert len(found) <= 2
    for one in found:
        assert one.astimezone(zone).replace(tzinfo=None, fold=0) == wall
    # Every instant of the day around it that shows this time is found.
    start = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    shown = {
        start + timedelta(minutes=30 * half)
        for half in range(60)
        if (start + timedelta(minutes=30 * half)).astimezone(zone).replace(tzinfo=None, fold=0)
        == wall
    }
    assert shown <= set(found)


def test_only_zones_of_the_database_have_a_name() -> None:
    assert zone_named("Asia/Seoul") == SEOUL
    assert [zone_named(name) for name in ("Asia/Nowhere", "../etc/passwd", "")] == [None] * 3
