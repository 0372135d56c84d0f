"""What is rendered fits the schemas of three versions of Kubernetes, and of the operators beside it."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache

import jsonschema  # type: ignore[import-untyped]  # it has no types
import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

from tests.tools.chart.helm import CHART, CUSTOM, Document, Rendered

# The oldest that the chart admits, one between, and the newest with a schema.
VERSIONS = ("1.33", "1.35", "1.37")

_TEXT = {"type": "string", "minLength": 1}
_LABELS = {"type": "object", "additionalProperties": _TEXT}


def _closed(required: list[str], **properties: object) -> Document:
    """The schema of an object without other properties."""
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": properties,
    }


def _list(of: Document) -> Document:
    return {"type": "array", "minItems": 1, "items": of}


_NAMED = _closed(["name", "key"], name=_TEXT, key=_TEXT)
# The parts that the chart uses, by the references of prometheus-operator and the Gateway API; their own
# definitions were not at hand.
_SPECS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _closed(
        ["selector", "endpoints"],
        jobLabel=_TEXT,
        namespaceSelector=_closed(["matchNames"], matchNames=_list(_TEXT)),
        selector=_closed(["matchLabels"], matchLabels=_LABELS),
        endpoints=_list(
            _closed(
                ["port"],
                port=_TEXT,
                path=_TEXT,
                interval=_TEXT,
                scrapeTimeout=_TEXT,
                authorization=_closed(["credentials"], credentials=_NAMED),
                relabelings=_list(
                    _closed(
                        ["sourceLabels", "targetLabel"],
                        sourceLabels=_list(_TEXT),
                        targetLabel=_TEXT,
                    )
                ),
            )
        ),
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _closed(
        ["groups"], groups=_list({"type": "object", "required": ["name", "rules"]})
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _closed(
        ["parentRefs", "rules"],
        parentRefs=_list(_closed(["name"], name=_TEXT, namespace=_TEXT)),
        hostnames=_list(_TEXT),
        rules=_list(
            _closed(
                ["backendRefs"],
                matches=_list(
                    _closed(
                        ["path"],
                        path=_closed(["type", "value"], type={"const": "PathPrefix"}, value=_TEXT),
                    )
                ),
                backendRefs=_list(_closed(["name", "port"], name=_TEXT, port={"type": "integer"})),
            )
        ),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def schemas_read_once() -> Iterator[None]:
    """The validator reads megabytes of definitions for each document."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", cache(utils.schema_contents))
        yield


@pytest.mark.parametrize("version", VERSIONS)
def test_the_resources_fit_the_schemas(renderings: dict[str, Rendered], version: str) -> None:
    for name, rendered in renderings.items():
        for one in rendered.documents:
            if one["kind"] not in CUSTOM:
                checked = kubernetes_validate.validate(one, version, strict=True)
                assert checked == version, f"{name}: {one['kind']}"


def test_the_oldest_of_them_is_what_the_chart_admits() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={VERSIONS[0]}.0-0"


@pytest.mark.parametrize("kind", ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "Job"])
def test_the_check_can_fail(renderings: dict[str, Rendered], kind: str) -> None:
    broken = deepcopy(renderings["default"].kind(kind)[0])
    broken["spec"]["colour"] = "red"
    with pytest.raises(kubernetes_validate.ValidationError, match="colour"):
        kubernetes_validate.validate(broken, VERSIONS[-1], strict=True)


def test_the_resources_of_operators_have_the_parts_that_these_know(
    renderings: dict[str, Rendered],
) -> None:
    seen = set()
    for rendered in renderings.values():
        for one in rendered.kind(*CUSTOM):
            key = (one["apiVersion"], one["kind"])
            jsonschema.validate(one["spec"], _SPECS[key])
            seen.add(key)
    assert seen == set(_SPECS)
