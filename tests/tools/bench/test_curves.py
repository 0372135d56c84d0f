"""The curves: laws that are fitted, where they break, the charts and the page."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.closed_reservations import MeasuredSchedule, measure
from bench.curves import page
from bench.curves.laws import CurvePoint, LawForm, balance, fit, full_core, grown
from bench.curves.scenarios import spread
from boxoffice.platform.ids import new_id
from boxoffice.settings import Settings

ROOT = Path(__file__).parents[3]
XS = (1.0, 2.0, 4.0, 8.0, 64.0)


@pytest.mark.parametrize("form", list(LawForm))
def test_a_law_is_found_again_from_its_own_points(form: LawForm) -> None:
    law = fit([(x, 100.0 + 40.0 * form.term(x)) for x in XS], form)
    assert law.fixed == pytest.approx(100.0)
    assert law.slope == pytest.approx(40.0)
    assert law.error == pytest.approx(0.0, abs=1e-9)


def test_the_error_of_a_law_is_the_mean_distance_of_the_points() -> None:
    law = fit([(0.0, 90.0), (0.0, 110.0), (1.0, 90.0), (1.0, 110.0)], LawForm.LINE)
    assert law.error == pytest.approx((10 / 90 + 10 / 110) / 2)


def test_both_terms_of_a_law_are_equal_at_its_balance() -> None:
    inverse = fit([(x, 50.0 + 400.0 / x) for x in XS], LawForm.INVERSE)
    assert balance(inverse) == pytest.approx(8.0)
    line = fit([(x, 80.0 + 20.0 * x) for x in XS], LawForm.LINE)
    assert balance(line) == pytest.approx(4.0)
    assert balance(fit([(1.0, 10.0), (2.0, 9.0)], LawForm.LINE)) is None


def test_a_cost_has_grown_by_a_tenth_where_the_law_says_so() -> None:
    law = fit([(x, 100.0 + 1.0 * LawForm.LOGARITHM.term(x)) for x in XS], LawForm.LOGARITHM)
    at = grown(law, 1.0)
    assert at is not None
    assert law.at(at) == pytest.approx(1.1 * law.at(1.0))
    flat = fit([(1.0, 100.0), (1_000_000.0, 99.0)], LawForm.LOGARITHM)
    assert grown(flat, 1.0) is None


def test_a_core_is_full_where_the_cost_of_a_second_reaches_a_second() -> None:
    law = fit([(0.0, 1_000.0), (100.0, 1_100.0)], LawForm.LINE)
    at = full_core(law, 200.0)
    assert at == pytest.approx(4_000.0)
    assert 200.0 * law.at(4_000.0) == pytest.approx(1_000_000.0)
    assert full_core(fit([(0.0, 9.0), (9.0, 9.0)], LawForm.LINE), 200.0) is None


def test_polls_are_spread_evenly_between_the_holds() -> None:
    mixed = spread([b"hold"] * 10, [b"a", b"b", b"c"], 1.5)
    assert mixed[:6] == [b"hold", b"a", b"hold", b"b", b"c", b"hold"]
    assert len(mixed) == 25
    assert spread([b"hold"] * 3, [], 0.0) == [b"hold"] * 3


def _curves() -> dict[str, list[CurvePoint]]:
    points = [CurvePoint(x, 100.0 + x, 30.0 + x / 2, 1.0) for x in (1.0, 10.0, 1_000_000.0)]
    return {one.name: points for one in page.texts().pages}


def test_the_page_has_a_chart_a_law_and_a_limit_for_each_curve() -> None:
    text = page.markdown(_curves(), {"date": "2026-11-30"})
    drawn = page.images(_curves())
    for one in page.texts().pages:
        assert f"## {one.title}\n" in text
        assert f"({page.IMAGES}/{one.name}.svg)" in text
        root = ET.fromstring(drawn[f"{one.name}.svg"])  # noqa: S314 — made here
        assert root.get("aria-label") == one.title
        assert "prefers-color-scheme:dark" in drawn[f"{one.name}.svg"]
    assert text.count("| 1,000,000 | 1,000,100 | 500,030 | 1 |") == len(drawn)


def test_the_page_in_the_tree_has_all_of_its_charts() -> None:
    written = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")
    for one in page.texts().pages:
        assert f"## {one.title}\n\n{one.why}" in written
        assert (ROOT / "docs" / page.IMAGES / f"{one.name}.svg").is_file()


async def test_holds_beside_history_are_measured_in_turns(settings: Settings) -> None:
    schedules = [MeasuredSchedule(f"{one}", new_id(), closed=one) for one in (0, 40)]
    await measure(settings, schedules, batches=3)
    for schedule in schedules:
        assert len(schedule.cpu_s) == 3
        assert schedule.median_us > 0
