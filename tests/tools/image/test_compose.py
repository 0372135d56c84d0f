"""The compose file: what every service of it must have, and that it names what exists."""

import asyncpg
import pytest

from boxoffice.cli.main import COMMANDS
from boxoffice.platform.postgres.runtime_role import grant
from boxoffice.settings import SECTION_OF, Settings
from drills.compose import (
    COMPOSE,
    RUNTIME_ROLE,
    make_runtime_role,
    options,
    own,
    role_of,
    services,
)

GIVEN = {
    "POSTGRES_PASSWORD": "secret-1",
    "POSTGRES_RUNTIME_PASSWORD": "secret-2",
    "VALKEY_PASSWORD": "secret-3",
}
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
    volumes = [one for service in SERVICES.values() for one in service.get("volumes", [])]
    mounted = [one for one in volumes if one.startswith("./")]
    assert len(mounted) == 3
    for one in mounted:
        source, _, mode = one.split(":")
        assert (COMPOSE.parent / source).exists(), source
        assert mode == "ro"


def test_passwords_have_no_default_and_are_written_nowhere_else() -> None:
    with pytest.raises(KeyError, match="PASSWORD"):
        services({})
    text = COMPOSE.read_text(encoding="utf-8")
    assert "PASSWORD:-" not in text
    known = {name: {one for one in GIVEN if GIVEN[one] in str(SERVICES[name])} for name in SERVICES}
    owner, runtime, valkey = ({name} for name in GIVEN)
    assert known.pop("postgres") == owner | runtime
    assert known.pop("valkey") == valkey
    assert known.pop("migrate") == owner | valkey
    assert known.pop("edge") == set()
    assert set(map(frozenset, known.values())) == {frozenset(runtime | valkey)}


def test_only_migrate_is_the_owner_and_it_grants_the_rights_of_the_role_that_serves() -> None:
    roles = {name: role_of(SERVICES[name]) for name in own(SERVICES)}
    assert roles.pop("migrate") == SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert set(roles.values()) == {RUNTIME_ROLE}
    granting = {
        name: SERVICES[name]["environment"].get("BOXOFFICE_RUNTIME_ROLE") for name in own(SERVICES)
    }
    assert granting == {**dict.fromkeys(granting), "migrate": RUNTIME_ROLE}


async def test_the_role_that_serves_logs_in_with_its_password_and_owns_nothing(
    settings: Settings,
) -> None:
    owner = await asyncpg.connect(settings.database.database_url)
    make_runtime_role(settings.database.database_url, "it's $ecret")
    try:
        # It refuses a role that may do more.
        await grant(settings, RUNTIME_ROLE)
        serving = await asyncpg.connect(
            settings.database.database_url, user=RUNTIME_ROLE, password="it's $ecret"
        )
        assert await serving.fetchval("SELECT count(*) FROM tickets") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await serving.execute("DROP TABLE tickets")
        await serving.close()
    finally:
        await owner.execute(f"DROP OWNED BY {RUNTIME_ROLE}; DROP ROLE {RUNTIME_ROLE}")
        await owner.close()


def test_a_drill_gives_a_service_what_the_file_gives_it() -> None:
    given = set(options(SERVICES["serve-1"]))
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"} <= given
    assert {"--cpus=2", "--memory=384m", "--pids-limit=128"} <= given
    assert any(one.startswith("--tmpfs=/tmp:") for one in given)
