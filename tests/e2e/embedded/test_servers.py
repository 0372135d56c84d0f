"""Start, stop, restart and every way in which a run can end badly."""

import os
import platform
import resource
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from boxoffice_embedded import (
    DataDirectoryBusy,
    EmbeddedServers,
    EmbeddedUnavailable,
    ServerFailed,
    running_addresses,
)
from boxoffice_embedded.servers import binaries, postgres, valkey
from boxoffice_embedded.servers.home import free_port
from boxoffice_embedded.servers.server_process import LOG_MAX_BYTES, Log
from boxoffice_embedded.up import ServerReviver

from .conftest import DEADLINE_S, Helper, ping, processes_naming, query, wait_for


def quiet(line: str) -> None:
    """No progress."""


def test_data_and_addresses_survive_a_restart(data_dir: Path) -> None:
    said: list[str] = []
    with EmbeddedServers(data_dir, say=said.append) as servers:
        first = (servers.database_url, servers.valkey_url)
        assert query(servers.database_url, "SHOW data_checksums") == "on"
        query(servers.database_url, "CREATE TABLE kept AS SELECT 7 AS seven")
        assert ping(servers.valkey_url)
        addresses = running_addresses(data_dir)
        assert addresses is not None
        assert (addresses.database_url, addresses.valkey_url) == first
    assert running_addresses(data_dir) is None
    assert any("Making the PostgreSQL database" in line for line in said)
    with EmbeddedServers(data_dir, say=quiet) as servers:
        assert (servers.database_url, servers.valkey_url) == first
        assert query(servers.database_url, "SELECT seven FROM kept") == 7


def test_the_servers_keep_what_they_acknowledge_and_stay_local(data_dir: Path) -> None:
    with EmbeddedServers(data_dir, say=quiet) as servers:
        url = servers.database_url
        assert query(url, "SHOW synchronous_commit") == "on"
        assert query(url, "SHOW fsync") == "on"
        assert query(url, "SHOW full_page_writes") == "on"
        assert query(url, "SHOW listen_addresses") == "127.0.0.1"
        locale = "SELECT datlocprovider::text || datlocale FROM pg_database LIMIT 1"
        assert query(url, locale) == "bC.UTF-8"
        owners = "SELECT string_agg(pg_get_userbyid(datdba), ' ') FROM pg_database"
        assert set(query(url, owners).split()) == {"boxoffice"}
        for secret in ("servers.json", "valkey/valkey.conf", "postgres.log", "valkey.log"):
            assert (data_dir / secret).stat().st_mode & 0o077 == 0
        with pytest.raises(Exception, match="password authentication failed"):
            query(url.replace("boxoffice:", "boxoffice:x"), "SELECT 1")
    assert {path.name for path in (data_dir / "valkey").iterdir()} == {"valkey.conf"}


def test_a_second_instance_is_refused_and_told_the_pid(made_dir: Path) -> None:
    with (
        EmbeddedServers(made_dir, say=quiet),
        pytest.raises(DataDirectoryBusy, match=f"process {os.getpid()}"),
        EmbeddedServers(made_dir, say=quiet),
    ):
        pass
    assert not processes_naming(str(made_dir))


@pytest.mark.parametrize("moment", ["running", "making the database"])
def test_a_killed_parent_takes_the_servers_along(
    moment: str, data_dir: Path, run_servers: Callable[..., Helper]
) -> None:
    parent = run_servers()
    if moment == "running":
        report = parent.line()
        query(report["database_url"], "CREATE TABLE kept AS SELECT 7 AS seven")
    else:
        wait_for_initdb(data_dir)
    parent.process.kill()
    parent.wait()
    wait_for(lambda: not processes_naming(str(data_dir)), "the end of all servers")
    with EmbeddedServers(data_dir, say=quiet) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
        if moment == "running":
            assert query(servers.database_url, "SELECT seven FROM kept") == 7
    assert not list(data_dir.glob("postgres.*-*"))


def test_a_start_right_after_the_kill_waits_for_the_old_servers(
    made_dir: Path, run_servers: Callable[..., Helper]
) -> None:
    parent = run_servers(data_dir=made_dir)
    parent.line()
    parent.process.kill()
    with EmbeddedServers(made_dir, say=quiet) as servers:
        assert query(servers.database_url, "SELECT 1") == 1


def wait_for_initdb(data_dir: Path) -> None:
    """Return while initdb is at work, or late on a busy machine."""

    def is_at_work() -> bool:
        is_made = (data_dir / "postgres").exists()
        return is_made or bool(list(data_dir.glob("postgres.new-*/data/base/1/*")))

    wait_for(is_at_work, "initdb's files")


@pytest.mark.parametrize("moment", ["running", "making the database"])
def test_ctrl_c_stops_everything(
    moment: str, data_dir: Path, run_servers: Callable[..., Helper]
) -> None:
    parent = run_servers()
    if moment == "running":
        parent.line()
    else:
        wait_for_initdb(data_dir)
    os.killpg(parent.process.pid, signal.SIGINT)
    parent.wait()
    assert not processes_naming(str(data_dir))
    assert not (data_dir / "postgres/postmaster.pid").exists()
    assert "KeyboardInterrupt" in parent.errors


def test_a_copy_of_a_directory_leaves_the_original_alone(
    made_dir: Path, template: Path, open_folder: Path
) -> None:
    copy = open_folder / "made-copy"
    subprocess.run(["cp", "-a", str(template), str(copy)], check=True)
    with (
        EmbeddedServers(made_dir, say=quiet) as original,
        EmbeddedServers(copy, say=quiet) as copied,
    ):
        assert original.database_url != copied.database_url
        assert original.poll() == copied.poll() == ()
        assert query(original.database_url, "SELECT 1") == 1
        assert query(copied.database_url, "SELECT 1") == 1


def test_a_half_made_database_is_made_anew(data_dir: Path) -> None:
    half = data_dir / "postgres.new-0badcafe"
    half.mkdir(parents=True)
    data_dir.chmod(0o755)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedServers(data_dir, say=quiet) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
    assert not half.exists()


def test_a_stale_pid_file_is_no_obstacle(made_dir: Path) -> None:
    with EmbeddedServers(made_dir, say=quiet):
        pass
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        pid_file = made_dir / "postgres/postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{made_dir}/postgres\n1\n1\n\n127.0.0.1\n1 1\nready\n")
        with EmbeddedServers(made_dir, say=quiet) as servers:
            assert query(servers.database_url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_postmaster_is_revived_beside_a_busy_backend(made_dir: Path) -> None:
    with EmbeddedServers(made_dir, say=quiet) as servers:
        url, pid = servers.database_url, servers.postgres.pid
        assert pid is not None
        query(url, "CREATE TABLE kept AS SELECT 7 AS seven")
        busy = threading.Thread(target=_spin, args=(url,))
        busy.start()
        spinning = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'"
        wait_for(lambda: query(url, spinning) == 1, "a busy backend")
        assert servers.poll() == ()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: servers.poll() == ("postgres",), "the end of the postmaster")
        assert servers.revive() == ("postgres",)
        assert servers.database_url == url
        assert query(url, "SELECT seven FROM kept") == 7
        busy.join(DEADLINE_S)
        assert not busy.is_alive()


_ENDED = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)


def _spin(url: str) -> None:
    """Never waits for anything, so that it does not notice the end of the postmaster."""
    # The connection breaks, or the server that is started in its place ends it first.
    with pytest.raises(_ENDED):
        query(url, "DO 'BEGIN LOOP END LOOP; END'")


def test_a_server_that_cannot_start_is_tried_again_until_it_can(made_dir: Path) -> None:
    told: list[str] = []
    with EmbeddedServers(made_dir, say=quiet) as servers:
        pid = servers.postgres.pid
        assert pid is not None
        needed = servers.postgres.data_dir / "global" / "pg_control"
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: servers.poll() == ("postgres",), "the end of the postmaster")
        needed.rename(needed.with_name("away"))
        patient = ServerReviver(servers, told.append, pause_s=3_600.0)
        patient.check()
        patient.check()
        assert len(told) == 1, "it pauses"
        assert "PostgreSQL ended with code" in told[0]
        attendant = ServerReviver(servers, told.append, pause_s=1.0)
        attendant.check()
        needed.with_name("away").rename(needed)

        def is_back() -> bool:
            attendant.check()
            return servers.poll() == ()

        wait_for(is_back, "PostgreSQL")
        assert query(servers.database_url, "SELECT 1") == 1


def test_a_server_whose_files_cannot_be_written_is_tried_again(made_dir: Path) -> None:
    told: list[str] = []
    with EmbeddedServers(made_dir, say=quiet) as servers:
        pid = servers.valkey.pid
        assert pid is not None
        # Without its folder there is no writing its configuration, as on a full disk.
        folder = servers.valkey.data_dir
        folder.rename(folder.with_name("away"))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: servers.poll() == ("valkey",), "the end of Valkey")
        attendant = ServerReviver(servers, told.append, pause_s=0.0)
        attendant.check()
        assert "No such file" in told[0]
        folder.with_name("away").rename(folder)
        attendant.check()
        assert servers.poll() == ()
        assert ping(servers.valkey_url)


def test_a_killed_valkey_is_revived_empty(made_dir: Path) -> None:
    with EmbeddedServers(made_dir, say=quiet) as servers:
        url, pid = servers.valkey_url, servers.valkey.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: servers.poll() == ("valkey",), "the end of Valkey")
        servers.revive()
        assert servers.valkey_url == url
        assert ping(url)


def test_lost_passwords_are_replaced(made_dir: Path) -> None:
    with EmbeddedServers(made_dir, say=quiet) as servers:
        first = servers.database_url
    (made_dir / "servers.json").write_text("{")
    with EmbeddedServers(made_dir, say=quiet) as servers:
        assert servers.database_url != first
        assert query(servers.database_url, "SELECT 1") == 1


def test_a_port_taken_by_another_is_given_up(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]

        def unlucky(preferred: int, free: Callable[[int], int] = free_port) -> int:
            """The race in which the port is taken after we looked."""
            return free(preferred) if unlucky_calls.pop() is None else taken

        unlucky_calls: list[int | None] = [None, None, 1, 1]
        monkeypatch.setattr(postgres, "free_port", unlucky)
        monkeypatch.setattr(valkey, "free_port", unlucky)
        with EmbeddedServers(data_dir, say=quiet) as servers:
            assert f":{taken}/" not in servers.database_url + servers.valkey_url
            assert query(servers.database_url, "SELECT 1") == 1
            assert ping(servers.valkey_url)


def test_a_server_that_cannot_start_shows_its_log_and_leaves_nothing(made_dir: Path) -> None:
    with (
        pytest.raises(ServerFailed, match='unrecognized configuration parameter "no_such"'),
        EmbeddedServers(made_dir, say=quiet, postgres_options={"no_such": "1"}),
    ):
        pass
    assert not processes_naming(str(made_dir))
    with EmbeddedServers(made_dir, say=quiet) as servers:
        assert query(servers.database_url, "SELECT 1") == 1


def test_missing_wheels_are_named_with_the_remedy(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)
    with (
        pytest.raises(EmbeddedUnavailable, match=r"boxoffice\[embedded\]"),
        EmbeddedServers(data_dir, say=quiet),
    ):
        pass
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    with pytest.raises(EmbeddedUnavailable, match="s390x"), EmbeddedServers(data_dir, say=quiet):
        pass
    assert not data_dir.exists()


def test_a_worker_thread_may_not_start_servers(data_dir: Path) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedServers(data_dir, say=quiet).start()
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_a_full_log_is_moved_aside(tmp_path: Path) -> None:
    log = Log(tmp_path / "postgres.log")
    descriptor = log.open()
    os.write(descriptor, b"x" * LOG_MAX_BYTES)
    log.bound()
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert log.path.read_bytes() == b"after"
    assert log.tail() == "after"
    assert (tmp_path / "postgres.log.1").stat().st_size == LOG_MAX_BYTES


def test_a_full_log_on_a_full_disk_is_emptied(tmp_path: Path) -> None:
    log = Log(tmp_path / "postgres.log")
    descriptor = log.open()
    os.write(descriptor, b"x" * LOG_MAX_BYTES)
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LOG_MAX_BYTES // 2, allowed[1]))
    try:
        log.bound()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    os.write(descriptor, b"after")
    os.close(descriptor)
    assert log.path.read_bytes() == b"after"


def test_a_data_directory_may_have_any_name(open_folder: Path) -> None:
    data_dir = open_folder / 'it\'s "a" 공연장 #1 $HOME' / ("deep" * 40)
    with EmbeddedServers(data_dir, say=quiet) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
        assert ping(servers.valkey_url)
    shutil.rmtree(data_dir)
