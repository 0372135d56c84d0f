"""The compose file: what every service of it must have, and that it names what exists."""

from typing import Any

import pytest

from boxoffice.cli.main import COMMANDS
from boxoffice.settings import SECTION_OF
from drills.compose import COMPOSE, options, own, services

GIVEN = {"POSTGRES_PASSWORD": "secret-1", "VALKEY_PASSWORD": "secret-2"}
SERVICES = services(GIVEN)
# The roles that run until they are stopped; those that end are `migrate` and what operators call.
ROLES = {"serve", "sweep", "archive", "relay", "auditor", "messenger", "cashier"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_as_little_as_it_can(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_healthy_for_a_reason_and_starts_after_what_it_needs(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert (check.get("disable") is True) == (name == "migrate")
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        ends = needed == "migrate"
        wanted = "service_completed_successfully" if ends else "service_healthy"
        assert how["condition"] == wanted


def test_every_role_runs_from_one_image() -> None:
    commands = {SERVICES[name]["command"][0] for name in own(SERVICES)}
    assert commands == {*ROLES, "migrate"}
    assert commands <= {command.__name__ for command in COMMANDS}
    assert len([name for name in SERVICES if name.startswith("serve")]) == 2
    assert set(SERVICES) - set(own(SERVICES)) == {"postgres", "valkey", "edge"}


def test_every_variable_is_a_setting() -> None:
    for name in own(SERVICES):
        given = {one for one in SERVICES[name]["environment"] if one.startswith("BOXOFFICE_")}
        assert {one.removeprefix("BOXOFFICE_").lower() for one in given} <= set(SECTION_OF)


def test_only_the_edge_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["edge"]
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks["postgres"] == networks["valkey"] == {"data"}
    assert "data" not in networks["edge"]


def test_it_mounts_files_that_exist() -> None:
    mounted = [one for one in SERVICES["edge"]["volumes"] if one.startswith("./")]
    assert mounted
    for one in mounted:
        source, _, mode = one.split(":")
        assert (COMPOSE.parent / source).exists(), source
        assert mode == "ro"


def test_passwords_have_no_default_and_are_written_nowhere_else() -> None:
    with pytest.raises(KeyError, match="PASSWORD"):
        services({})
    text = COMPOSE.read_text(encoding="utf-8")
    assert "PASSWORD:-" not in text
    shown: list[Any] = [SERVICES[name] for name in ("edge",)]
    assert "secret" not in str(shown)


def test_a_drill_gives_a_service_what_the_file_gives_it() -> None:
    given = set(options(SERVICES["serve-1"]))
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= given
    assert {"--cpus=2", "--memory=384m", "--pids-limit=128"} <= given
    assert any(one.startswith("--tmpfs=/tmp:") for one in given)
