"""Every guard of the schema, read from the live catalog, refuses a statement that passes without it.

The guard is removed inside a transaction that is rolled back, so each refusal is its own control.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from boxoffice.platform.postgres import sql_files
from tests.conftest import Servers
from tests.support.database import copied_database

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_HERE = Path(__file__).parent
_NORMAL_RUN = (_HERE.parents[1] / "audit" / "normal_run.sql").read_text(encoding="utf-8")
_REFUSED = sql_files.parse((_HERE / "refusals.sql").read_text(encoding="utf-8"), "refusals.sql")
_CATALOG = sql_files.parse((_HERE / "catalog.sql").read_text(encoding="utf-8"), "catalog.sql")

# Names that the triggers give their refusals.
_TOLD_BY = {
    "transfers_have_entries": "ledger_balanced",
    "ledger_entries_balanced": "ledger_balanced",
    "transfers_append_only": "ledger_append_only",
    "ledger_entries_append_only": "ledger_append_only",
    "provider_calls_append_only": "ledger_append_only",
    "provider_answers_append_only": "ledger_append_only",
    "provider_transactions_append_only": "ledger_append_only",
    "refund_policies_append_only": "ledger_append_only",
    "seat_price_changes_append_only": "ledger_append_only",
}
# Columns that may be null; a null elsewhere would break the program that reads it.
_MAY_BE_NULL = {
    "account_links": ("email_before", "expires_at", "language", "used_at"),
    "audit_runs": ("asked_by", "checks", "failure", "finished_at", "ok", "started_at"),
    "code_batches": (
        "channel",
        "disabled_at",
        "person_uses_max",
        "seats_max",
        "uses_max",
        "valid_from",
        "valid_until",
    ),
    "concerts": (
        "age_rating",
        "artist_en",
        "artist_ko",
        "description_en",
        "description_ko",
        "faq",
        "faq_en",
        "faq_ko",
        "genre",
        "intermission_min",
        "notices",
        "notices_en",
        "notices_ko",
        "organizer_contact",
        "published_at",
        "refund_notes",
        "refund_notes_en",
        "refund_notes_ko",
        "running_time_min",
        "taken_down_at",
        "taken_down_reason",
        "title_en",
        "title_ko",
    ),
    "brands": (
        "accent",
        "logo_ground",
        "logo_hash",
        "logo_height_px",
        "logo_width_px",
        "name_en",
        "name_ko",
        "terms_en",
        "terms_ko",
    ),
    "disputes": ("closed_at", "entered_by", "payment_id", "schedule_id"),
    "ledger_entries": ("schedule_id",),
    "logbook": ("concert_id", "schedule_id"),
    "mails": (
        "claimed_under",
        "language",
        "last_error",
        "message_id",
        "sent_at",
        "to_address",
    ),
    "offer_codes": ("disabled_at", "uses_max"),
    "organization_invitations": ("accepted_at", "accepted_by", "revoked_at"),
    "organizer_applications": ("decided_at", "decided_by", "organization_id"),
    "outbox": (
        "amounts_minor",
        "currency",
        "expires_at",
        "reservation_ids",
        "seat_ids",
        "seats_to",
    ),
    "payment_intents": (
        "begun_at",
        "client",
        "closed_at",
        "confirm_key",
        "deposit_secret",
        "fenced_until",
        "hold_ends_at",
        "payment_id",
        "payment_key",
        "reason",
        "reservation_id",
        "schedule_id",
    ),
    "poster_files": ("content",),
    "posters": ("alt_en", "alt_ko"),
    "payments": ("provider_reference", "refund_policy_version"),
    "price_types": ("grades",),
    "provider_answers": ("body", "status"),
    "provider_calls": ("intent_id", "refund_id"),
    "provider_notices": (
        "dispute_key",
        "due_at",
        "handled_at",
        "order_id",
        "payment_key",
        "secret",
    ),
    "queue_admissions": ("ended_at", "ended_by"),
    "queue_rooms": ("anonymous_key", "lobby_size"),
    "refund_jobs": ("after_payment_id", "finished_at"),
    "refunds": (
        "closed_at",
        "decided_by",
        "failure",
        "intent_id",
        "job_id",
        "payment_id",
        "payment_key",
        "provider",
        "schedule_id",
        "sent_at",
        "transaction_key",
    ),
    "reservation_offers": ("batch_id", "channel", "code_hash"),
    "reservations": ("closed_at", "closed_by", "intent_id"),
    "reservations_archive": ("closed_by",),
    "sales_channels": ("quota",),
    "schedule_buyers": ("sold_seats",),
    "schedule_changes": (
        "after_reservation_id",
        "finished_at",
        "notified_at",
        "refund_job_id",
        "refundable_until",
    ),
    "schedule_offers": ("public_from",),
    "schedules": (
        "cancelled_at",
        "changed_at",
        "doors_at",
        "postponed_from",
        "refundable_until",
        "sale_closes_at",
        "venue_id",
    ),
    "seat_attributes": ("partner_id",),
    "seats": ("expires_at", "reservation_id", "user_id"),
    "statement_findings": (
        "here_minor",
        "note",
        "order_id",
        "payment_key",
        "resolved_at",
        "resolved_by",
        "there_minor",
    ),
    "statement_lines": ("fee_minor", "order_id"),
    "statement_runs": ("finished_at", "page_cursor", "totals"),
    "ticket_issues": ("email", "language", "voided_at", "voided_by"),
    "tickets": ("payment_id",),
    "token_keys": ("verifies_until",),
    "waiting_list_entries": (
        "ended_at",
        "grade",
        "offer_expires_at",
        "offered_at",
        "reservation_id",
    ),
    "transfers": (
        "balance_after_minor",
        "fingerprint",
        "idempotency_key",
        "payment_id",
        "provider",
        "schedule_id",
    ),
    "users": ("email_verified_at",),
    "venues": (
        "address_en",
        "address_ko",
        "creation_key",
        "directions_en",
        "directions_ko",
        "latitude",
        "longitude",
        "name_en",
        "name_ko",
    ),
    "webhook_deliveries": (
        "claimed_under",
        "last_answer",
        "last_error",
        "last_status",
        "tried_at",
    ),
    "webhook_endpoints": (
        "disabled_reason",
        "previous_secret",
        "previous_until",
        "rotation_key",
        "secret",
    ),
}


@pytest.fixture(scope="module")
def sold_url(servers: Servers, template: str) -> Iterator[str]:
    """The URL of a database after a normal run, which all refusals share."""

    async def sell(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(_NORMAL_RUN)
        await connection.close()

    with copied_database(servers.database_url, template) as url:
        asyncio.run(sell(url))
        yield url


@pytest.fixture
async def shop(sold_url: str) -> "AsyncIterator[Connection]":
    """A connection in a transaction that is rolled back."""
    connection = await asyncpg.connect(sold_url)
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def _refusal(shop: "Connection", statement: str) -> str:
    """Return the guard that refused a statement; nothing if it passed."""
    savepoint = shop.transaction()
    await savepoint.start()
    try:
        await shop.execute(statement)
    except asyncpg.IntegrityConstraintViolationError as error:
        return str(error.constraint_name)
    finally:
        await savepoint.rollback()
    return ""


async def _guards(shop: "Connection") -> dict[str, str]:
    return {row["name"]: row["removal"] for row in await shop.fetch(_CATALOG["guards"])}


@pytest.mark.parametrize("refused", list(_REFUSED))
async def test_a_guard_refuses_what_passes_without_it(refused: str, shop: "Connection") -> None:
    name, _, _ = refused.partition("__")
    told = _TOLD_BY.get(name, name)
    removal = (await _guards(shop))[name]
    assert await _refusal(shop, _REFUSED[refused]) == told
    await shop.execute(removal)
    assert await _refusal(shop, _REFUSED[refused]) != told


async def test_every_guard_in_the_catalog_has_something_that_it_refuses(shop: "Connection") -> None:
    guards = set(await _guards(shop))
    print(f"{len(guards)} guards, {len(_REFUSED)} refusals")
    assert {refused.partition("__")[0] for refused in _REFUSED} == guards


async def test_only_what_may_be_missing_may_be_null(shop: "Connection") -> None:
    may_be = {f"{table}.{column}" for table, columns in _MAY_BE_NULL.items() for column in columns}
    assert {row["name"] for row in await shop.fetch(_CATALOG["nullable"])} == may_be
    never = await shop.fetch(_CATALOG["never_null"])
    assert never
    for row in never:
        savepoint = shop.transaction()
        await savepoint.start()
        await shop.execute(row["removal"])
        nullable = {one["name"] for one in await shop.fetch(_CATALOG["nullable"])}
        await savepoint.rollback()
        assert nullable - may_be == {row["name"]}
