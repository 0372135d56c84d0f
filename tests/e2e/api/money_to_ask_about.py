"""Money that schemathesis asks about: paid through simulated providers, returned, disputed, compared.

Each operation that needs what only a provider or a cashier brings about succeeds here once; a request
made at random would not find it. The ids of what was made are returned for others to be found by.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from boxoffice.settings import Settings
from tests.support.shop import Role
from tests.support.simulators import Simulators

from .client import Answer, Person, Sale, expect
from .conftest import Running, draft, hold, on_sale

# A code with which the provider refuses a refund for good.
_REFUSED = {"fault": "decline", "operation": "refund", "code": "REFUND_REJECTED", "times": 0}
_STATEMENTS = "/v1/admin/statements/toss/days"
# The calendar of the provider's statement.
_CALENDAR = ZoneInfo("Asia/Seoul")
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Bought:
    """A payment through a provider, and the provider's name of it."""

    payment_id: str
    payment_key: str
    amount: int


@dataclass(frozen=True)
class Parties:
    """A shop at the simulated providers, and who deals in it."""

    shop: Running
    simulators: Simulators
    buyer: Person
    organizer: Person
    operator: Person

    def opened(self, sale: Sale, seat: str, method: str) -> dict[str, Any]:
        """Hold a seat and make an intent for it."""
        held = hold(self.buyer, sale, seat).json["reservation_id"]
        body = {"reservation_id": held, "method": method}
        intent: dict[str, Any] = expect(self.buyer.api.keyed("/v1/payment-intents", body), 201).json
        return intent

    def bought(self, sale: Sale, seat: str, method: str = "toss") -> Bought:
        """Pay a seat through a provider."""
        intent = self.opened(sale, seat, method)
        values = {"order_id": intent["intent_id"], "amount": intent["amount"]}
        if "payment_key" in intent["client"]:
            values["payment_key"] = intent["client"]["payment_key"]
        simulator = getattr(self.simulators, method)
        key = asyncio.run(simulator.do("authorize", **values))["payment_key"]
        back = {"payment_key": key, "order_id": intent["intent_id"], "amount": intent["amount"]}
        done = expect(self.buyer.api.post(f"{_path(intent)}/confirm", back), 200).json
        return Bought(done["payment_id"], key, intent["amount"])


def _path(intent: dict[str, Any]) -> str:
    return f"/v1/payment-intents/{intent['intent_id']}"


def put(person: Person, path: str, body: object) -> Answer:
    """Send a PUT that succeeds."""
    return expect(person.api.call("PUT", path, json_body=body), 200)


def money_to_ask_about(parties: Parties, settings: Settings) -> dict[str, list[str]]:
    """Make payments and what follows them; return the ids by the name of their dictionary.

    `settings` are those of the servers, for a cashier that does its part and ends.
    """
    sale = on_sale(parties.organizer, 20, ticket_limit=1000)
    return {
        **_intents(parties, sale),
        **_refunds(parties, sale),
        **_policy(parties),
        **_disputes(parties, sale),
        **_after_the_cashier(parties, sale, settings),
    }


def _intents(parties: Parties, sale: Sale) -> dict[str, list[str]]:
    ended, kept = (parties.opened(sale, seat, "toss") for seat in ("A-1-1", "A-1-2"))
    expect(parties.buyer.api.delete(_path(ended)), 204)
    expect(parties.buyer.api.get(_path(ended)), 200)
    return {"intents": [kept["intent_id"]]}


def _refunds(parties: Parties, sale: Sale) -> dict[str, list[str]]:
    held = hold(parties.buyer, sale, "A-1-3").json["reservation_id"]
    order = {"reservation_id": held, "method": "wallet"}
    paid = expect(parties.buyer.api.keyed("/v1/payments", order), 201).json["payment_id"]
    path = f"/v1/payments/{paid}"
    quote = expect(parties.buyer.api.get(f"{path}/refund-quote"), 200).json
    body = {"expected_refund": quote["refund"]}
    refund = expect(parties.buyer.api.keyed(f"{path}/refunds", body), 201)
    expect(parties.buyer.api.get(refund.headers["location"]), 200)
    return {
        "refunds": [refund.json["refund_id"]],
        "provider_payments": [parties.bought(sale, "A-1-4").payment_id],
    }


def _policy(parties: Parties) -> dict[str, list[str]]:
    schedule_id = draft(parties.organizer, 1).schedule_id
    path = f"/v1/admin/schedules/{schedule_id}/refund-policy"
    put(parties.organizer, path, {"preset": "kr_market"})
    return {"unopened": [schedule_id]}


def _disputes(parties: Parties, sale: Sale) -> dict[str, list[str]]:
    """Enter two disputes and end one; the other waits for its outcome."""
    ended, kept = (_disputed(parties, sale, seat) for seat in ("A-1-5", "A-1-6"))
    outcome = {"outcome": "won", "happened_at": datetime.now(UTC).isoformat()}
    put(parties.operator, f"/v1/admin/disputes/{ended}/outcome", outcome)
    return {"disputes": [kept]}


def _disputed(parties: Parties, sale: Sale, seat: str) -> str:
    bought = parties.bought(sale, seat, "stripe")
    body = {
        "payment_id": bought.payment_id,
        "amount": bought.amount,
        "reason": "fraudulent",
        "happened_at": datetime.now(UTC).isoformat(),
    }
    made = expect(parties.operator.api.keyed("/v1/admin/disputes", body), 201)
    return str(made.json["dispute_id"])


def _after_the_cashier(parties: Parties, sale: Sale, settings: Settings) -> dict[str, list[str]]:
    """Leave work for a cashier, let it work, and do what operators do about the rest."""
    days = {_today()}
    asyncio.run(parties.simulators.toss.set_faults(_REFUSED))
    refused = [_refund_to_refuse(parties, sale, seat) for seat in ("A-1-7", "A-1-8")]
    for seat in ("A-1-9", "A-1-10"):
        _returned_at_the_provider(parties, parties.bought(sale, seat))
    _notice(parties)
    job = _refund_job(parties)
    days.add(_today())
    for day in days:
        expect(parties.operator.api.post(f"{_STATEMENTS}/{day}"), 202)
    cashier = Role("cashier", settings, **parties.simulators.values, cashier_interval_ms=50)
    try:
        _until(lambda: _compared(parties, days) and _manual(parties) >= set(refused))
    finally:
        cashier.stop()
    asyncio.run(parties.simulators.toss.set_faults())
    note = {"note": "Paid by bank transfer."}
    put(parties.operator, f"/v1/admin/refunds/{refused[0]}/resolution", note | {"to": "outside"})
    ended, *findings = _findings(parties)
    put(parties.operator, f"/v1/admin/findings/{ended}/resolution", note)
    # A day that is asked for anew has no result until a cashier has compared it.
    asked = min(days) - timedelta(days=20)
    expect(parties.operator.api.post(f"{_STATEMENTS}/{asked}"), 202)
    return job | {
        "manual_refunds": refused,
        "findings": findings,
        "compared_days": sorted(map(str, days)),
        "asked_days": [str(asked)],
    }


def _refund_to_refuse(parties: Parties, sale: Sale, seat: str) -> str:
    bought = parties.bought(sale, seat)
    path = f"/v1/admin/payments/{bought.payment_id}/refunds"
    refund = expect(parties.organizer.api.keyed(path, {"expected_refund": bought.amount}), 201).json
    return str(refund["refund_id"])


def _returned_at_the_provider(parties: Parties, bought: Bought) -> None:
    toss = parties.simulators.toss
    asyncio.run(toss.do("foreign_refund", payment_key=bought.payment_key, amount=1_000))


def _notice(parties: Parties) -> None:
    """Let the provider send what it has to report, and then be silent again."""
    toss = parties.simulators.toss
    asyncio.run(toss.set_notices(url=f"{parties.shop.api.url}/v1/webhooks/toss"))
    answers = asyncio.run(toss.flush_notices())
    assert answers, "no notice was waiting"
    assert set(answers) == {200}, answers
    asyncio.run(toss.set_notices())


def _refund_job(parties: Parties) -> dict[str, list[str]]:
    sale = on_sale(parties.organizer, 2)
    path = f"/v1/admin/schedules/{sale.schedule_id}"
    expect(parties.organizer.api.post(f"{path}/close"), 200)
    job = expect(parties.organizer.api.keyed(f"{path}/refund-jobs", {}), 202)
    expect(parties.organizer.api.get(job.headers["location"]), 200)
    return {"closed": [sale.schedule_id], "jobs": [job.json["job_id"]]}


def _today() -> date:
    return datetime.now(_CALENDAR).date()


def _compared(parties: Parties, days: set[date]) -> bool:
    ask = parties.operator.api.get
    paths = [f"{_STATEMENTS}/{day}{form}" for day in days for form in ("", "/csv")]
    return all(ask(path).status == 200 for path in paths)


def _manual(parties: Parties) -> set[str]:
    found = expect(parties.operator.api.get("/v1/admin/refunds"), 200).json["items"]
    return {one["refund_id"] for one in found}


def _findings(parties: Parties) -> list[str]:
    found = expect(parties.operator.api.get("/v1/admin/findings"), 200).json["items"]
    ids = [one["finding_id"] for one in found if one["kind"] == "foreign_cancel"]
    assert len(ids) >= 2, found
    return ids


def _until(holds: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < ends_at, "the cashier has not done its part"
        time.sleep(0.1)
