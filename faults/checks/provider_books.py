"""Comparison of a provider's book with the ledger, to the won, after a sale through providers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings
from faults.checks.provider_calls import ConfirmCall, sent_elsewhere

_SQL = sql_files.load("faults")
# Kinds of movements towards the shop.
_IN = frozenset({"capture", "refund_failed", "dispute_won"})
# A buyer who was told so has the last word; money that comes later is owed back.
_FOR_GOOD = frozenset({"SUCCEEDED", "RETURNED"})
_ACCOUNTED_FOR = frozenset({"SUCCEEDED", "RETURNING", "RETURNED"})


@dataclass(frozen=True)
class ProviderBooks:
    """What there is after a sale; amounts in minor units."""

    captures: int
    captured_minor: int
    tickets: int
    refunds: int
    open_intents: int
    unknown_outcomes: int
    broken: Sequence[str]


async def compare_books(
    settings: Settings,
    books: Mapping[str, Sequence[Mapping[str, Any]]],
    told: Mapping[str, str],
) -> ProviderBooks:
    """Compare the movements of each provider with ours, seats with tickets, and money with both.

    `told` is the status of each intent that its buyer was told last.
    """
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        booked = await connection.fetch(_SQL["provider_transactions"])
        cash = {row["provider"]: row["minor"] for row in await connection.fetch(_SQL["cash"])}
        truth = dict(await connection.fetchrow(_SQL["sold_through_providers"]) or {})
        intents = await connection.fetch(_SQL["statuses_of_intents"])
        calls = await connection.fetch(_SQL["confirm_calls"])
        unknown = await connection.fetchval(_SQL["unknown_outcomes"])
    finally:
        await connection.close()
    broken: list[str] = []
    for name, movements in books.items():
        there = Counter((one["key"], one["amount_minor"], one["currency"]) for one in movements)
        here = Counter(
            (row["transaction_key"], row["amount_minor"], row["currency"])
            for row in booked
            if row["provider"] == name
        )
        broken += _differences(name, there, here)
        there_minor = sum(_signed(one) for one in movements)
        if cash.get(name, 0) != there_minor:
            broken.append(f"{name} has {there_minor}, the ledger {cash.get(name, 0)}")
    broken += _disagreements(truth)
    captured = [one for book in books.values() for one in book if one["kind"] == "capture"]
    statuses = {_order_id(dict(row)): row["status"] for row in intents}
    broken += _told_otherwise(statuses, told)
    broken += _charged_for_nothing(statuses, [one["order_id"] for one in captured])
    broken += sent_elsewhere([_confirm_call(dict(row)) for row in calls], books)
    return ProviderBooks(
        captures=len(captured),
        captured_minor=sum(one["amount_minor"] for one in captured),
        tickets=truth["tickets"],
        refunds=truth["refunds"],
        open_intents=truth["open_intents"],
        unknown_outcomes=unknown,
        broken=broken,
    )


def _order_id(row: Mapping[str, Any]) -> str:
    return str(ScopedId(row["user_id"], row["intent_id"]))


def _confirm_call(row: Mapping[str, Any]) -> ConfirmCall:
    values = {name: value for name, value in row.items() if name not in ("user_id", "intent_id")}
    return ConfirmCall(order_id=_order_id(row), **values)


def _told_otherwise(statuses: Mapping[str, str], told: Mapping[str, str]) -> list[str]:
    """Return the intents that are not what their buyers were told at the end."""
    wrong = [
        one for one, status in told.items() if status in _FOR_GOOD and statuses.get(one) != status
    ]
    return [f"intents are not as their buyers were told: {', '.join(wrong)}"] if wrong else []


def _charged_for_nothing(statuses: Mapping[str, str], charged: Sequence[str]) -> list[str]:
    """Return the orders whose buyers have neither tickets nor their money on its way back."""
    wrong = [one for one in charged if statuses.get(one) not in _ACCOUNTED_FOR]
    return [f"buyers were charged for nothing: {', '.join(wrong)}"] if wrong else []


def _signed(movement: Mapping[str, Any]) -> int:
    amount: int = movement["amount_minor"]
    return amount if movement["kind"] in _IN else -amount


def _differences(name: str, there: Counter[Any], here: Counter[Any]) -> list[str]:
    missing, extra = there - here, here - there
    return [
        f"{name}: {len(found)} movements are {where}, such as {next(iter(found))[0]}"
        for where, found in (("missing here", missing), ("missing there", extra))
        if found
    ]


def _disagreements(truth: Mapping[str, int]) -> list[str]:
    broken = []
    if truth["sold"] != truth["tickets"]:
        broken.append(f"{truth['sold']} seats are sold, {truth['tickets']} tickets are live")
    if truth["suspense_minor"]:
        broken.append(f"{truth['suspense_minor']} were captured and neither sold nor owed")
    if truth["due_minor"] != truth["owed_minor"]:
        broken.append(
            f"{truth['due_minor']} are due, refunds of {truth['owed_minor']} are under way"
        )
    return broken
