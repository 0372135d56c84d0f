"""What organizers and operators do about refunds: policies, lists, and cases that wait for a person."""

from uuid import UUID

from boxoffice.activity_log import Action, record
from boxoffice.errors import (
    IntegrityError,
    RefundNotFound,
    RefundNotManual,
    RefundPolicyInvalid,
    RefundPolicyLocked,
    ScheduleNotFound,
)
from boxoffice.payments.refunds import policy as rules
from boxoffice.payments.refunds import store
from boxoffice.payments.refunds.policy import PolicyInvalid, RefundPolicy
from boxoffice.payments.refunds.store import Refund, RefundStore
from boxoffice.permissions import Actor, OrganizationIds

_DRAFT = "DRAFT"


class RefundAdministration:
    """Policies of schedules, refunds of schedules, and manual cases."""

    def __init__(self, refunds: RefundStore) -> None:
        self._store = refunds

    async def set_policy(
        self, actor: Actor, schedule_id: UUID, policy: RefundPolicy, *, request_id: str = ""
    ) -> None:
        """Give a schedule its policy, before it is opened: buyers are shown it before they pay.

        Raises `ScheduleNotFound`, `RefundPolicyLocked` and `RefundPolicyInvalid`.
        """
        async with self._store.transaction() as connection:
            schedule = await store.lock_schedule(connection, schedule_id, actor.organization_ids)
            # guard: policy_only_of_own_schedule => if False:
            if schedule is None:
                raise ScheduleNotFound
            # guard: policy_is_fixed_once_opened => if False:
            if schedule.status != _DRAFT:
                raise RefundPolicyLocked
            # guard: policy_makes_sense => if False:
            if fault := _fault(policy, schedule.currency):
                raise RefundPolicyInvalid(fault)
            await store.add_policy(connection, schedule_id, actor.user_id, policy)
            action = Action(
                organization_id=schedule.organization_id,
                actor_id=actor.user_id,
                action="schedule.refund_policy_changed",
                request_id=request_id,
                concert_id=schedule.concert_id,
                schedule_id=schedule_id,
                details={"policy": policy.name},
            )
            await record(connection, action)

    async def of_schedule(
        self, organization_ids: OrganizationIds, schedule_id: UUID, before: UUID | None, count: int
    ) -> list[Refund]:
        """Return at most `count` refunds of a schedule, the newest first.

        Empty for a schedule of another organization; None means any.
        """
        return await self._store.of_schedule(schedule_id, organization_ids, before, count)

    async def manual(self, after: UUID | None, count: int) -> list[Refund]:
        """Return at most `count` refunds that wait for an operator, the oldest first."""
        return await self._store.manual(after, count)

    async def resolve(
        self,
        operator_id: UUID,
        refund_id: UUID,
        *,
        to_wallet: bool,
        note: str,
        request_id: str = "",
    ) -> Refund:
        """End a refund that its provider refused: as wallet credit, or paid outside.

        A repetition has no further effect. Raises `RefundNotFound` and `RefundNotManual`.
        """
        found = await self._store.owner_of_manual(refund_id)
        if found is None:
            raise RefundNotFound
        async with self._store.transaction() as connection:
            outcome = await store.resolve(connection, found.user_id, refund_id, to_wallet=to_wallet)
            if outcome == "resolved":
                action = Action(
                    organization_id=found.organization_id or operator_id,
                    actor_id=operator_id,
                    action="refund.resolved",
                    request_id=request_id,
                    concert_id=found.concert_id,
                    schedule_id=found.schedule_id,
                    details={
                        "refund_id": str(refund_id),
                        "to": "wallet" if to_wallet else "outside",
                        "note": note,
                    },
                )
                await record(connection, action)
        _require_resolved(outcome)
        refund = await self._store.get(found.user_id, refund_id)
        if refund is None:
            raise IntegrityError(f"refund {refund_id} is gone")
        return refund


def _fault(policy: RefundPolicy, currency: str) -> str:
    try:
        rules.check_policy(policy, currency)
    except PolicyInvalid as fault:
        return str(fault)
    return ""


def _require_resolved(outcome: str) -> None:
    if outcome == "not_manual":
        raise RefundNotManual
    if outcome == "currency_differs":
        raise RefundNotManual("The wallet is in another currency.")
    if outcome == "refund_not_found":
        raise RefundNotFound
    if outcome not in ("resolved", "replayed"):
        raise IntegrityError(f"the database answered {outcome!r}")
