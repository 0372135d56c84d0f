"""An examination of real servers: what it sees, and what it says of those that are away."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from boxoffice.doctor import probes, rules
from boxoffice.doctor.diagnosis import Diagnosis, Level
from boxoffice.doctor.facts import Fleet
from boxoffice.doctor.service import Examination, examine
from boxoffice.doctor.store import read
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.postgres.runtime_role import grant
from boxoffice.settings import Settings
from drills.servers.certificates import certificates
from tests.programs import debian_program
from tests.support.shop import free_port

ROOT = Path(__file__).resolve().parents[3]
WANTED = Examination(Fleet(2, 1), "", 93_600)


def _by_check(found: list[Diagnosis]) -> dict[str, Diagnosis]:
    assert len({one.check for one in found}) == len(found)
    return {one.check: one for one in found}


async def test_servers_that_are_well_are_told_so(settings: Settings, db: Database) -> None:
    await db.fetch("TRUNCATE outbox, lapsing_holds, audit_runs")
    found = _by_check(await examine(settings, WANTED))
    good = (
        "postgresql: version", "postgresql: schema", "postgresql: encryption",
        "postgresql: connections", "clocks", "role: relay", "role: sweep", "valkey",
        "valkey: encryption",
    )  # fmt: skip
    assert {name: found[name].level for name in good} == dict.fromkeys(good, Level.OK)
    assert found["role: auditor"].seen == "no audit has ended yet"
    assert found["backup"].level is Level.WARN
    assert found["alerts"].level is found["tls"].level is Level.UNSEEN
    assert all(one.advice for one in found.values() if one.level is not Level.OK)


async def test_work_that_is_left_undone_is_seen(settings: Settings, db: Database) -> None:
    await db.fetch("TRUNCATE outbox, lapsing_holds, audit_runs")
    await db.fetch(
        """INSERT INTO lapsing_holds (schedule_id, expires_at, first_reservation_id, reservation_ids)
           SELECT gen_random_uuid(), clock_timestamp() - at * interval '100 s', gen_random_uuid(), '{}'
             FROM generate_series(1, 3) at"""
    )
    await db.fetch(
        """INSERT INTO audit_runs (started_at, finished_at, ok, checks)
           VALUES (now() - interval '3 h', now() - interval '3 h', true, '[]'),
                  (now() - interval '2 h', now() - interval '2 h', false, '[]'),
                  (NULL, NULL, NULL, NULL)"""
    )
    reading = await read(settings)
    assert reading.roles is not None
    assert reading.roles.sweep_lag_s == pytest.approx(300, abs=30)
    assert reading.roles.audit_age_s == pytest.approx(7_200, abs=30)
    assert reading.roles.audit_is_clean is False
    found = _by_check(await examine(settings, WANTED))
    assert found["role: sweep"].level is found["audit"].level is Level.FAIL


async def test_a_role_that_owns_nothing_is_told_apart(settings: Settings) -> None:
    owner = await read(settings)
    assert owner.postgres is not None
    assert owner.postgres.owns_tables
    name = f"doctor_{uuid4().hex[:12]}"
    await grant(settings, name, password="of-this-test")
    try:
        url = urlsplit(settings.database.database_url)
        netloc = f"{name}:of-this-test@{url.netloc.rpartition('@')[2]}"
        served = await read(settings.replace(database_url=url._replace(netloc=netloc).geturl()))
    finally:
        connection = await asyncpg.connect(settings.database.database_url)
        await connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await connection.close()
    assert served.postgres is not None
    assert not served.postgres.owns_tables
    assert not served.postgres.is_superuser
    assert served.roles is not None


async def test_a_role_that_may_read_nothing_is_told(settings: Settings, db: Database) -> None:
    name = f"doctor_{uuid4().hex[:12]}"
    await db.fetch(f"CREATE ROLE {name} LOGIN PASSWORD 'of-this-test'")
    try:
        url = urlsplit(settings.database.database_url)
        netloc = f"{name}:of-this-test@{url.netloc.rpartition('@')[2]}"
        served = await read(settings.replace(database_url=url._replace(netloc=netloc).geturl()))
    finally:
        await db.fetch(f"DROP ROLE {name}")
    assert "permission denied" in served.failure


async def test_servers_that_are_away_fail_and_the_rest_is_examined(settings: Settings) -> None:
    away = settings.replace(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        valkey_url="redis://127.0.0.1:1",
        public_url="https://127.0.0.1:1",
        backup_location="/nowhere/at/all",
    )
    wanted = WANTED._replace(prometheus_url="http://127.0.0.1:1")
    found = _by_check(await examine(away, wanted))
    for check in ("postgresql", "valkey", "tls", "alerts", "backup"):
        assert found[check].level is Level.FAIL, found[check]
    assert "limits: open files" in found


async def test_a_certificate_is_judged_as_browsers_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.server.certificate, made.server.key)
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context
    )
    address = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        untrusted = await probes.certificate(address)
        assert untrusted is not None
        assert "certificate" in untrusted.failure.lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
        trusted = await probes.certificate(address)
    assert trusted is not None
    assert trusted.failure == ""
    assert trusted.expires_at is not None
    assert await probes.certificate("http://127.0.0.1") is None


@asynccontextmanager
async def _prometheus(folder: Path, rule_files: str) -> AsyncIterator[str]:
    program = debian_program("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(f"rule_files: [{rule_files}]\n")
    port = free_port()
    options = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(program, *options, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(20):
            while (facts := await probes.alerts(url)) is None or facts.failure:
                assert running.returncode is None, (folder / "log").read_text()
                await asyncio.sleep(0.1)
        yield url
    finally:
        running.terminate()
        await running.wait()


async def test_a_real_prometheus_says_which_alerts_it_has(tmp_path: Path) -> None:
    files = f'"{ROOT}/deploy/alerts/*.rules.yaml"'
    async with _prometheus(tmp_path, files) as url:
        facts = await probes.alerts(url)
    assert facts is not None
    [found] = rules.of_alerts(facts)
    assert found.level is Level.OK, found


async def test_another_server_is_no_prometheus() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        facts = await probes.alerts(f"http://127.0.0.1:{port}")
    assert facts is not None
    assert "not the address of a Prometheus" in facts.failure
