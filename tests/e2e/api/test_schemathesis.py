"""The document and the service agree, however they are asked: schemathesis with all its checks."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boxoffice.app import describe
from boxoffice.settings import Settings
from tests.conftest import Servers
from tests.support.database import copied_database
from tests.support.simulators import Simulators

from .client import Person, Sale, expect, sign_up
from .conftest import (
    Running,
    check_books,
    draft,
    hold,
    join,
    make_organizer,
    on_sale,
    open_room,
    rich,
    running,
    undescribed,
)
from .money_to_ask_about import Parties, money_to_ask_about

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
# A line per finding that the hooks forgave, in the folder of the run.
FORGIVEN = "forgiven.txt"
RUN_MAX_S = 1_400
# What no random request makes succeed, because it needs a membership, a current version, a picture, a
# password or a link in a mail;
# each has tests of its own.
OWN_TESTS = {
    "POST /v1/email-confirmations",
    "POST /v1/password-resets/confirm",
    "PUT /v1/me/email",
    "PUT /v1/me/password",
    "DELETE /v1/admin/concerts/{concert_id}",
    "DELETE /v1/admin/organizations/{organization_id}/brand/logo",
    "DELETE /v1/admin/organizations/{organization_id}/invitations/{invitation_id}",
    "DELETE /v1/admin/organizations/{organization_id}/members/{user_id}",
    "DELETE /v1/admin/schedules/{schedule_id}",
    "DELETE /v1/admin/venues/{venue_id}",
    "DELETE /v1/me/organizations/{organization_id}",
    "DELETE /v1/waiting-list-entries/{entry_id}",
    "GET /v1/admin/concerts/{concert_id}",
    "GET /v1/admin/concerts/{concert_id}/poster",
    "GET /v1/admin/issues/{issue_id}",
    "GET /v1/admin/organizations/{organization_id}/brand",
    "GET /v1/admin/organizations/{organization_id}/invitations",
    "GET /v1/admin/organizations/{organization_id}/members",
    "GET /v1/admin/organizations/{organization_id}/report-mails",
    # Two days in order, at most a year apart.
    "GET /v1/admin/reports/sales",
    "GET /v1/admin/reports/sales/export",
    "GET /v1/admin/reports/settlement",
    "GET /v1/admin/reports/settlement/export",
    "GET /v1/organizations/{organization_id}/brand",
    "PATCH /v1/admin/concerts/{concert_id}",
    "PATCH /v1/admin/concerts/{concert_id}/poster",
    "PATCH /v1/admin/organizations/{organization_id}",
    "PATCH /v1/admin/organizations/{organization_id}/brand",
    "PATCH /v1/admin/organizations/{organization_id}/members/{user_id}",
    "PATCH /v1/admin/schedules/{schedule_id}",
    "PATCH /v1/admin/venues/{venue_id}",
    "POST /v1/admin/concerts/{concert_id}/unpublish",
    "POST /v1/admin/issues/{issue_id}/void",
    "POST /v1/admin/organizations/{organization_id}/invitations",
    "POST /v1/admin/organizer-applications/{application_id}/approve",
    "POST /v1/admin/schedules/{schedule_id}/box-office-sales",
    "POST /v1/admin/schedules/{schedule_id}/cancel",
    "POST /v1/admin/schedules/{schedule_id}/complimentary-tickets",
    "POST /v1/admin/schedules/{schedule_id}/postpone",
    "POST /v1/invitations/accept",
    "POST /v1/schedules/{schedule_id}/waiting-list/entries",
    "PUT /v1/admin/concerts/{concert_id}/poster",
    "PUT /v1/admin/organizations/{organization_id}/brand/logo",
    "PUT /v1/admin/organizations/{organization_id}/report-mails",
    "PUT /v1/admin/schedules/{schedule_id}/offers",
    "PUT /v1/admin/schedules/{schedule_id}/offers/seats",
}
# How often operations that never succeeded are tried once more.
AGAIN_MAX = 4
STILL_THERE = "Deleted resource still available"
NOT_YET_THERE = "Created resource not found"
DOCUMENT = "document.json"
EXAMPLES = re.compile(r"Examples \(in .*?\)\s+.*?(\d+) passed", re.DOTALL)
CASES = re.compile(r"^\s*(\d+) generated", re.MULTILINE)


@pytest.fixture(scope="module")
def shop(
    servers: Servers,
    template: str,
    simulator_processes: Simulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A shop of its own: what is tried here does not meet what other tests left."""
    asyncio.run(simulator_processes.reset())
    log = tmp_path_factory.mktemp("schemathesis") / "serve.log"
    with (
        copied_database(servers.database_url, template) as database_url,
        # Schemathesis reads every answer to its end, and a stream has none before its life is over.
        running(
            database_url,
            servers.valkey_url,
            log,
            stream_lifetime_ms="20",
            **simulator_processes.values,
        ) as server,
    ):
        yield server


# A shared code that the configuration knows as well.
OFFER_CODE = "FRIENDS"


def write(folder: Path, name: str, *values: str) -> None:
    """Write a dictionary in the format that schemathesis shares with fuzzers."""
    lines = (json.dumps(value) + "\n" for value in values)
    (folder / f"{name}.dict").write_text("".join(lines))


def prepare(folder: Path, shop: Running, simulators: Simulators, valkey_url: str) -> None:
    """Put the configuration, some people and the ids of real things into `folder`."""
    buyer, other, organizer = rich(shop.api), rich(shop.api), make_organizer(shop)
    sale = on_sale(organizer, 500, ticket_limit=1000)
    for path in ("/v1/sessions", "/v1/me/sessions"):
        expect(sign_up(shop.api).api.call("DELETE", path), 204)
    leaving = sign_up(shop.api).api
    [session] = expect(leaving.get("/v1/me/sessions"), 200).json["items"]
    expect(leaving.delete(f"/v1/me/sessions/{session['session_id']}"), 204)
    operator = make_organizer(shop, "operator")
    people = {"buyer": buyer, "other": other, "organizer": organizer, "operator": operator}
    (folder / "people.json").write_text(
        json.dumps({"auth": [_entry(*one) for one in people.items()]})
    )
    held = [_held(buyer, sale, seat_id) for seat_id in sale.seat_ids[:4]]
    order = {"reservation_id": held[0], "method": "wallet"}
    paid = expect(buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    write(folder, "concerts", sale.concert_id)
    write(folder, "schedules", sale.schedule_id)
    write(folder, "drafts", draft(organizer, 0).schedule_id)
    write(folder, "closing", on_sale(organizer, 1).schedule_id)
    write(folder, "taken_down", on_sale(organizer, 1).concert_id)
    write(folder, "reservations", *held)
    # What is paid or looked at elsewhere is not what is given back.
    write(folder, "ending_reservations", *(_held(buyer, sale, seat) for seat in sale.seat_ids[4:6]))
    parties = Parties(shop, simulators, buyer, organizer, operator)
    settings = Settings.of(database_url=shop.database_url, valkey_url=valkey_url)
    money = money_to_ask_about(parties, settings)
    for name, ids in money.items():
        write(folder, name, *ids)
    write(folder, "payments", paid, *money["provider_payments"])
    write(folder, "seats", *sale.seat_ids)
    _change_seats(organizer)
    offered = on_sale(organizer, 3)
    codes = f"/v1/admin/schedules/{offered.schedule_id}/offers/codes"
    batch = {"name": "Friends", "code": OFFER_CODE}
    made = expect(organizer.api.keyed(codes, batch), 201).json["batch_id"]
    write(folder, "offered", offered.schedule_id)
    write(folder, "batches", made)
    endpoints = [_endpoint(organizer) for _ in range(2)]
    tested = f"/v1/admin/webhooks/{endpoints[0]}/test"
    event = expect(organizer.api.keyed(tested, {}), 202).json["event_id"]
    replay = f"/v1/admin/webhooks/{endpoints[0]}/deliveries/{event}/replay"
    expect(organizer.api.keyed(replay, {}), 202)
    write(folder, "endpoints", endpoints[0])
    write(folder, "ending_endpoints", endpoints[1])
    write(folder, "events", event)
    # Who has left one room would find nothing to ask for there, so that there are two.
    for room, tickets in (("rooms", "tickets"), ("left_rooms", "left_tickets")):
        waited_for = on_sale(organizer, 3)
        open_room(organizer, waited_for)
        write(folder, room, waited_for.schedule_id)
        write(folder, tickets, *(join(one, waited_for)["queue_ticket"] for one in (buyer, other)))
    configuration = CONFIG.read_text()
    if examples := os.environ.get("BOXOFFICE_TEST_EXAMPLES"):
        # The fault suite's long run: more cases, others each time, from a seed that it prints.
        configuration = configuration.replace("max-examples = 40", f"max-examples = {examples}")
        configuration = configuration.replace("deterministic = true\n", "")
    (folder / CONFIG.name).write_text(configuration)


def _change_seats(organizer: Person) -> None:
    """Change seats once: random requests rarely name a section that their schedule has."""
    path = f"/v1/admin/schedules/{on_sale(organizer, 3).schedule_id}/seats"
    for name, more in (("block", {"reason": "broken"}), ("release", {}), ("reprice", {"price": 1})):
        changed = expect(organizer.api.post(f"{path}/{name}", {"section": "A", **more}), 200)
        assert len(changed.json["changed"]) == 3, name


def _entry(name: str, person: Person) -> dict[str, Any]:
    header = {"name": "Authorization", "value": f"Bearer {person.api.token}"}
    return {"name": name, "fixedHeaders": [header]}


def _endpoint(organizer: Person) -> str:
    body = {"url": "https://example.org/hook"}
    made = expect(organizer.api.keyed("/v1/admin/webhooks", body), 201)
    return str(made.json["endpoint_id"])


def _held(person: Person, sale: Sale, seat_id: str) -> str:
    return str(hold(person, sale, seat_id).json["reservation_id"])


def run(folder: Path, document: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with all its checks, and with what the hooks tell it of the shop."""
    argv = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG.name, "run", document,
        "--checks", "all", "--continue-on-failure", "--no-color", *options,
    ]  # fmt: skip
    told = {"SCHEMATHESIS_HOOKS": str(HOOKS), "BOXOFFICE_TEST_FORGIVEN": str(folder / FORGIVEN)}
    env = os.environ | told
    return subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, timeout=RUN_MAX_S, check=False
    )


def forgiven(folder: Path) -> Counter[str]:
    """Return what the hooks forgave in a run, and how often."""
    file = folder / FORGIVEN
    return Counter(file.read_text().splitlines() if file.exists() else ())


@pytest.fixture(scope="module")
def folder(
    servers: Servers,
    shop: Running,
    simulator_processes: Simulators,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Where schemathesis finds what it needs, and leaves what it writes."""
    made = tmp_path_factory.mktemp("run")
    prepare(made, shop, simulator_processes, servers.valkey_url)
    return made


def test_schemathesis_finds_what_is_wrong(shop: Running, folder: Path) -> None:
    # The negative control: a document that keeps silent about one refusal, and lies about one member.
    document = expect(shop.api.get("/openapi.json"), 200).json
    path = "/v1/concerts/{concert_id}"
    del document["paths"][path]["get"]["responses"]["404"]
    document["components"]["schemas"]["ConcertPage"]["properties"]["title"] = {"type": "integer"}
    (folder / "wrong.json").write_text(json.dumps(document))
    done = run(folder, "wrong.json", "--url", shop.api.url, "--include-path", path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Undocumented status code" in done.stdout
    assert "Response violates schema" in done.stdout


def about_real_things(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the document whose examples name what exists: the first entry of each dictionary."""
    settings = tomllib.loads(CONFIG.read_text())
    for rule in settings["operations"]:
        for key, source in rule.get("parameters", {}).items():
            place, _, name = key.partition(".")
            value = first_entry(settings["dictionaries"][source["dictionary"]], folder)
            for operation in named(rule, document):
                method, path = operation.split()
                change_example(
                    document, document["paths"][path][method.lower()], place, name, value
                )
    return document


def first_entry(dictionary: dict[str, Any], folder: Path) -> Any:
    """Return the first value of a dictionary."""
    if "values" in dictionary:
        return dictionary["values"][0]
    return json.loads((folder / dictionary["from-file"]).read_text().splitlines()[0])


def change_example(
    document: dict[str, Any], operation: dict[str, Any], place: str, name: str, value: object
) -> None:
    """Put a value into an example of a parameter or a body."""
    for parameter in operation["parameters"]:
        if (parameter["in"], parameter["name"]) == (place, name):
            parameter["example"] = value
    if place != "body":
        return
    content = operation["requestBody"]["content"]["application/json"]
    body = content["examples"]["example"]
    if "$ref" in body:
        body = document["components"]["examples"][body["$ref"].rpartition("/")[2]]
    body = body["value"]
    if name in body:
        content["examples"] = {"example": {"value": {**body, name: value}}}


@pytest.mark.timeout(RUN_MAX_S)  # every operation, many times: longer than any other test
def test_schemathesis_finds_nothing(shop: Running, folder: Path) -> None:
    seed = os.environ.get("BOXOFFICE_TEST_SEED")
    document = expect(shop.api.get("/openapi.json"), 200).json
    (folder / DOCUMENT).write_text(json.dumps(about_real_things(document, folder)))
    done = run(folder, DOCUMENT, "--url", shop.api.url, *(["--seed", seed] if seed else []))
    found = CASES.search(done.stdout)
    examples = EXAMPLES.search(done.stdout)
    assert examples, done.stdout
    print(f"\nschemathesis examples: {examples[1]}")
    spared = forgiven(folder)
    print(f"\nschemathesis cases: {found[1] if found else 0}")
    print(f"schemathesis forgiven: {spared.total()}")
    assert done.returncode == 0, done.stdout + done.stderr
    ended = (
        "/v1/reservations/{reservation_id}",
        "/v1/payment-intents/{intent_id}",
        "/v1/admin/concerts/{concert_id}/poster",
        "/v1/admin/featured-concert",
    )
    not_yet = f"{NOT_YET_THERE}: POST /v1/admin/concerts"
    assert set(spared) <= {not_yet, *(f"{STILL_THERE}: DELETE {path}" for path in ended)}
    try_again_what_never_succeeded(shop, folder, document)
    expect(shop.api.get("/readyz"), 200)
    assert shop.stop() == 0
    seen = shop.requests()
    assert undescribed(seen, document) == set()
    assert [line for line in seen if line["status"] >= 500] == []
    assert unsuccessful(seen, document) <= OWN_TESTS
    check_books(shop.database_url)


def try_again_what_never_succeeded(shop: Running, folder: Path, document: dict[str, Any]) -> None:
    """Ask for these operations alone, with other values: some succeed with few random requests."""
    for _ in range(AGAIN_MAX):
        missed = sorted(unsuccessful(shop.requests(), document) - OWN_TESTS)
        if not missed:
            return
        named_ones = [text for name in missed for text in ("--include-name", name)]
        done = run(folder, DOCUMENT, "--url", shop.api.url, *named_ones)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_refusal_is_taken_for_granted_that_is_not_described() -> None:
    document = describe()
    rules = tomllib.loads(CONFIG.read_text())["operations"]
    for rule in (one for one in rules if "checks" in one):
        [(name, check)] = rule["checks"].items()
        assert name == "positive_data_acceptance"
        for operation in named(rule, document):
            method, path = operation.split()
            described = set(document["paths"][path][method.lower()]["responses"])
            assert set(check["expected-statuses"]) - {"2xx"} <= described, operation
    assert not [one for one in rules if "include-method" in one]


def named(rule: dict[str, Any], document: dict[str, Any]) -> set[str]:
    """Return the operations that a rule of the configuration is about, none of which is unknown."""
    paths, names = listed(rule.get("include-path", [])), listed(rule.get("include-name", []))
    if "include-path-regex" in rule:
        paths = [path for path in document["paths"] if re.search(rule["include-path-regex"], path)]
    found = {f"{method.upper()} {path}" for path in paths for method in document["paths"][path]}
    assert found or names, rule
    return found | set(names)


def listed(value: str | list[str]) -> list[str]:
    """Return one value, or several, as a list."""
    return [value] if isinstance(value, str) else value


def unsuccessful(requests: list[dict[str, Any]], document: dict[str, Any]) -> set[str]:
    """Return the operations that never succeeded: of those, little was tried."""
    done = Counter(f"{line['method']} {line['route']}" for line in requests if line["code"] == "ok")
    all_of_them = {
        f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
    }
    return all_of_them - set(done)
