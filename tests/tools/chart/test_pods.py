"""The rendered pods as processes: the hook migrates, every probe is answered, a buyer gets a ticket."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
import yaml

from boxoffice.app import open_services
from boxoffice.audit import audit, render
from boxoffice.settings import Settings
from tests import journey
from tests.conftest import Servers
from tests.tools.chart.helm import Helm, Rendered
from tests.tools.chart.kubelet import LocalPod, Secrets, started, status, wait_until
from tests.tools.chart.test_rendering import ROLES

_PASSWORD = "a-password-of-a-test"
_VALUES = {
    "existingSecret": "shop",
    "secretSettings": ["METRICS_TOKEN"],
    # Other tests sign up from this address too.
    "env": {
        "BOXOFFICE_WALLET_TOP_UP_FREE": "true",
        "BOXOFFICE_SIGN_UPS_PER_ADDRESS_MAX": "1000000",
    },
    "serve": {"drainDelayMs": 3_000, "drainTimeoutMs": 5_000},
}


@dataclass
class Release:
    """An installed release: its pods, and what the operator knows."""

    rendered: Rendered
    secrets: Secrets
    folder: Path
    pods: dict[str, LocalPod]
    owner: Settings

    @property
    def url(self) -> str:
        """The address of the Service."""
        return self.pods["serve"].url("http")


@dataclass(frozen=True)
class Database:
    """A database, the role that owns it, and the role that serves; neither is a superuser."""

    name: str
    owner: str
    runtime: str
    server: str

    def url(self, role: str) -> str:
        return f"postgresql://{role}:{_PASSWORD}@{self.server}/{self.name}"


@pytest.fixture(scope="module")
def database(servers: Servers) -> Iterator[Database]:
    """What the README asks an administrator for."""
    tail = uuid4().hex[:12]
    server = servers.database_url.rpartition("@")[2].partition("/")[0]
    made = Database(f"chart_{tail}", f"chart_owner_{tail}", f"chart_runtime_{tail}", server)

    async def run(*statements: str) -> None:
        admin = await asyncpg.connect(servers.database_url)
        try:
            for statement in statements:
                await admin.execute(statement)
        finally:
            await admin.close()

    login = f"LOGIN PASSWORD '{_PASSWORD}'"
    asyncio.run(
        run(
            f"CREATE ROLE {made.owner} {login}",
            f"CREATE ROLE {made.runtime} {login}",
            f"CREATE DATABASE {made.name} OWNER {made.owner}",
        )
    )
    yield made
    asyncio.run(
        run(
            f"DROP DATABASE {made.name} WITH (FORCE)",
            f"DROP ROLE {made.runtime}",
            f"DROP ROLE {made.owner}",
        )
    )


@pytest.fixture(scope="module")
def release(
    helm: Helm, database: Database, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """A release after `helm install`: first the hook, then everything else."""
    folder = tmp_path_factory.mktemp("release")
    hook = {"existingSecret": "shop-owner", "runtimeRole": database.runtime}
    (folder / "values.yaml").write_text(yaml.safe_dump({**_VALUES, "migrate": hook}))
    rendered = Rendered.of(helm.rendered("--values", folder / "values.yaml"))
    secrets = {
        ("shop", "DATABASE_URL"): database.url(database.runtime),
        ("shop", "VALKEY_URL"): servers.valkey_url,
        ("shop", "METRICS_TOKEN"): "a-token-of-32-characters-or-more",
        ("shop-owner", "DATABASE_URL"): database.url(database.owner),
    }
    owner = Settings.of(database_url=database.url(database.owner), valkey_url=servers.valkey_url)
    with ExitStack() as stack:
        job = started("migrate", rendered.pod("migrate"), secrets, folder)
        stack.callback(job.kill)
        job.process.wait(60)
        assert job.process.returncode == 0, job.said()
        pods = {role: started(role, rendered.pod(role), secrets, folder) for role in sorted(ROLES)}
        for pod in pods.values():
            stack.callback(pod.kill)
        for pod in pods.values():
            pod.wait_until_started()
        yield Release(rendered, secrets, folder, pods, owner)


def test_every_probe_of_every_role_is_answered(release: Release) -> None:
    probes = ("startup", "readiness", "liveness")
    seen = {(role, name): pod.probe(name) for role, pod in release.pods.items() for name in probes}
    assert set(seen.values()) == {200}, seen
    # Metrics need their token, probes do not.
    assert {status(pod.url("metrics") + "/metrics") for pod in release.pods.values()} == {401}


async def test_a_buyer_gets_a_ticket(release: Release) -> None:
    async def grant(email: str) -> None:
        async with open_services(release.owner) as application:
            await application.services.accounts.grant_role(email, "organizer")

    sale = await journey.set_up(release.url, grant)
    assert (await journey.walk(release.url, sale)).ticket_id
    report = await audit(release.owner)
    assert report.ok, render(report)


def test_no_role_is_connected_to_what_its_policy_denies(release: Release) -> None:
    """Asked of the kernel after a sale; the policies alone could deny what a role needs."""
    real = {
        _port(release.secrets["shop", "DATABASE_URL"]): 5432,
        _port(release.secrets["shop", "VALKEY_URL"]): 6379,
    }
    for role, pod in release.pods.items():
        rules = release.rendered.one("NetworkPolicy", role)["spec"]["egress"]
        allowed = {port["port"] for rule in rules for port in rule["ports"]}
        connected = {real[port] for port in pod.remote_ports() if port in real}
        assert connected == allowed & set(real.values()), role


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def test_the_pod_of_helm_test_finds_the_service(release: Release) -> None:
    pod = release.rendered.pod("test")
    tester = started("test", pod, {}, release.folder, SHOP_URL=release.url)
    try:
        assert tester.process.wait(30) == 0, tester.said()
        assert "/v1/concerts 200" in tester.said()
    finally:
        tester.kill()


def test_a_pod_of_another_database_is_never_ready(release: Release) -> None:
    """A rollout stops at it, and the pods of before go on."""
    wrong = {**release.secrets, ("shop", "DATABASE_URL"): "postgresql://a@127.0.0.1:1/a"}
    pod = started("relay", release.rendered.pod("relay"), wrong, release.folder)
    try:
        assert pod.process.wait(30) == 1
        assert "PostgreSQL cannot be reached" in pod.said()
    finally:
        pod.kill()


def test_pods_stop_within_their_grace_period(release: Release) -> None:
    """The last test of this file: nothing runs after it."""
    serve = release.pods["serve"]
    for pod in release.pods.values():
        pod.terminate()
    wait_until(lambda: serve.probe("readiness") == 503, 2.5, "the readiness probe saw no drain")
    # What the balancer still sends is served until the delay is over.
    assert status(f"{release.url}/v1/concerts") == 200
    took = {role: pod.wait_until_stopped() for role, pod in release.pods.items()}
    assert took["serve"] < serve.grace_s / 2
