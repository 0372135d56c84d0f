"""What a look-up asks for, and when work is due again."""

from datetime import UTC, datetime, timedelta

import pytest

from boxoffice.payments.cashier import rules
from boxoffice.payments.cashier.rules import LookedUp, Step
from boxoffice.payments.intents.rules import IN_FLIGHT, IntentStatus
from boxoffice.payments.providers.port import Movement, PaymentStatus, ProviderPayment

NOW = datetime(2026, 11, 30, tzinfo=UTC)
CAPTURE = Movement("k", "capture", 1_000, "KRW", NOW)


def shown(status: PaymentStatus, *movements: Movement) -> ProviderPayment:
    """Return a payment as a provider shows it."""
    return ProviderPayment("order", "key", status, 1_000, "KRW", movements)


def looked_up(
    payment: ProviderPayment | None,
    status: IntentStatus = IntentStatus.UNKNOWN,
    *,
    held_s: float | None = 60,
    session_is_over: bool = False,
) -> LookedUp:
    """Return a look-up of an intent whose hold ends in `held_s` seconds."""
    holds_until = None if held_s is None else NOW + timedelta(seconds=held_s)
    return LookedUp(status, holds_until, session_is_over, payment, NOW)


@pytest.mark.parametrize("status", IntentStatus)
def test_money_that_has_moved_is_applied_whatever_the_intent_says(status: IntentStatus) -> None:
    for of in (PaymentStatus.CAPTURED, PaymentStatus.PARTLY_REFUNDED, PaymentStatus.REFUNDED):
        found = looked_up(shown(of, CAPTURE), status, held_s=-1, session_is_over=True)
        assert rules.step_after(found) is Step.APPLY


@pytest.mark.parametrize("payment", [None, *map(shown, PaymentStatus)])
def test_an_intent_that_is_not_in_flight_is_left(payment: ProviderPayment | None) -> None:
    for status in set(IntentStatus) - IN_FLIGHT - {IntentStatus.CAPTURED_LATE}:
        assert rules.step_after(looked_up(payment, status)) is Step.NOTHING


@pytest.mark.parametrize(
    ("held_s", "session_is_over", "step"),
    [
        (60, False, Step.REPEAT),
        (None, False, Step.REPEAT),
        (5, False, Step.WAIT),
        (-1, False, Step.WAIT),
        (60, True, Step.ABSENT),
        (-1, True, Step.ABSENT),
    ],
)
def test_an_unknown_order_proves_absence_after_its_session_only(
    held_s: float | None, step: Step, *, session_is_over: bool
) -> None:
    found = looked_up(None, held_s=held_s, session_is_over=session_is_over)
    assert rules.step_after(found) is step


@pytest.mark.parametrize("of", [PaymentStatus.WAITING, PaymentStatus.AUTHORIZED])
@pytest.mark.parametrize(("held_s", "step"), [(60, Step.REPEAT), (4, Step.ABANDON)])
def test_what_was_not_confirmed_is_repeated_only_for_seats_that_are_held(
    of: PaymentStatus, held_s: float, step: Step
) -> None:
    assert rules.step_after(looked_up(shown(of), held_s=held_s)) is step


@pytest.mark.parametrize(
    "of", [PaymentStatus.DECLINED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED]
)
def test_a_final_answer_is_applied(of: PaymentStatus) -> None:
    assert rules.step_after(looked_up(shown(of))) is Step.APPLY


def test_a_deposit_is_noted_once_and_waited_for() -> None:
    payment = shown(PaymentStatus.AWAITING_DEPOSIT)
    assert rules.step_after(looked_up(payment)) is Step.APPLY
    assert rules.step_after(looked_up(payment, IntentStatus.AWAITING_DEPOSIT)) is Step.WAIT


def test_late_money_waits_for_its_capture() -> None:
    assert rules.step_after(looked_up(None, IntentStatus.CAPTURED_LATE)) is Step.WAIT


def test_waits_double_up_to_their_bound() -> None:
    waits = [rules.retry_after_s(tries, 2, 300) for tries in range(100)]
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == 300


def test_a_buyer_who_waits_is_looked_after_sooner() -> None:
    assert rules.look_up_after_s(looked_up(None), 20, 2, 300) == 15
    assert rules.look_up_after_s(looked_up(None, held_s=-1), 20, 2, 300) == 300


def test_only_a_capture_makes_a_notice_settle() -> None:
    assert rules.settles(shown(PaymentStatus.CAPTURED, CAPTURE))
    assert not rules.settles(shown(PaymentStatus.AUTHORIZED))
    assert not rules.settles(None)


def test_a_fence_is_renewed_before_it_ends() -> None:
    assert rules.renew_after_s(90) == 60
