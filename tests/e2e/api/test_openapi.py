"""The document says what the service does, and its page loads nothing from other hosts."""

import asyncio
import gzip
import re
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from boxoffice.app import describe, open_application
from boxoffice.catalog import rules
from boxoffice.http.api.statuses import STATUSES
from boxoffice.posters.views import PREFIX as POSTERS
from boxoffice.settings import Settings
from boxoffice.web.assets import PREFIX
from boxoffice.web.routes import CHECKOUT_PAGES, CONCERT_PAGE, PAGES
from boxoffice.web.widget import EMBED_SCRIPT, WIDGET_PAGE

from .client import Api, expect, refused
from .conftest import Running

OPERATORS = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{name}"}
CODES = re.compile(r"`([a-z_]+)`")


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    """The document as it is served."""
    found: dict[str, Any] = expect(api.get("/openapi.json"), 200).json
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation with its path and method."""
    return [
        (path, method, item)
        for path, found in document["paths"].items()
        for method, item in found.items()
    ]


def test_it_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )
        assert name.isidentifier() or re.fullmatch(r"[\w.-]+", name)


def test_it_is_the_one_that_the_command_prints(document: dict[str, Any]) -> None:
    assert describe() == document


def beside_head(methods: set[str]) -> set[str]:
    """Return the methods without HEAD, which is answered wherever GET is and nowhere else."""
    assert ("head" in methods) == ("get" in methods)
    return methods - {"head"}


def test_every_route_is_described(server: Running, document: dict[str, Any]) -> None:
    async def routes() -> dict[str, set[str]]:
        settings = Settings.of(database_url=server.database_url, valkey_url="redis://127.0.0.1:1")
        async with open_application(settings) as application:
            methods: dict[str, set[str]] = {}
            for method, path in application.http.router.routes():
                methods.setdefault(path, set()).add(method.lower())
            return {path: beside_head(found) for path, found in methods.items()}

    served = asyncio.run(routes())
    described = {path: set(item) for path, item in document["paths"].items()}
    files = (path for path in served if path.startswith((PREFIX, POSTERS)))
    pages = {*PAGES, CONCERT_PAGE, *CHECKOUT_PAGES, *files}
    undescribed = OPERATORS | pages | {"/favicon.ico", WIDGET_PAGE, EMBED_SCRIPT}
    assert described == {path: found for path, found in served.items() if path not in undescribed}
    assert set(served) >= undescribed


def test_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> set[str]:
        if isinstance(node, list):
            return {one for child in node for one in references(child)}
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own | {one for child in node.values() for one in references(child)}

    known = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "examples")
        for name in document["components"][kind]
    }
    parts = ("paths", "webhooks", "x-event-stream", "components")
    assert set().union(*(references(document[part]) for part in parts)) == known


def test_every_refusal_has_its_code_under_its_status(document: dict[str, Any]) -> None:
    for path, method, item in operations(document):
        for status, response in item["responses"].items():
            if int(status) < 400:
                continue
            codes = CODES.findall(response["description"])
            assert codes, (path, method, status)
            assert {STATUSES[code] for code in codes} == {int(status)}
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemBody"}


def test_what_every_operation_says(document: dict[str, Any]) -> None:
    ids = [item["operationId"] for _, _, item in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, item in operations(document):
        assert item["summary"], path
        assert item["description"], path
        statuses = set(item["responses"])
        assert "503" in statuses
        names = {one["name"] for one in item["parameters"]}
        is_secured = "security" in item or "Queue-Ticket" in names
        assert is_secured == ("401" in statuses) or path == "/v1/sessions"
        in_path = {one["name"] for one in item["parameters"] if one["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert not in_path or "404" in statuses
        if "requestBody" in item:
            assert {"400", "408", "413", "415", "422"} <= statuses, (path, method)


def test_no_description_is_indented(document: dict[str, Any]) -> None:
    """Markdown shows indented lines as code, and Python 3.13 removes what 3.11 leaves."""
    shown = {
        name: one.get("description", "") for name, one in document["components"]["schemas"].items()
    }
    assert sum("\n" in text for text in shown.values()) > 20
    assert [name for name, text in shown.items() if "\n " in text] == []


def test_the_keyed_calls_are_those_of_the_contract(document: dict[str, Any]) -> None:
    keyed = {
        path
        for path, _, item in operations(document)
        if any(one["name"] == "Idempotency-Key" and one["required"] for one in item["parameters"])
    }
    assert keyed == {
        "/v1/schedules/{schedule_id}/reservations",
        "/v1/schedules/{schedule_id}/waiting-list/entries",
        "/v1/payments",
        "/v1/me/wallet/top-ups",
        "/v1/payments/{payment_id}/refunds",
        "/v1/payment-intents",
        "/v1/admin/payments/{payment_id}/refunds",
        "/v1/admin/schedules/{schedule_id}/refund-jobs",
        "/v1/admin/schedules/{schedule_id}/offers/codes",
        "/v1/admin/schedules/{schedule_id}/complimentary-tickets",
        "/v1/admin/schedules/{schedule_id}/box-office-sales",
        "/v1/admin/schedules/{schedule_id}/cancel",
        "/v1/admin/schedules/{schedule_id}/postpone",
        "/v1/admin/disputes",
        "/v1/admin/venues",
        "/v1/admin/webhooks",
        "/v1/admin/webhooks/{endpoint_id}/rotate-secret",
    }


def test_the_example_of_a_seat_map_is_one(document: dict[str, Any]) -> None:
    upload = document["paths"]["/v1/admin/schedules/{schedule_id}/seats"]["post"]
    example = upload["requestBody"]["content"]["text/csv"]["example"]
    assert len(rules.parse_csv(example, 10)) == 2


def test_every_page_of_the_reference_is_complete_without_scripts(
    api: Api, document: dict[str, Any]
) -> None:
    overview = expect(api.get("/docs"), 200).raw.decode()
    names = list(dict.fromkeys(re.findall(r'href="/docs/([a-z-]+)"', overview)))
    shown: dict[str, str] = {}
    for name in names:
        page = expect(api.get(f"/docs/{name}"), 200)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        text = page.raw.decode()
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), name
        shown |= dict.fromkeys(ids, text)
        assert not re.search(r'(?:src|href)="(?!/|#)', text), name
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son\w+=", text)
        links = re.findall(r'href="/docs/[a-z-]+#([^"]+)"', text)
        assert len(links) == len(operations(document))
    for path, method, item in operations(document):
        text = shown[item["operationId"]]
        assert f"{method.upper()} {path}" in text
        for code in CODES.findall(
            " ".join(one["description"] for one in item["responses"].values())
        ):
            assert f"<code>{code}</code>" in text, (path, code)
    for name in document["webhooks"]:
        assert f"webhook_{name.replace('.', '_')}" in shown
    for topic in document["x-event-stream"]:
        assert f"topic-{topic}" in shown


def test_the_reference_is_sent_compressed_and_has_no_other_pages(api: Api) -> None:
    for path in ("/docs", "/docs/payments", "/openapi.json"):
        plain = expect(api.get(path), 200)
        packed = expect(api.get(path, headers={"Accept-Encoding": "gzip"}), 200)
        assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(packed.raw) == plain.raw
        assert len(packed.raw) * 4 < len(plain.raw)
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    refused(api.get("/docs/nowhere"), "not_found")
    page = api.get("/docs/nowhere", headers={"Accept": "text/html"})
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
