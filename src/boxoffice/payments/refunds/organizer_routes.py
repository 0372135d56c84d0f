"""Refunds over HTTP, for organizers and operators: parse, call, present."""

from typing import Any
from uuid import UUID

from boxoffice.accounts.rules import OPERATOR
from boxoffice.errors import (
    AlreadyRefunded,
    CursorInvalid,
    IdempotencyKeyReused,
    Invalid,
    NotRefundable,
    RefundJobRunning,
    RefundNotManual,
    RefundPolicyInvalid,
    RefundPolicyLocked,
    RefundQuoteChanged,
    SaleOpen,
    ScheduleNotFound,
    TicketNotFound,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.payments.refunds.routes import (
    PAYMENT,
    REFUND,
    SCHEDULE,
    QuoteQuery,
    RefundResource,
    RefundServices,
    ticket_ids,
)
from boxoffice.payments.refunds.service import RefundRequest
from boxoffice.payments.refunds.views import (
    JobBody,
    JobOut,
    OrganizerRefundBody,
    PolicyBody,
    PolicyOut,
    QuoteOut,
    RefundOut,
    ResolutionBody,
    policy_of,
    present_job,
    present_policy,
    present_quote,
    present_refund,
)
from boxoffice.permissions import Permission
from boxoffice.platform.ids import ScopedId, parse_uuid

_JOB = {**SCHEDULE, "job_id": PathId(parse_uuid, ScheduleNotFound, "The `job_id` of a job.")}


class OrganizerQuoteQuery(QuoteQuery, frozen=True, kw_only=True):
    """The tickets to return (none: all that are left), and whether the fee is waived."""

    waive_fee: bool = True


class _AdminRefundPolicy(RefundResource):
    @operation(
        "Get the refund policy of my schedule",
        permission=Permission.EVENTS_READ,
        path=SCHEDULE,
        returns=PolicyOut,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Also of a draft."""
        found = await self._services.refunds.own_policy(
            call.ids["schedule_id"], call.caller.organization_ids
        )
        return Reply(present_policy(found.policy, found.time_zone))

    @operation(
        "Set the refund policy of a schedule",
        permission=Permission.SALES_WRITE,
        path=SCHEDULE,
        body=PolicyBody,
        returns=PolicyOut,
        problems=(RefundPolicyInvalid, RefundPolicyLocked),
    )
    async def on_put(self, call: Call[PolicyBody, Any]) -> Reply:
        """Before the schedule is opened: buyers are shown it before they pay."""
        policy = policy_of(call.body, self._services.currency)
        await self._services.administration.set_policy(
            call.caller, call.ids["schedule_id"], policy, request_id=call.request_id
        )
        found = await self._services.refunds.own_policy(
            call.ids["schedule_id"], call.caller.organization_ids
        )
        return Reply(present_policy(found.policy, found.time_zone))


class _AdminScheduleRefunds(RefundResource):
    @operation(
        "List the refunds of a schedule",
        permission=Permission.ORDERS_READ,
        path=SCHEDULE,
        query=PageQuery,
        returns=Page[RefundOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Newest first; empty for a schedule of another organization."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._services.administration.of_schedule(
            call.caller.organization_ids, call.ids["schedule_id"], before, limit + 1
        )
        return Reply(page(found, limit, present_refund, lambda one: one.refund_id))


class _AdminPaymentRefunds(RefundResource):
    @operation(
        "Refund tickets of a buyer",
        201,
        permission=Permission.ORDERS_WRITE,
        keyed=True,
        path=PAYMENT,
        body=OrganizerRefundBody,
        returns=RefundOut,
        problems=(
            TicketNotFound,
            AlreadyRefunded,
            NotRefundable,
            RefundQuoteChanged,
            IdempotencyKeyReused,
        ),
    )
    async def on_post(self, call: Call[OrganizerRefundBody, Any]) -> Reply:
        """A waived fee is also waived after the performance has begun."""
        given = call.body
        request = RefundRequest(
            call.ids["payment_id"], given.ticket_ids, given.expected_refund, given.to, call.key
        )
        refund = await self._services.refunds.refund_as_organizer(
            call.caller, request, waive_fee=given.waive_fee, request_id=call.request_id
        )
        return Reply(present_refund(refund))


class _AdminRefundQuote(RefundResource):
    @operation(
        "Get the refund quote of a buyer's payment",
        permission=Permission.ORDERS_WRITE,
        path=PAYMENT,
        query=OrganizerQuoteQuery,
        returns=QuoteOut,
        problems=(TicketNotFound, AlreadyRefunded, Invalid),
    )
    async def on_get(self, call: Call[Any, OrganizerQuoteQuery]) -> Reply:
        """What a refund by the organizer would bring now, with or without the fee of the policy."""
        payment: ScopedId = call.ids["payment_id"]
        quoted = await self._services.refunds.quote_as_organizer(
            call.caller.organization_ids,
            payment,
            ticket_ids(call.query.ticket_ids),
            waive_fee=call.query.waive_fee,
        )
        return Reply(present_quote(payment, quoted))


class _AdminRefundJobs(RefundResource):
    @operation(
        "List the refund jobs of a schedule",
        permission=Permission.EVENTS_READ,
        path=SCHEDULE,
        query=PageQuery,
        returns=Page[JobOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Newest first; empty for a schedule of another organization."""
        before, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._services.jobs.list(
            call.caller.organization_ids, call.ids["schedule_id"], before, limit + 1
        )
        return Reply(page(found, limit, present_job, lambda one: one.job_id))

    @operation(
        "Refund a whole schedule",
        202,
        permission=Permission.SALES_WRITE,
        keyed=True,
        path=SCHEDULE,
        body=JobBody,
        returns=JobOut,
        problems=(SaleOpen, RefundJobRunning, IdempotencyKeyReused),
    )
    async def on_post(self, call: Call[JobBody, Any]) -> Reply:
        """All that was paid, of all tickets, one payment after the other; close the sale first."""
        schedule_id: UUID = call.ids["schedule_id"]
        job = await self._services.jobs.start(
            call.caller,
            schedule_id,
            call.key,
            with_compensation=call.body.with_compensation,
            request_id=call.request_id,
        )
        place = f"/v1/admin/schedules/{schedule_id}/refund-jobs/{job.job_id}"
        return Reply(present_job(job), headers={"Location": place})


class _AdminRefundJob(RefundResource):
    @operation(
        "Get the refund of a whole schedule",
        permission=Permission.EVENTS_READ,
        path=_JOB,
        returns=JobOut,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """How far it has come."""
        job = await self._services.jobs.get(
            call.caller.organization_ids, call.ids["schedule_id"], call.ids["job_id"]
        )
        return Reply(present_job(job))


class _ManualRefunds(RefundResource):
    @operation(
        "List refunds that wait for an operator",
        role=OPERATOR,
        query=PageQuery,
        returns=Page[RefundOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, PageQuery]) -> Reply:
        """Those that their provider refused, oldest first."""
        after, limit = decode_cursor(call.query.cursor, UUID), call.query.limit
        found = await self._services.administration.manual(after, limit + 1)
        return Reply(page(found, limit, present_refund, lambda one: one.refund_id))


class _RefundResolution(RefundResource):
    @operation(
        "Resolve a refund that its provider refused",
        role=OPERATOR,
        path=REFUND,
        body=ResolutionBody,
        returns=RefundOut,
        problems=(RefundNotManual,),
    )
    async def on_put(self, call: Call[ResolutionBody, Any]) -> Reply:
        """As wallet credit, or paid outside; a repetition has no further effect."""
        refund = await self._services.administration.resolve(
            call.caller.user_id,
            call.ids["refund_id"],
            to_wallet=call.body.to == "wallet",
            note=call.body.note,
            request_id=call.request_id,
        )
        return Reply(present_refund(refund))


def routes(services: RefundServices, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of organizers and operators by URI template."""
    schedule = "/v1/admin/schedules/{schedule_id}"
    return [
        (f"{schedule}/refund-policy", _AdminRefundPolicy(services, dependencies)),
        (f"{schedule}/refunds", _AdminScheduleRefunds(services, dependencies)),
        (f"{schedule}/refund-jobs", _AdminRefundJobs(services, dependencies)),
        (f"{schedule}/refund-jobs/{{job_id}}", _AdminRefundJob(services, dependencies)),
        ("/v1/admin/payments/{payment_id}/refunds", _AdminPaymentRefunds(services, dependencies)),
        (
            "/v1/admin/payments/{payment_id}/refund-quote",
            _AdminRefundQuote(services, dependencies),
        ),
        ("/v1/admin/refunds", _ManualRefunds(services, dependencies)),
        ("/v1/admin/refunds/{refund_id}/resolution", _RefundResolution(services, dependencies)),
    ]
