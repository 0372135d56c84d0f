"""The next step of the job of a change: pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

RELEASING = frozenset({"CANCELLED", "POSTPONED"})
VOIDING = frozenset({"CANCELLED"})


class ChangeStep(StrEnum):
    """What the job does next."""

    NOTIFY = "notify"
    WAIT = "wait"  # a hold that began before the change may not be committed yet
    NOTIFY_AGAIN = "notify_again"
    FINISH = "finish"


class ChangePlan(NamedTuple):
    """The next step, and the seconds until a wait is over."""

    step: ChangeStep
    wait_s: float = 0.0


def next_step(
    created_at: datetime, notified_at: datetime | None, now: datetime, settle_s: float
) -> ChangePlan:
    """Return the next step after the holds that are known are released.

    All people are notified at once, and once more when `settle_s` have passed since the change: then
    every transaction that began before it has ended.
    """
    settled_at = created_at + timedelta(seconds=settle_s)
    if notified_at is None:
        return ChangePlan(ChangeStep.NOTIFY)
    # guard: people_are_notified_once_all_holds_are_known => return ChangePlan(ChangeStep.FINISH)
    if now < settled_at:
        return ChangePlan(ChangeStep.WAIT, (settled_at - now).total_seconds())
    return ChangePlan(ChangeStep.NOTIFY_AGAIN if notified_at < settled_at else ChangeStep.FINISH)
