"""The Dockerfile: its linter's rules, and what neither a linter nor a build would notice."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.programs import environment_program

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy/Dockerfile"


def test_hadolint_finds_nothing() -> None:
    hadolint = environment_program("programs", "hadolint")
    ran = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_hadolint_can_find_something(tmp_path: Path) -> None:
    spoilt = tmp_path / "Dockerfile"
    spoilt.write_text("FROM python\nRUN cd /tmp && pip install boxoffice\n", encoding="utf-8")
    hadolint = environment_program("programs", "hadolint")
    ran = subprocess.run([hadolint, spoilt], capture_output=True, text=True, check=False)
    assert {"DL3006", "DL3003", "DL3013"} <= set(re.findall(r"DL\d{4}", ran.stdout))


def test_every_installation_checks_hashes_or_fetches_nothing() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"(?:pip --python \S+|uv pip) install ([^&\n]*)", text)
    assert len(installs) == 4
    for options in installs:
        assert {"--require-hashes", "--no-index"} & set(options.split())


@pytest.mark.parametrize("name", ["boxoffice_loadtest", "boxoffice_simulators", "**/__pycache__"])
def test_the_context_has_nothing_that_is_not_copied(name: str) -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert any(line.strip("/").endswith(name) for line in rules)


def test_the_context_has_all_that_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line.removeprefix("!").strip("/") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    names = {name for line in copied for name in line.split()[:-1]}
    assert names
    assert {name for name in names if name.partition("/")[0] not in allowed} == set()
    assert all((ROOT / name).exists() for name in names)


@pytest.mark.parametrize(
    ("builder", "said"),
    [("kaniko", "must be docker, podman or buildah"), ("", "needs docker with its daemon")],
)
def test_make_image_says_what_it_needs(builder: str, said: str, tmp_path: Path) -> None:
    for name in ("sh", "sed", "git", "dirname", "env"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    ran = subprocess.run(
        [tmp_path / "sh", ROOT / "scripts/image"],
        env={"PATH": str(tmp_path), "BUILDER": builder},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert said in ran.stderr
