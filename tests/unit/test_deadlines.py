"""Settings that have to fit together, and how long a worker may take to stop."""

import pytest

from boxoffice.cli import serve
from boxoffice.errors import SettingsInvalid
from boxoffice.settings import Settings, load


def test_the_defaults_fit_together() -> None:
    assert load({}) == Settings()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"STATEMENT_TIMEOUT_MS": "7000"}, "UNKNOWN_OUTCOME_TIMEOUT_MS"),
        ({"UNKNOWN_OUTCOME_TIMEOUT_MS": "6000"}, "STATEMENT_TIMEOUT_MS"),
        ({"REQUEST_TIMEOUT_MS": "8000", "BODY_TIMEOUT_MS": "100"}, "REQUEST_TIMEOUT_MS"),
        ({"BATCH_ISOLATION_TIMEOUT_MS": "11000"}, "BATCH_ISOLATION_TIMEOUT_MS"),
        ({"BATCH_ISOLATION_TIMEOUT_MS": "500"}, "LOCK_TIMEOUT_MS"),
    ],
)
def test_a_request_outlives_its_parts(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid, match=named):
        load({f"BOXOFFICE_{name}": value for name, value in given.items()})


def test_a_worker_has_time_for_both_halves_of_its_drain() -> None:
    settings = Settings().replace(drain_delay_ms=2_000, drain_timeout_ms=7_000)
    assert serve.stop_timeout_s(settings) > 2 + 2 * 7
