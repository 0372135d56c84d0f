"""Compares the clients' record with the database, in both directions. Pure.

Holds, payments and releases use the load test's comparison; top-ups and wallets are added here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from boxoffice_loadtest.analysis import comparison
from boxoffice_loadtest.measurement import client_log
from boxoffice_loadtest.model import Finding
from faults.checks.record import Record

# Lost: acknowledged to a client, and absent from the database.
LOST = (
    "phantom_hold",
    "phantom_payment",
    "phantom_top_up",
    "paid_not_confirmed",
    "release_not_done",
)
SOLD_TWICE = ("seat_held_twice", "seat_sold_twice")
# Money taken without an acknowledgement.
DOUBLE_CHARGES = ("topped_up_twice", "unexplained_top_up", "unexplained_payment")
# Checks of the audit, by what a violation means.
AUDIT_SOLD_TWICE = frozenset(
    {"one_live_ticket_per_seat", "one_row_per_seat", "one_live_reservation_per_seat"}
)
AUDIT_IMBALANCE = frozenset(
    {
        "reservation_amount_is_the_price",
        "confirmed_reservation_is_paid_once",
        "transfer_sums_to_zero",
        "transfer_moves_between_its_accounts",
        "entry_has_its_transfer",
        "payment_has_its_transfer",
        "payment_transfer_has_its_payment",
        "wallet_is_not_negative",
        "wallet_equals_its_entries",
        "wallet_belongs_to_a_person",
        "refund_is_the_price",
        "refund_has_its_entries",
        "refunds_due_is_owed",
        "suspense_is_settled",
        "cash_is_the_providers",
        "provider_transaction_has_its_transfer",
        "disputes_are_what_is_withdrawn",
    }
)
AUDIT_DOUBLE_CHARGES = frozenset({"idempotency_key_is_used_once"})
# Half of a sale or hold is missing.
AUDIT_LOST = frozenset(
    {
        "sold_seat_has_its_sale",
        "held_seat_has_its_hold",
        "lapsed_seat_had_its_hold",
        "free_seat_is_unclaimed",
        "live_reservation_owns_its_seats",
        "payment_confirmed_its_reservation",
        "confirmed_reservation_has_its_tickets",
        "confirmed_reservation_has_one_order_number",
        "live_ticket_has_its_sale",
        "archived_once_and_for_good",
        "void_ticket_has_its_refund",
        "refund_under_way_has_work",
        "intent_has_its_end",
        "policy_of_a_payment_exists",
        "issue_has_its_tickets",
        "waiting_list_offer_has_its_hold",
    }
)
# Other violations: shapes, times, limits, derived counts, guards, waiting rooms.
AUDIT_OTHER = frozenset(
    {
        "states_are_known",
        "reservation_lists_its_seats_once",
        "hold_is_within_its_time",
        "seat_is_not_held_beyond_its_hold",
        "availability_recounts",
        "ticket_limit_is_kept",
        "offer_lines_fit_the_reservation",
        "code_is_used_within_its_limit",
        "channel_sells_within_its_quota",
        "blocked_seat_has_no_ticket",
        "waiting_list_is_served_in_order",
        "waiting_list_entry_waits_in_its_line",
        "event_has_its_cause",
        "hold_will_be_found_when_it_lapses",
        "payment_names_its_tickets",
        "order_number_has_one_order",
        "schedule_exists",
        "owner_exists",
        "guarding_indexes_are_in_place",
        "guarding_constraints_are_in_place",
        "guarding_triggers_are_enabled",
        "sessions_are_durable",
        "queue_numbers_in_bounds",
        "queue_order_kept",
        "queue_person_inside_once",
        "queue_cap_kept",
        "queue_hold_within_stay",
        "one_schedule_per_instant",
        "hold_within_its_sale",
        "taken_down_is_not_on_sale",
        "seats_look_different",
        "user_counts_agree",
        "user_with_history_is_counted",
        "closed_reservation_will_be_archived",
    }
)
_SAMPLES_MAX = 10


@dataclass(frozen=True)
class StoredTopUp:
    """A top-up in the database."""

    top_up_id: str
    user_id: str
    amount_minor: int
    key: str


@dataclass(frozen=True)
class Stored:
    """What the database has of one schedule."""

    shop: comparison.ServerState
    top_ups: Sequence[StoredTopUp]


def compare(
    record: Record, stored: Stored, user_ids: Sequence[str], *, excuses_late_holds: bool = False
) -> list[Finding]:
    """Return every kind of disagreement with its count, zeros included.

    `user_ids` are the buyers by position. A stored hold, payment or top-up without acknowledgement
    is broken, unless its call is still open, or late holds are excused and it is one: the buyer
    stopped waiting for a paused process and was refused elsewhere. Those are reported as
    `lost_hold`.
    """
    client_record = as_load_test_record(record)
    if excuses_late_holds:
        client_record.lost |= dict.fromkeys(record.late, "hold")
    return [
        *comparison.compare(client_record, stored.shop, user_ids),
        _finding("phantom_top_up", _phantom_top_ups(record, stored, user_ids)),
        _finding("unexplained_top_up", _unexplained_top_ups(record, stored)),
        _finding("topped_up_twice", _topped_up_twice(stored)),
        _finding("unsettled", [f"{one.what} {one.key}" for one in record.unsettled.values()]),
    ]


def as_load_test_record(record: Record) -> client_log.ClientLog:
    """Return the record as the load test's; milliseconds of the same clock."""
    unsettled = record.unsettled.values()
    return client_log.ClientLog(
        holds=[
            client_log.AcknowledgedHold(
                one.reservation_id,
                one.person,
                one.seats,
                one.key,
                one.begin_s * 1000,
                one.end_s * 1000,
            )
            for one in record.holds
        ],
        payments=[
            client_log.AcknowledgedPayment(
                one.payment_id,
                one.reservation_id,
                one.person,
                one.amount_minor,
                one.key,
                one.end_s * 1000,
            )
            for one in record.payments
        ],
        releases={one.reservation_id: one.begin_s * 1000 for one in record.releases},
        lost={one.key: one.what for one in unsettled if one.what in ("hold", "pay")},
        lost_releases={one.reservation_id for one in unsettled if one.what == "release"},
    )


def _phantom_top_ups(record: Record, stored: Stored, user_ids: Sequence[str]) -> Iterator[str]:
    there = {(one.top_up_id, one.user_id, one.amount_minor, one.key) for one in stored.top_ups}
    for one in record.top_ups:
        if (one.top_up_id, user_ids[one.person], one.amount_minor, one.key) not in there:
            yield f"{one.top_up_id} {one.key}"


def _unexplained_top_ups(record: Record, stored: Stored) -> Iterator[str]:
    acknowledged = {one.top_up_id for one in record.top_ups}
    for one in stored.top_ups:
        if one.top_up_id not in acknowledged and one.key not in record.unsettled:
            yield f"{one.top_up_id} {one.key}"


def _topped_up_twice(stored: Stored) -> list[str]:
    times = Counter(one.key for one in stored.top_ups)
    return [key for key, count in times.items() if count > 1]


def _finding(kind: str, samples: Iterator[str] | list[str]) -> Finding:
    found = list(samples)
    return Finding(kind=kind, count=len(found), samples=found[:_SAMPLES_MAX], is_broken=bool(found))
