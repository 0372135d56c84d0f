"""The suite on the Python of the image, with the programs of the same release of Debian."""

import asyncio
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from drills.containers import PROGRAMS, ContainersFailed, Engine, engine, unfit
from drills.drill import Drill, DrillReport

_ROOT = Path(__file__).parents[2]
# What tests start, beside what the image's base has. They meet newer proxies, poolers and Redis here
# than on Debian 12.
_PACKAGES = (
    "curl", "etcd-server", "git", "haproxy", "libfaketime", "nginx-light", "openssl", "pgbouncer",
    "procps", "prometheus", "redis-sentinel", "redis-server",
)  # fmt: skip
# Left out by marker or folder, with the reason. What else is missing is skipped by its test,
# which names it.
LEFT_OUT: Mapping[str, str] = {
    "-m 'not browser'": "the pages run in Chromium, whichever Python serves them",
    "--ignore=tests/tools/image": "an image is not built within a container",
}
_OUTPUT = "pytest.log"
# The tests read their own tree and write beside it, so they get a copy.
_SCRIPT = f"""
cp -r /source /tree
cd /tree
python3 -m venv --without-pip .venv
cp -r /run-parts/. /dev-parts/. .venv/lib/python3*/site-packages/
python3 -m pip --python .venv/bin/python install -q --no-deps --no-index --no-build-isolation -e .
.venv/bin/python -m pytest -q -n 2 -p no:cacheprovider {" ".join(LEFT_OUT)} >/kept/{_OUTPUT} 2>&1 ||
  echo "pytest ended with $?" >>/kept/{_OUTPUT}
"""


async def _play(report: DrillReport, folder: Path) -> None:
    with engine() as opened:
        report.say("making the base and installing the tests' parts for its Python")
        await asyncio.to_thread(opened.make_base, *_PACKAGES)
        # Not in the drill's folder, which is removed: it can be followed, and read after a failure.
        kept = Path(tempfile.mkdtemp(prefix="boxoffice-suite-"))
        report.say(f"running the tests; what they print is in {kept / _OUTPUT}")
        await asyncio.to_thread(_test, opened, folder, kept)
    said = (kept / _OUTPUT).read_text(encoding="utf-8", errors="replace")
    passed = re.search(r"^.*?(\d+) passed.* in .*$", said, re.MULTILINE)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    ended = passed[0] if passed else said[-2000:]
    is_passed = bool(passed) and not failed
    report.check("the suite passes", holds=is_passed, seen=[ended, *failed])
    if is_passed:
        shutil.rmtree(kept)
    report.measure("tests", int(passed[1]) if passed else 0, "passed")
    for reason, number in sorted(skipped(said).items()):
        report.measure(f"skipped: {reason}", number, "tests")
    for which, why in LEFT_OUT.items():
        report.say(f"left out by {which}: {why}")


def skipped(said: str) -> Counter[str]:
    """Count what `pytest -ra` printed as skipped, by reason."""
    found: Counter[str] = Counter()
    for number, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+: (.+)$", said, re.MULTILINE):
        found[reason] += int(number)
    return found


def _test(opened: Engine, folder: Path, kept: Path) -> None:
    source = folder / "source"
    source.mkdir()
    listed = ["git", "-C", str(_ROOT), "ls-files", "-z"]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(_ROOT / name, source / name)
    mounts = {source: "/source"}
    for lock in ("run", "dev"):
        opened.install(lock, folder / lock)
        mounts[folder / lock] = f"/{lock}-parts"
    try:
        opened.in_base(_SCRIPT, mounts, kept)
    except ContainersFailed as failed:
        raise RuntimeError(str(failed)) from failed


DRILL = Drill("python_3_13", "The suite runs on Python 3.13.", 29, _play, PROGRAMS, unfit)
