"""The suite on the Python of the image: unit tests, and what talks to real servers."""

import asyncio
import re
import subprocess
from pathlib import Path

from drills.containers import PROGRAMS, ContainersFailed, Engine, engine, unfit
from drills.drill import Drill, DrillReport

_ROOT = Path(__file__).parents[2]
_TESTS = "tests/unit tests/integration/reservations tests/e2e/api/test_journey.py"
# The tests read their own tree and write beside it, so they get a copy.
_SCRIPT = f"""
cp -r /source /tree
cd /tree
python3 -m venv --without-pip .venv
cp -r /run-parts/. /dev-parts/. .venv/lib/python3*/site-packages/
python3 -m pip --python .venv/bin/python install --quiet --no-deps --no-index --no-build-isolation -e .
.venv/bin/python -m pytest -q -p no:cacheprovider {_TESTS} || echo "pytest ended with $?"
"""


async def _play(report: DrillReport, folder: Path) -> None:
    with engine() as opened:
        report.say("making the base and installing the tests' parts for its Python")
        await asyncio.to_thread(opened.make_base)
        said = await asyncio.to_thread(_test, opened, folder)
    passed = re.search(r"^.*?(\d+) passed.* in .*$", said, re.MULTILINE)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    ended = passed[0] if passed else said[-2000:]
    report.check("the suite passes", holds=bool(passed) and not failed, seen=[ended, *failed])
    report.measure("tests", int(passed[1]) if passed else 0, "passed")


def _test(opened: Engine, folder: Path) -> str:
    source = folder / "source"
    source.mkdir()
    listed = ["git", "-C", str(_ROOT), "ls-files", "-z"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((_ROOT / name).read_bytes())
    mounts = {source: "/source"}
    for lock in ("run", "dev"):
        opened.install(lock, folder / lock)
        mounts[folder / lock] = f"/{lock}-parts"
    try:
        return opened.in_base(_SCRIPT, mounts)
    except ContainersFailed as failed:
        raise RuntimeError(str(failed)) from failed


DRILL = Drill("python_3_13", "The suite runs on Python 3.13.", 5, _play, PROGRAMS, unfit)
