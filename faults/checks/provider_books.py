"""Comparison of a provider's book with the ledger, to the won, after a sale through providers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from boxoffice.platform.postgres import sql_files
from boxoffice.settings import Settings

_SQL = sql_files.load("faults")
# Kinds of movements towards the shop.
_IN = frozenset({"capture", "refund_failed", "dispute_won"})


@dataclass(frozen=True)
class ProviderBooks:
    """What there is after a sale; amounts in minor units."""

    captures: int
    captured_minor: int
    tickets: int
    refunds: int
    open_intents: int
    broken: Sequence[str]


async def compare_books(
    settings: Settings, books: Mapping[str, Sequence[Mapping[str, Any]]]
) -> ProviderBooks:
    """Compare the movements of each provider with ours, seats with tickets, and money with both."""
    connection = await asyncpg.connect(settings.database.database_url)
    try:
        booked = await connection.fetch(_SQL["provider_transactions"])
        cash = {row["provider"]: row["minor"] for row in await connection.fetch(_SQL["cash"])}
        truth = dict(await connection.fetchrow(_SQL["sold_through_providers"]) or {})
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
    return ProviderBooks(
        captures=len(captured),
        captured_minor=sum(one["amount_minor"] for one in captured),
        tickets=truth["tickets"],
        refunds=truth["refunds"],
        open_intents=truth["open_intents"],
        broken=broken,
    )


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
