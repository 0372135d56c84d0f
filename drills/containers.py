"""Images and containers in a folder of their own, without a daemon and without a registry.

buildah builds with chroot isolation, podman runs with runc, and mmdebstrap makes a stand-in for the
official base: the release of Debian with the same Python. Nothing is kept outside the folder.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.drill import program

PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
BASE = "docker.io/library/python:3.13-slim"
IMAGE = "localhost/boxoffice:drill"
PYTHON = "3.13"
_ROOT = Path(__file__).parents[1]
_SUITE = "trixie"
# Only unpacked: their scripts would take three times as long, so the hook does what is needed of them.
_PACKAGES = (
    "base-files,base-passwd,bash,ca-certificates,coreutils,dash,libc-bin,libstdc++6,python3-pip"
)
_HOOK = """
cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
"""
# A virtual machine may lack the right to raise limits, and crun refuses hybrid control groups.
_ENGINE = """
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
static_dir = "{home}/static"
tmp_dir = "{home}/tmp"
"""
_STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{home}/root"\nrunroot = "{home}/run"\n'
# What docs/image.md promises to be enough.
RESTRICTED = (
    "--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", "--security-opt=no-new-privileges",
    "--memory=256m", "--cpus=1", "--tmpfs=/tmp:rw,size=64m,mode=1777,noexec,nosuid,nodev",
)  # fmt: skip
STOP_TIMEOUT_S = 45
# CAP_SYS_ADMIN, of linux/capability.h.
_MAY_MOUNT = 1 << 21


class ContainersFailed(Exception):
    """A program of the build or of a container has failed; the text ends with what it printed."""


def unfit() -> str:
    """Why this machine can build and run no container so, or an empty text."""
    missing = [name for name in PROGRAMS if program(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: on Debian or Ubuntu, scripts/servers installs them"
    if os.geteuid() != 0:
        return "needs root: mounts and control groups were not tried without it"
    if not _capabilities() & _MAY_MOUNT:
        return "needs root that may mount, unlike root of an ordinary container"
    return ""


def _capabilities() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [bits] = re.findall(r"^CapEff:\s+([0-9a-f]+)$", status, re.MULTILINE)
    return int(bits, 16)


@dataclass(frozen=True)
class Container:
    """A container that was started; `name` is its own."""

    name: str
    engine: "Engine"

    def stop(self) -> int:
        """Send its stop signal, wait, and return the exit code; 137 is that of a killed one."""
        self.engine.podman("stop", f"--time={STOP_TIMEOUT_S}", self.name)
        state = self.state()
        return int(state["ExitCode"])

    def state(self) -> dict[str, Any]:
        """Return what podman knows of it: `Running`, `ExitCode`, `OOMKilled` and more."""
        state: dict[str, Any] = json.loads(self.engine.podman("inspect", self.name))[0]["State"]
        return state

    def memory_bytes(self) -> int:
        """Return what its control group is charged with, files that can be dropped included."""
        shown = self.engine.podman(
            "stats", "--no-stream", "--format", "{{.MemUsageBytes}}", self.name
        )
        number, unit = shown.split()[0][:-3], shown.split()[0][-3:]
        return round(float(number) * {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit])

    def logs(self) -> str:
        """Return what it has printed."""
        return self.engine.podman("logs", self.name)


class Engine:
    """buildah and podman with images and containers in `home`, a short path that is removed later."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._env = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(home)}
        for variable, name, text in (
            ("CONTAINERS_CONF", "containers.conf", _ENGINE),
            ("CONTAINERS_STORAGE_CONF", "storage.conf", _STORAGE),
        ):
            (home / name).write_text(text.format(home=home), encoding="utf-8")
            self._env[variable] = str(home / name)

    def podman(self, *words: str) -> str:
        """Run podman and return both outputs; raise `ContainersFailed` where it fails."""
        return self._run("podman", *words)

    def make_base(self, *also: str) -> None:
        """Import the stand-in of the official base under its name, with more packages."""
        packages = ",".join((_PACKAGES, *also))
        wanted = [f"--include={packages}", f"--extract-hook={_HOOK}", _SUITE, "-"]
        argv = [_path("mmdebstrap"), "--quiet", "--variant=extract", *wanted]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._env
        ) as made:
            self._run("podman", "import", "--quiet", "-", BASE, stdin=made.stdout)
            said = made.stderr.read().decode() if made.stderr else ""
        if made.returncode:
            raise ContainersFailed(f"mmdebstrap: {said[-2000:]}")

    def download(self) -> None:
        """Download what the build installs, for the base and with the settings of this machine."""
        options = ["--no-deps", "--require-hashes", "--python-version", PYTHON]
        lock = _ROOT / "requirements" / "image.lock"
        pip = [sys.executable, "-m", "pip", "download", *options, "--only-binary=:all:"]
        pip += ["--dest", str(self._home / "wheels"), "--requirement", str(lock)]
        self._check("pip", subprocess.run(pip, capture_output=True, check=False))
        for name in ("server", "release"):
            # Into the cache that the build mounts; the installation itself is not used.
            self.install(name, self._home / f"{name}-parts")

    def install(self, lock: str, target: Path) -> None:
        """Install the parts of a lock file for the base's Python into a folder, through the cache."""
        options = ["--no-deps", "--require-hashes", "--no-build", "--python-version", PYTHON]
        uv = [str(Path(sys.prefix) / "bin" / "uv"), "pip", "install", "--system-certs", *options]
        argv = [*uv, "--target", str(target), "--requirement", f"{_ROOT}/requirements/{lock}.lock"]
        env = {**os.environ, "UV_CACHE_DIR": str(self._home / "uv"), "UV_LINK_MODE": "hardlink"}
        self._check("uv", subprocess.run(argv, env=env, capture_output=True, check=False))

    def build(self) -> None:
        """Build the image with `scripts/image`, as `make image` does, from what was downloaded."""
        options = ["--network=host", "--pull-never"]
        options += [f"--volume={self._home / name}:/{name}" for name in ("wheels", "uv")]
        for given in (
            "PIP_NO_INDEX=1",
            "PIP_FIND_LINKS=/wheels",
            "UV_OFFLINE=1",
            "UV_CACHE_DIR=/uv",
        ):
            options += ["--build-arg", given]
        env = {**self._env, "BUILDER": "buildah", "IMAGE": IMAGE}
        argv = [str(_ROOT / "scripts" / "image"), *options]
        self._check(
            "scripts/image", subprocess.run(argv, env=env, capture_output=True, check=False)
        )

    def make_image(self) -> None:
        """Make the base and download the parts at the same time, then build."""
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(self.make_base), pool.submit(self.download)]
        for one in done:
            one.result()
        self.build()

    def in_base(self, script: str, mounts: Mapping[Path, str], kept: Path) -> str:
        """Run a script of sh on the base and return what it printed.

        `mounts` are read-only; what it writes into `/kept` is in the folder `kept`, also meanwhile.
        """
        name = self._run("buildah", "from", "--pull-never", BASE).strip()
        options = [f"--volume={path}:{where}:ro" for path, where in mounts.items()]
        options.append(f"--volume={kept}:/kept")
        try:
            return self._run("buildah", "run", *options, name, "--", "sh", "-euc", script)
        finally:
            self._run("buildah", "rm", name)

    def run(self, *words: str, env: Mapping[str, str]) -> str:
        """Run a command of the image to its end and return what it printed."""
        return self.podman("run", "--rm", *self._options(env), IMAGE, *words)

    def start(
        self, name: str, *words: str, env: Mapping[str, str], options: Sequence[str] = RESTRICTED
    ) -> Container:
        """Start a container of the image on the network of this machine."""
        self.podman(
            "run", "--detach", f"--name={name}", *self._options(env, options), IMAGE, *words
        )
        return Container(name, self)

    def _options(
        self, env: Mapping[str, str], options: Sequence[str] = RESTRICTED
    ) -> Iterator[str]:
        yield from ("--network=host", *options)
        yield from (f"--env={name}={value}" for name, value in env.items())

    @contextmanager
    def files(self) -> Iterator[Path]:
        """Mount the image, to read its files."""
        yield Path(self.podman("image", "mount", IMAGE).split()[-1])
        self.podman("image", "unmount", IMAGE)

    def _run(self, name: str, *words: str, stdin: Any = subprocess.DEVNULL) -> str:
        ran = subprocess.run(
            [_path(name), *words], env=self._env, stdin=stdin, capture_output=True, check=False
        )
        return self._check(f"{name} {words[0]}", ran)

    def _check(self, what: str, ran: "subprocess.CompletedProcess[bytes]") -> str:
        said = (ran.stdout + ran.stderr).decode(errors="replace")
        if ran.returncode:
            raise ContainersFailed(f"{what} ended with {ran.returncode}: {said[-3000:]}")
        return said

    def close(self) -> None:
        """Remove all containers, and undo the mounts below the folder."""
        self.podman("rm", "--all", "--force", "--time=0")
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        for line in reversed(mounts):
            if (where := line.split()[1]).startswith(f"{self._home}/"):
                subprocess.run([_path("umount"), "--lazy", where], check=True)


@contextmanager
def engine() -> Iterator[Engine]:
    """Lend an engine with an empty folder; podman refuses paths of more than fifty characters."""
    home = Path(tempfile.mkdtemp(prefix="boxoffice-"))
    opened = Engine(home)
    try:
        yield opened
    finally:
        opened.close()
        shutil.rmtree(home)


def _path(name: str) -> str:
    """The path of a program that `unfit` has looked for."""
    found = program(name)
    if found is None:
        raise ContainersFailed(f"{name} is not there")
    return found
