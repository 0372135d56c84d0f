"""The demo's payment providers: simulated where none has keys, and every process has the same keys."""

from pathlib import Path

import pytest

from boxoffice.settings import Settings, load
from boxoffice_embedded.simulated_providers import environment, simulate


def test_a_demo_has_simulated_providers_with_keys_of_its_own(tmp_path: Path) -> None:
    first = simulate(Settings(), tmp_path)
    second = simulate(Settings(), tmp_path)
    assert [one.name for one in first.processes] == ["toss", "stripe"]
    given = first.settings.providers
    assert given.toss_secret_key != second.settings.providers.toss_secret_key
    for one, secret in zip(
        first.processes, (given.toss_secret_key, given.stripe_secret_key), strict=True
    ):
        assert one.env["SIMULATOR_SECRET_KEY"] == secret
        assert secret not in " ".join(one.command), "other users of the machine read commands"
        assert one.env["SIMULATOR_WEBHOOK_URL"] == f"http://127.0.0.1:8000/v1/webhooks/{one.name}"
    ports = {
        given.toss_api_url,
        given.stripe_api_url,
        *(one.control_url for one in first.processes),
    }
    assert len(ports) == 4


def test_the_processes_of_the_shop_read_the_same_settings(tmp_path: Path) -> None:
    given = simulate(Settings(), tmp_path).settings.providers
    assert load(dict(environment(given))).providers == given


def test_the_addresses_follow_the_shop(tmp_path: Path) -> None:
    found = simulate(Settings.of(host="::1", port=9001), tmp_path)
    assert found.processes[0].env["SIMULATOR_WEBHOOK_URL"] == "http://[::1]:9001/v1/webhooks/toss"


@pytest.mark.parametrize(
    "given",
    [
        {"toss_secret_key": "test_sk_abcdefgh"},
        {"stripe_secret_key": "sk_test_abcdefgh"},
        {"payments_live": True},
    ],
)
def test_a_shop_with_keys_gets_no_simulator(tmp_path: Path, given: dict[str, object]) -> None:
    settings = Settings.of(**given)
    found = simulate(settings, tmp_path)
    assert (found.settings, found.processes) == (settings, ())
