"""The commands that people and scripts rely on, as processes of their own."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from boxoffice.platform.postgres.migrations import migrate
from boxoffice.settings import Settings
from boxoffice_embedded import demo
from tests.support.shop import free_port

TIMEOUT_S = 60


def _env(**given: object) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    return clean | {f"BOXOFFICE_{name.upper()}": str(value) for name, value in given.items()}


def _run(*words: str, cwd: Path, **settings: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "boxoffice", *words],
        cwd=cwd,
        env=_env(**settings),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 — our own address
        return json.load(answer)


@contextmanager
def _up(home: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "boxoffice", "up", "--data-dir", str(home / "data")],
        cwd=home,
        # The default is above the limit of open files of many containers, and `up` warns of that.
        env=_env(port=port, connections_max=1_000),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + TIMEOUT_S
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"`up` did not come up: {process.communicate()[0]}")
            time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _is_ready(port: int) -> bool:
    try:
        return bool(_get(f"http://127.0.0.1:{port}/readyz"))
    except OSError:
        return False


def _family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _all_gone(family: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(family, timeout=15)
    return not alive


def test_up_sells_survives_a_restart_and_leaves_nothing_running(tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with _up(tmp_path, port) as process:
        concert, *others = _get(f"{base}/v1/concerts")["items"]
        assert (concert["title"], len(others)) == ("Encore in Seoul", 7)
        (schedule,) = _get(f"{base}/v1/concerts/{concert['concert_id']}/schedules")["items"]
        assert schedule["on_sale"]
        assert schedule["seats_available"] == schedule["seats_total"] == 1000
        seeded = _run("seed", "--seats", "10", "--users", "3", "--tokens", "tokens", cwd=tmp_path)
        assert seeded.returncode != 0, "the servers are in another data directory"
        family = _family(process)
        assert len(family) >= 5
        assert any("messenger" in one.cmdline() for one in family)
        with urllib.request.urlopen(f"{base}/demo/mailbox", timeout=20) as page:  # noqa: S310 — our own
            assert b"Mailbox of the demo" in page.read()
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=TIMEOUT_S)[0]
        assert process.returncode == 0, printed
        assert "Ctrl-C stops everything" in printed
        assert f"{base}/demo/mailbox" in printed
        password = demo.password_of(tmp_path / "data")
        assert password
        assert f"organizer@demo.test, password {password}" in printed
        # For people: nothing that a machine would read, and no line per request.
        assert not [line for line in printed.splitlines() if line.startswith(("{", "20"))], printed
        assert "/v1/concerts" not in printed
        assert printed.rstrip().endswith("… stopped")
        assert _all_gone(family)
    with _up(tmp_path, port) as process:
        again = _get(f"{base}/v1/concerts")["items"]
        assert [one["concert_id"] for one in again] == [
            one["concert_id"] for one in [concert, *others]
        ]
        family = _family(process)
        process.kill()
        assert _all_gone(family), "a killed parent leaves nothing running"


def test_up_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = _run("up", cwd=tmp_path, port=taken.getsockname()[1])
    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_seed_prints_ids_and_writes_tokens(settings: Settings, tmp_path: Path) -> None:
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    words = ("seed", "--seats", "1000", "--users", "4000", "--tokens", "tokens.jsonl")
    started = time.monotonic()
    seeded = _run(*words, cwd=tmp_path, **servers)
    assert seeded.returncode == 0, seeded.stderr
    assert time.monotonic() - started < 30
    assert json.loads(seeded.stdout).keys() == {"concert_id", "schedule_id"}
    lines = (tmp_path / "tokens.jsonl").read_text().splitlines()
    assert len(lines) == 4000
    assert json.loads(lines[0]).keys() == {"user_id", "access_token"}
    assert stat.S_IMODE((tmp_path / "tokens.jsonl").stat().st_mode) == 0o600

    audited = _run("audit", cwd=tmp_path, **servers)
    assert audited.returncode == 0, audited.stdout
    report = json.loads(_run("audit", "--json", cwd=tmp_path, **servers).stdout)
    assert report["ok"] is True


def test_audit_exits_1_where_a_promise_is_broken(settings: Settings, tmp_path: Path) -> None:
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    assert _run("seed", "--seats", "5", "--users", "1", cwd=tmp_path, **servers).returncode == 0

    async def spoil() -> None:
        connection = await asyncpg.connect(settings.database.database_url)
        await connection.execute("UPDATE wallets SET balance_minor = balance_minor + 1")
        await connection.close()

    asyncio.run(spoil())
    audited = _run("audit", cwd=tmp_path, **servers)
    assert audited.returncode == 1
    assert "BROKEN" in audited.stdout


def test_doctor_says_what_to_do_and_exits_1_on_a_failure(
    settings: Settings, tmp_path: Path
) -> None:
    addresses = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    told = _run("doctor", "--json", cwd=tmp_path, wallet_top_up_free="true", **addresses)
    found = {one["check"]: one for one in json.loads(told.stdout)["findings"]}
    assert found["settings: money"]["level"] == "fail"
    assert found["postgresql: schema"]["level"] == "ok"
    assert told.returncode == 1
    shown = _run("doctor", "--pods", "500", cwd=tmp_path, **addresses)
    assert "FAIL    postgresql: connections: 500 pods with 1 processes" in shown.stdout
    assert "→ raise max_connections" in shown.stdout
    assert (shown.returncode, shown.stderr) == (1, "")
    wrong = _run("doctor", "--values", "none.yaml", cwd=tmp_path, **addresses)
    assert wrong.stderr.startswith("boxoffice: none.yaml has no values of the chart")
    assert wrong.returncode == 1


def test_migrate_can_run_many_times_at_once(servers: Any, tmp_path: Path) -> None:
    name = f"m_{os.getpid()}_{time.monotonic_ns()}"

    async def race() -> list[int]:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f"CREATE DATABASE {name}")
        url = servers.database_url.rpartition("/")[0] + "/" + name
        try:
            return await asyncio.gather(*(migrate(Settings.of(database_url=url)) for _ in range(4)))
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            await admin.close()

    steps = asyncio.run(race())
    assert sorted(steps)[:3] == [0, 0, 0]
    assert max(steps) > 0


@pytest.mark.parametrize(
    ("settings_", "words", "sentence"),
    [
        ({}, ("serve",), "BOXOFFICE_DATABASE_URL"),
        ({"batch_max": 0}, ("migrate",), "BOXOFFICE_BATCH_MAX"),
        ({}, ("up", "--workers", "0"), "BOXOFFICE_WORKERS"),
        ({}, ("up", "--port", "99999"), "BOXOFFICE_PORT"),
        ({"port": 65000}, ("up", "--data-dir", "/proc/nowhere"), "choose another data directory"),
        ({"colour": "red"}, ("migrate",), "BOXOFFICE_COLOUR"),
        (
            {"database_url": "postgresql://x@127.0.0.1:1/x", "valkey_url": "redis://127.0.0.1:1"},
            ("migrate",),
            "PostgreSQL cannot be reached",
        ),
        (
            {"database_url": "postgresql://x@127.0.0.1:1/x", "valkey_url": "redis://127.0.0.1:1"},
            ("serve",),
            "PostgreSQL cannot be reached",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, settings_: dict[str, object], words: tuple[str, ...], sentence: str
) -> None:
    ended = _run(*words, cwd=tmp_path, **settings_)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("token", ["", "a-token-of-32-characters-or-more"])
def test_a_role_serves_its_metrics_and_health_on_a_port_of_its_own(
    settings: Settings, tmp_path: Path, token: str
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "boxoffice", "sweep"],
        cwd=tmp_path,
        env=_env(
            role_metrics_port=port,
            metrics_token=token,
            database_url=settings.database.database_url,
            valkey_url=settings.valkey.valkey_url,
        ),
    )
    try:

        def answer(path: str, authorization: str = "") -> tuple[int, bytes]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{path}", headers={"Authorization": authorization}
            )
            try:
                with urllib.request.urlopen(request, timeout=20) as answered:  # noqa: S310 — likewise
                    return answered.status, answered.read()
            except urllib.error.HTTPError as refusal:
                return refusal.code, refusal.read()
            except OSError:
                return 0, b""

        until = time.monotonic() + TIMEOUT_S
        # Probes have no token.
        while answer("/readyz") != (200, b'{"status":"ready"}'):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert answer("/healthz") == (200, b'{"status":"ok"}')
        assert answer("/metrics", "Bearer wrong")[0] == (401 if token else 200)
        status, text = answer("/metrics", f"Bearer {token}")
        assert (status, text[:6]) == (200, b"# HELP")
    finally:
        process.kill()
        process.wait()


def test_a_role_needs_the_schema_of_its_release(settings: Settings, tmp_path: Path) -> None:
    async def forget_a_function() -> None:
        admin = await asyncpg.connect(settings.database.database_url)
        try:
            await admin.execute("ALTER FUNCTION reservations_expire_v2 RENAME TO earlier")
        finally:
            await admin.close()

    asyncio.run(forget_a_function())
    servers = {
        "database_url": settings.database.database_url,
        "valkey_url": settings.valkey.valkey_url,
    }
    ended = _run("sweep", cwd=tmp_path, **servers)
    assert ended.returncode == 1
    assert "has not got reservations_expire_v2" in ended.stderr


def test_several_workers_share_a_port_and_stop_together(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "boxoffice", "serve", "--workers", "2"],
        cwd=tmp_path,
        env=_env(
            port=port,
            metrics_port=(metrics_port := free_port()),
            build_commit="0123abc",
            database_url=settings.database.database_url,
            valkey_url=settings.valkey.valkey_url,
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + TIMEOUT_S
        while not _is_ready(port) and time.monotonic() < until:
            time.sleep(0.05)
        family = _family(process)
        assert len(family) == 2
        for _ in range(40):
            _get(f"http://127.0.0.1:{port}/v1/concerts")
        told = 'boxoffice_requests_total{code="ok",method="GET",route="/v1/concerts",status="200"}'
        metrics = ""
        # The other worker counts what it has answered a moment later.
        while f"{told} 40.0" not in metrics and time.monotonic() < until:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                metrics = answer.read().decode()
        assert f"{told} 40.0" in metrics, "one worker answers for both"
        lines = metrics.splitlines()
        builds = [one for one in lines if one.startswith('boxoffice_build_info{commit="0123abc"')]
        assert [one.split()[-1] for one in builds] == ["1.0"], "of both workers"
        (started,) = [one for one in lines if one.startswith("boxoffice_start_time_seconds ")]
        assert float(started.split()[1]) == pytest.approx(time.time(), abs=300)
        assert "boxoffice_event_loop_lag_seconds_count " in metrics
        apart = f"http://127.0.0.1:{metrics_port}/metrics"
        for _ in range(6):
            with urllib.request.urlopen(apart, timeout=20) as answer:
                assert f"{told} 40.0" in answer.read().decode(), "on a port of its own likewise"
        process.send_signal(signal.SIGTERM)
        printed = process.communicate(timeout=TIMEOUT_S)[0]
        assert process.returncode == 0, printed
        assert _all_gone(family)
    finally:
        process.kill()
        process.communicate()
