"""The report in both languages: complete, self-contained, and shown in a real browser."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from boxoffice_loadtest import model, output
from boxoffice_loadtest.analysis import sizing
from boxoffice_loadtest.model import ExpectedSale, Inconclusive, LoadTestRun
from boxoffice_loadtest.report import charts, report
from boxoffice_loadtest.report.blocks import Chart, Series, number, shown
from boxoffice_loadtest.report.texts import LANGUAGES, load
from tests.tools.loadtest import samples

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
SALE = ExpectedSale(users=200_000, seats=20_000, sell_out_s=60.0)


def _whole() -> LoadTestRun:
    return sizing.sized(samples.run(), None, SALE, 2)


def reference_run() -> LoadTestRun:
    """Return a run of every scenario, with as many steps and kinds of requests as a full run has."""
    names = ("lookup", "reserve", "pay", "onsale", "spike", "queue", "steps")
    kinds = ("concerts", "schedules", "seats", "hold", "pay", "release", "queue", "queue_join")
    steps = [samples.step(100.0 * 2 ** (number / 2)) for number in range(12)]
    found = []
    for name in names:
        one = samples.scenario(name, **({"steps": steps} if name == "steps" else {}))
        more = [msgspec.structs.replace(one.requests[0], request=kind) for kind in kinds]
        found.append(msgspec.structs.replace(one, requests=more))
    return sizing.sized(samples.run(scenarios=found), None, SALE, 2)


def _empty() -> LoadTestRun:
    """Return a run that was stopped before anything was measured."""
    return LoadTestRun(
        run_id="lt00", started_at="2026-11-24T09:00:00+00:00", command="boxoffice loadtest",
        seconds=1.0, stopped="interrupted", target="http://shop", is_quick=True, environment={},
        not_sampled=["processes", "database", "valkey"], scenarios=[], samples=[], audit=None,
    )  # fmt: skip


def test_both_languages_have_the_same_sentences_with_the_same_places() -> None:
    english, korean = (load(lang).sentences for lang in ("en", "ko"))
    assert set(english) == set(korean)
    for key, sentence in english.items():
        places = [set(re.findall(r"{(\w+)}", text)) for text in (sentence, korean[key])]
        assert places[0] == places[1], key
    hangul = [key for key, text in korean.items() if re.search("[가-힣]", text)]
    assert len(hangul) > 0.8 * len(korean)
    with pytest.raises(ValueError, match="no texts in 'fr'"):
        load("fr")


def test_every_sentence_is_used_somewhere() -> None:
    folder = Path(report.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))
    made = ("remark.", "metric.", "finding.", "code.", "because.", "inconclusive.", "unseen.", "limit.",
            "kind.", "component.", "scenario.", "about.", "peak.", "confidence.", "cpu_limit.", "col.",
            "outcome.", "stopped.", "counter.", "chart.", "deployment.", "series.")  # fmt: skip
    unused = [
        key for key in load("en").sentences if f'"{key}"' not in code and not key.startswith(made)
    ]
    assert not unused


def test_every_kind_of_thing_has_its_sentence() -> None:
    from boxoffice_loadtest.analysis import comparison  # noqa: PLC0415 — what is tested
    from boxoffice_loadtest.runner import plan  # noqa: PLC0415 — what is tested

    t = load("ko")
    kinds = (*comparison.BROKEN, *comparison.EXPLAINED)
    assert all(t.has(f"finding.{kind}") for kind in kinds)
    names = (*plan.ALL, model.VALIDATION)
    assert all(t.has(f"scenario.{name}") and t.has(f"about.{name}") for name in names)
    assert all(t.has(f"kind.{kind}") for kind in model.KINDS)
    thresholds = samples.run().thresholds
    assert all(t.has(f"remark.{one.remark}") for one in thresholds)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("make", [_whole, _empty])
def test_a_report_asks_for_nothing_from_outside(lang: str, make: object) -> None:
    page = report.as_html(make(), lang, samples.run())  # type: ignore[operator]
    addresses = set(re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page))
    # The contents lead to sections of the same page.
    assert {one for one in addresses if not one.startswith("#")} == {"data:,"}
    assert "<script" not in page
    assert f'<html lang="{lang}">' in page
    _WellFormed().check(page)


class _WellFormed(HTMLParser):
    """Refuses tags that are not closed in order."""

    _VOID = frozenset({"meta", "link", "br", "line", "circle", "rect", "path"})

    def check(self, page: str) -> None:
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Ignore self-closing tags."""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.mark.parametrize("lang", LANGUAGES)
def test_html_and_markdown_say_the_same(lang: str) -> None:
    run = _whole()
    page, text = report.as_html(run, lang), report.as_markdown(run, lang)
    t = load(lang)
    names = (
        "thresholds",
        "steps",
        "costs",
        "deployment",
        "sale",
        "prediction",
        "findings",
        "limits",
    )
    for key in (f"section.{name}" for name in names):
        assert f"<h2>{escape(t(key))}</h2>" in page
        assert f"## {t(key)}\n" in text
    assert page.count("<table>") == len(re.findall(r"^\| [-: |]+\|$", text, re.MULTILINE))
    assert "200,000" in page
    assert "200,000" in text


def test_what_users_write_is_text_and_not_markup() -> None:
    page = report.as_html(samples.run(command="boxoffice loadtest <script>alert(1)</script>"), "en")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_partial_report_says_so_first() -> None:
    text = report.as_markdown(samples.run(stopped="interrupted"), "ko")
    assert text.split("\n\n")[1].startswith("**이 보고서는 일부만 담고 있습니다")


def test_each_refusal_is_told_with_its_figures() -> None:
    one = Inconclusive(
        subject="knee", reason="generator_full", details={"share": 91.0, "sustained": 1234.0}
    )
    text = report.as_markdown(samples.run(inconclusive=[one]), "en")
    assert "The knee: k6 itself used 91 % of all cores" in text
    assert "1,234 answers per second were sustained" in text


def test_a_soak_tells_whether_memory_grows() -> None:
    grown = [
        samples.sample(float(at), memory_mib={"api-1": 70.0 + at / 60, "postgres": 200.0})
        for at in range(1, 20)
    ]
    soaked = [samples.scenario("soak", seconds=18.0)]
    text = report.as_markdown(samples.run(scenarios=soaked, samples=grown), "en")
    assert "Memory of API: 60.0 MiB per hour (60.0 to 60.0)" in text
    assert "Memory of PostgreSQL: 0.0 MiB per hour" in text
    assert "MiB per hour" not in report.as_markdown(samples.run(samples=grown), "en")


def test_a_baseline_shows_what_changed() -> None:
    before = samples.run(started_at="2026-11-01T00:00:00+00:00")
    text = report.as_markdown(samples.run(), "en", before)
    assert "Against the run of 2026-11-01T00:00:00+00:00" in text
    assert "| Knee, answers per second | 800 | 800 | +0 % |" in text


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = _whole()
    output.write(run, tmp_path, "en")
    again = output.read(tmp_path / "report.json")
    assert again.deployment == run.deployment
    assert again.thresholds == run.thresholds


def test_lines_differ_by_more_than_their_colour() -> None:
    series = [Series(f"line {n}", [(0.0, 1.0), (1.0, 2.0)]) for n in range(4)]
    drawn = charts.svg(Chart("title", "x", series))
    assert len(set(re.findall(r'stroke-dasharray="([^"]+)"', drawn))) == 3
    assert (
        len({mark for mark in ("<circle", "<rect", "l4 7h-8z", "l4 4-4 4-4-4z") if mark in drawn})
        == 4
    )


def test_ticks_are_round_and_hold_the_values() -> None:
    assert charts.ticks(0, 97) == [0, 20, 40, 60, 80, 100]
    assert charts.ticks(0, 0.9)[-1] >= 0.9
    assert charts.ticks(3, 3)[0] <= 3


def test_a_long_line_is_thinned_without_losing_its_peak() -> None:
    points = [(float(x), 1.0) for x in range(5_000)]
    points[3_333] = (3_333.0, 99.0)
    thin = charts.thinned(points)
    assert len(thin) <= 240
    assert max(y for _, y in thin) == 99.0


def test_a_chart_without_points_is_left_out() -> None:
    assert charts.svg(Chart("title", "x", [Series("line", [])])) == ""


def test_numbers_are_written_for_people() -> None:
    assert [number(x) for x in (1234.5, 56.78, 3.14159, 0.0)] == ["1,234", "56.8", "3.14", "0.00"]
    assert shown({"a": 3.0, "b": 0.251, "c": "x"}) == {"a": "3", "b": "0.25", "c": "x"}


# What Chromium asks for by itself, whatever it shows.
_ITS_OWN = (".google.com", ".gvt1.com", ".googleapis.com", "//google.com")


@pytest.fixture
def open_page(tmp_path: Path) -> Callable[[Path], tuple[str, set[str]]]:
    """Show a file in a real browser; return its console and the addresses that it asked for."""
    if not CHROMIUM:
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")

    def open_it(page: Path) -> tuple[str, set[str]]:
        net_log, shot = tmp_path / "net.json", tmp_path / "shot.png"
        argv = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={net_log}", "--window-size=400,2000", f"--screenshot={shot}",
            page.as_uri(),
        ]  # fmt: skip
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr[-2000:]
        assert shot.stat().st_size > 1_000
        console = "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)
        found = set(re.findall(r'"url":"(https?://[^"/]+)', net_log.read_text(errors="replace")))
        return console, {url for url in found if not url.endswith(_ITS_OWN)}

    return open_it


OpenPage = Callable[[Path], tuple[str, set[str]]]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_browser_shows_it_without_errors_or_requests(
    open_page: OpenPage, tmp_path: Path, lang: str
) -> None:
    output.write(_whole(), tmp_path, lang)
    assert open_page(tmp_path / "report.html") == ("", set())


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_prints_on_four_pages(tmp_path: Path, lang: str) -> None:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed; `apt-get install chromium` brings it")
    page, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(report.as_html(reference_run(), lang), encoding="utf-8")
    argv = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--no-pdf-header-footer", f"--user-data-dir={tmp_path / 'profile'}",
        f"--print-to-pdf={printed}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(argv, capture_output=True, timeout=120, check=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) <= 4


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_opens_with_verdict_figures_charts_and_contents(lang: str) -> None:
    t = load(lang)
    page = report.as_html(reference_run(), lang)
    opening = page[: page.index(f"<h2>{escape(t('section.overview'))}</h2>")]
    assert opening.index(t("passed")) < opening.index('class="tiles"') < opening.index("<figure")
    assert opening.count('<div class="tile good">') == 6
    assert opening.count('<figure class="headline">') == 3
    links = re.findall(r'<a href="#([^"]+)">', opening)
    assert len(links) > 8
    assert links == re.findall(r'<a id="([^"]+)"></a><h2>', page)
    # Every line has a shade for dark paper, which a print does not use.
    for place in range(len(charts.COLOURS)):
        assert f".line-{place} {{ stroke:" in page
        assert f".mark-{place} {{ fill:" in page
    assert "@media screen and (prefers-color-scheme: dark)" in page


def test_a_page_that_asks_and_errs_would_be_noticed(open_page: OpenPage, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://outside.test/x.png'><script>nothing()</script>")
    console, asked = open_page(page)
    assert "nothing is not defined" in console
    assert asked == {"http://outside.test"}
