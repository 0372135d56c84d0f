"""Helm as a program, and what it renders."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
CHART, ALERTS = DEPLOY / "chart" / "boxoffice", DEPLOY / "alerts"
# The values that the checks render: each file of ci/ by its name.
VALUES = {path.name.removesuffix("-values.yaml"): path for path in (CHART / "ci").iterdir()}
NAMESPACE = "tickets"
# Kinds of other projects, which the schemas of Kubernetes do not describe.
CUSTOM = ("ServiceMonitor", "PrometheusRule", "HTTPRoute")

Document = dict[str, Any]


class UniqueKeys(yaml.CSafeLoader):  # type: ignore[misc]  # it has no types
    """Refuses a key that stands twice in a mapping: the last one would win in silence."""


def _mapping(loader: UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"a key twice, line {node.start_mark.line}: {keys}"
    return dict(loader.construct_mapping(node, deep=True))


UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@dataclass(frozen=True)
class Helm:
    """The program, with caches in a folder of its own."""

    program: Path

    def run(self, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run it; the caller looks at the code."""
        home = str(self.program.parent)
        env = {**os.environ, **{f"HELM_{x}_HOME": home for x in ("CACHE", "CONFIG", "DATA")}}
        return subprocess.run(
            [self.program, *words], env=env, capture_output=True, text=True, timeout=60, check=False
        )

    def template(
        self, *words: str | Path, release: str = "shop", chart: Path = CHART
    ) -> "subprocess.CompletedProcess[str]":
        """Render the chart."""
        return self.run("template", release, chart, "--namespace", NAMESPACE, *words)

    def rendered(self, *words: str | Path, release: str = "shop", chart: Path = CHART) -> str:
        """Return what the chart renders; fail with Helm's own words."""
        ended = self.template(*words, release=release, chart=chart)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@dataclass(frozen=True)
class Rendered:
    """The documents of one rendering."""

    documents: list[Document]

    @classmethod
    def of(cls, text: str) -> "Rendered":
        return cls([one for one in yaml.load_all(text, UniqueKeys) if one])

    def kind(self, *kinds: str) -> list[Document]:
        """The documents of these kinds."""
        return [one for one in self.documents if one["kind"] in kinds]

    def one(self, kind: str, component: str) -> Document:
        """The only document of a kind with this component ("" for the release's own)."""
        [found] = [one for one in self.kind(kind) if component_of(one["metadata"]) == component]
        return found

    def pods(self) -> Iterator[tuple[str, Document]]:
        """Yield the component and pod template (metadata, spec) of everything that runs."""
        for one in self.documents:
            if one["kind"] == "Pod":
                yield component_of(one["metadata"]), one
            elif one["kind"] in ("Deployment", "Job"):
                template = one["spec"]["template"]
                yield component_of(template["metadata"]), template

    def pod(self, component: str) -> Document:
        """The pod template of one role."""
        [found] = [pod for role, pod in self.pods() if role == component]
        return found


def component_of(metadata: Mapping[str, Any]) -> str:
    """The label that names the role."""
    return str(metadata["labels"].get("app.kubernetes.io/component", ""))


def hooks_of(document: Document) -> set[str]:
    """The events of Helm at which a document is applied; none: it belongs to the release."""
    text = document["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return set(filter(None, text.split(",")))


def container_of(pod: Document) -> Document:
    """The only container of a pod."""
    [container] = pod["spec"]["containers"]
    return dict(container)


def variables_of(pod: Document) -> dict[str, str]:
    """The variables of a pod with a value of their own."""
    return {one["name"]: one["value"] for one in container_of(pod)["env"] if "value" in one}


def secrets_of(pod: Document) -> dict[str, tuple[str, str]]:
    """The variables of a pod from a Secret, with its name and key."""
    found = {}
    for one in container_of(pod)["env"]:
        if "valueFrom" in one:
            reference = one["valueFrom"]["secretKeyRef"]
            found[one["name"]] = (reference["name"], reference["key"])
    return found


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have all of a selector's."""
    return selector.items() <= labels.items()
