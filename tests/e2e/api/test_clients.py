"""The clients buy tickets from a running shop: Python, and TypeScript where its compiler is at hand."""

import json
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import boxoffice_client
import jsonschema_rs
import pytest

from boxoffice.app import describe
from boxoffice.web.reference.document import ApiDescription
from boxoffice.web.reference.snippets import samples

from .client import Person
from .conftest import Running, join, on_sale, open_room

CLIENTS = Path(__file__).parents[3] / "clients"
INSTALL_MAX_S = 90


def test_the_python_client_buys_and_understands_refusals(
    server: Running, organizer: Person
) -> None:
    sale = on_sale(organizer, 3)
    buy = runpy.run_path(str(CLIENTS / "python" / "example.py"))["buy"]
    with boxoffice_client.Client(server.api.url) as client:
        paid = buy(client, sale.schedule_id)
        assert paid.status == "SUCCEEDED"
        assert len(paid.tickets) == 2
        again = client.get_payments_payment_id(paid.payment_id)
        assert again == paid
        with pytest.raises(boxoffice_client.ApiError) as refusal:
            client.post_schedules_schedule_id_reservations(
                sale.schedule_id,
                boxoffice_client.HoldRequest(seat_ids=[paid.tickets[0].seat_id]),
                idempotency_key=str(uuid4()),
            )
        assert refusal.value.code == "seat_taken"
        assert refusal.value.problem["seat_ids"] == [paid.tickets[0].seat_id]
        events = client.get_schedules_schedule_id_seats_events(sale.schedule_id)
        assert next(iter(events)).event == "snapshot"
        listed = client.get_me_reservations(limit=1, status="CONFIRMED")
        assert [one.reservation_id for one in listed.items] == [paid.reservation_id]


def check_event(document: dict[str, Any], path: str, event: boxoffice_client.ServerEvent) -> None:
    """An event of a stream is what the document says that it is."""
    content = document["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    kinds = {one["properties"]["event"]["const"]: one for one in content["schema"]["oneOf"]}
    schema = kinds[event.event]["properties"]["data"]["contentSchema"]
    data = json.loads(event.data)
    jsonschema_rs.validate({**schema, "components": document["components"]}, data)
    example = json.loads(content["examples"][event.event]["value"]["data"])
    assert set(data) <= set(example), event.event


def test_events_of_streams_are_those_of_the_document(
    server: Running, organizer: Person, buyer: Person
) -> None:
    document = describe()
    sale = on_sale(organizer, 2)
    with boxoffice_client.Client(server.api.url, buyer.api.token) as client:
        seats = client.get_schedules_schedule_id_seats_events(sale.schedule_id)
        found = [next(seats)]
        client.post_schedules_schedule_id_reservations(
            sale.schedule_id,
            boxoffice_client.HoldRequest(quantity=2),
            idempotency_key=str(uuid4()),
        )
        while found[-1].event != "sale":
            found.append(next(seats))
        assert {one.event for one in found} >= {"snapshot", "changes", "sale"}
        for one in found:
            check_event(document, "/v1/schedules/{schedule_id}/seats/events", one)
        waited_for = on_sale(organizer, 2)
        open_room(organizer, waited_for)
        ticket = join(buyer, waited_for)["queue_ticket"]
        queue = client.get_schedules_schedule_id_queue_events(
            waited_for.schedule_id, queue_ticket=ticket
        )
        check_event(document, "/v1/schedules/{schedule_id}/queue/events", next(queue))


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript client, its example and all samples of the reference, compiled."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("needs node and npm: the TypeScript client is not compiled")
    folder = tmp_path_factory.mktemp("typescript")
    for path in (CLIENTS / "typescript").iterdir():
        if path.suffix in (".ts", ".json"):
            shutil.copy(path, folder)
    (folder / "samples.ts").write_text(all_samples(describe()))
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(
            install, cwd=folder, capture_output=True, text=True, timeout=INSTALL_MAX_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("needs the npm registry: the TypeScript client is not compiled")
    if done.returncode != 0:
        pytest.skip("needs the npm registry: the TypeScript client is not compiled")
    built = subprocess.run(
        [npm, "run", "--silent", "build"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout
    return folder / "built"


def all_samples(document: dict[str, Any]) -> str:
    """Every sample of the reference as one module, each in a block of its own."""
    found = ApiDescription(document)
    programs = [
        dict(samples(found, one))["TypeScript"].partition("\n\n")[2]
        for operations in found.operations.values()
        for one in operations
    ]
    head = 'import { Client } from "./boxoffice.js";\ndeclare const token: string, picture: Blob;\n'
    return head + "".join(f"{{\n{program}\n}}\n" for program in programs)


def test_the_typescript_client_buys(server: Running, organizer: Person, compiled: Path) -> None:
    sale = on_sale(organizer, 2)
    argv = ["node", str(compiled / "example.js"), server.api.url, sale.schedule_id]
    bought = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert bought.returncode == 0, bought.stderr
    order_number, *tickets = bought.stdout.split()
    assert len(order_number) == len("4KX7-92MQ-X")
    assert len(tickets) == 2
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "409 sold_out" in refused.stderr
