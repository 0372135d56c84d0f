"""checkov finds what is listed here with its reason, and nothing else."""

import json
import os
import subprocess
from pathlib import Path

from tests.programs import environment_program

# Check, name of the values ("*": all), component ("*": all): why it stays.
_ACCEPTED = {
    (
        "CKV_K8S_35",
        "*",
        "*",
    ): "settings are variables; no secret is ever written to a log or a page",
    ("CKV_K8S_43", "default", "*"): "no registry has the image: only the operator knows a digest",
    ("CKV_K8S_43", "bare", "*"): "the same",
    ("CKV_K8S_43", "ipv6", "*"): "the same; the production values name one",
    ("CKV_K8S_15", "*", "*"): "a pod that starts during a sale must not wait for the registry",
    ("CKV_K8S_8", "*", "test"): "the pod of `helm test` ends by itself",
    ("CKV_K8S_9", "*", "test"): "the same",
    ("CKV2_K8S_6", "bare", "*"): "these values turn the policies off",
}
_COMPONENTS = ("archive", "auditor", "cashier", "messenger", "relay", "sweep", "migrate", "test")


def test_checkov_finds_nothing_that_is_not_accepted(texts: dict[str, str], tmp_path: Path) -> None:
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    found, passed = _findings(tmp_path)
    # Otherwise it did not read them.
    assert passed > 2_000
    unexpected = {one for one in found if not any(_accepts(key, one) for key in _ACCEPTED)}
    assert unexpected == set()
    unused = {key for key in _ACCEPTED if not any(_accepts(key, one) for one in found)}
    assert unused == set()


def _accepts(key: tuple[str, str, str], found: tuple[str, str, str]) -> bool:
    return all(ours in ("*", theirs) for ours, theirs in zip(key, found, strict=True))


def _findings(folder: Path) -> tuple[set[tuple[str, str, str]], int]:
    """Return the failed checks by values and component, and how many passed."""
    words = ("--directory", folder, "--framework", "kubernetes", "--output", "json")
    alone = ("--quiet", "--compact", "--soft-fail", "--skip-download")
    ended = subprocess.run(
        [environment_program("checkov", "checkov"), *words, *alone],
        # It asks for nothing on the network, and must not look for an account.
        env={**os.environ, "HOME": str(folder), "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    report = json.loads(ended.stdout)
    failed = {
        (one["check_id"], Path(one["file_path"]).stem, _component(one["resource"]))
        for one in report["results"]["failed_checks"]
    }
    return failed, report["summary"]["passed"]


def _component(resource: str) -> str:
    """`Deployment.tickets.shop-boxoffice-relay` is relay."""
    name = resource.split(".")[2]
    return next((one for one in _COMPONENTS if name.endswith(f"-{one}")), "serve")
