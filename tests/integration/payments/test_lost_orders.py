"""Captures whose orders a restore has lost, as findings of the statements show them."""

from uuid import uuid4

from boxoffice.payments.reconciliation.lost_orders import find_lost_orders, give_back
from boxoffice.platform.ids import ScopedId, new_id
from boxoffice.platform.postgres.database import Database
from tests.support.hall import open_hall

DAY = 24 * 60
_RESTORE = """
    INSERT INTO restores (incarnation, restored_at, recovered_to, backup_label, target)
    VALUES (1, clock_timestamp(), clock_timestamp() - interval '1 hour', 'b', 'latest')
"""
_FINDING = """
    INSERT INTO statement_findings (
           provider, transaction_key, kind, finding_id, found_at, seen_at, happened_at, there_minor,
           movement, currency, order_id, payment_key, resolved_at, resolved_by, note)
    SELECT 'toss', $1, $2, gen_random_uuid(), clock_timestamp(), clock_timestamp(),
           clock_timestamp() - make_interval(mins => $3), 5000, $4, 'KRW', $5, 'key-' || $1,
           x.at, x.who, x.note
      FROM (SELECT clock_timestamp() AS at, gen_random_uuid() AS who, 'n' AS note WHERE $6
            UNION ALL SELECT NULL, NULL, NULL WHERE NOT $6) x
"""


async def finding(
    db: Database,
    order_id: str,
    key: str,
    *,
    kind: str = "unknown_order",
    minutes: int = 10,
    movement: str = "capture",
    is_resolved: bool = False,
) -> None:
    """Keep a finding of a statement."""
    await db.fetch(_FINDING, key, kind, minutes, movement, order_id, is_resolved)


async def test_payments_of_the_lost_time_are_found_and_given_back_once(db: Database) -> None:
    buyer = (await open_hall(db, seats=1, people=1)).people[0]
    lost, stranger = ScopedId(buyer, new_id()), ScopedId(uuid4(), new_id())
    await finding(db, str(lost), "lost")
    # Without a restore it is another shop's, or a bug.
    assert await find_lost_orders(db, 60) == []
    await db.fetch(_RESTORE)
    await finding(db, str(stranger), "of a lost buyer")
    await finding(db, "another-shops-order", "foreign")
    await finding(db, str(ScopedId(buyer, new_id())), "old", minutes=600)
    # An account for a deposit outlives its order, and 90 days at most.
    await finding(db, str(ScopedId(uuid4(), new_id())), "deposit", minutes=-DAY * 80)
    await finding(db, str(ScopedId(buyer, new_id())), "later", minutes=-DAY * 91)
    await finding(db, str(ScopedId(buyer, new_id())), "known", kind="missing_here")
    await finding(db, str(ScopedId(buyer, new_id())), "refunded", movement="refund")
    await finding(db, str(ScopedId(buyer, new_id())), "resolved", is_resolved=True)

    found = await find_lost_orders(db, 60)
    assert {one.transaction_key for one in found} == {
        "lost",
        "of a lost buyer",
        "foreign",
        "deposit",
    }
    assert await db.fetch("SELECT FROM payment_intents") == []

    for _ in range(2):
        assert await give_back(db, found) == {lost}
    [intent] = await db.fetch("SELECT * FROM payment_intents")
    assert (intent["user_id"], intent["intent_id"]) == lost
    assert (intent["status"], intent["amount_minor"], intent["payment_key"]) == (
        "CANCELLED",
        5_000,
        "key-lost",
    )
    [work] = await db.fetch("SELECT kind, subject_id FROM cashier_work")
    assert tuple(work) == ("look_up", lost[1])
