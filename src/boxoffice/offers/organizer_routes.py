"""Offers over HTTP, for organizers: parse, call, present."""

from typing import Any

from boxoffice.catalog.paths import SCHEDULE
from boxoffice.errors import OutcomeUnknown
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.offers.errors import CodeBatchNotFound, CodesShown, TermsRefused
from boxoffice.offers.service import OfferEditor, Offers
from boxoffice.offers.store import ScheduleOffers
from boxoffice.offers.views import (
    CodeBatches,
    CodesBody,
    DisableBody,
    MadeCodesOut,
    OwnOffersOut,
    SeatsBody,
    TermsBody,
    codes_csv,
    codes_of,
    notes_of,
    pairs_of,
    present_batch,
    present_own,
    terms_of,
)
from boxoffice.permissions import Permission
from boxoffice.platform.conditional import entity_tag
from boxoffice.platform.ids import parse_uuid

_CSV_TYPE = "text/csv"
_BATCH = {**SCHEDULE, "batch_id": PathId(parse_uuid, CodeBatchNotFound, "The id of a batch.")}


class _OffersResource:
    def __init__(self, service: Offers, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies


def _actor(call: Call[Any, Any]) -> OfferEditor:
    return OfferEditor(call.caller.user_id, call.caller.organization_ids, call.request_id)


def _tagged(found: ScheduleOffers) -> Reply:
    return Reply(present_own(found), etag=entity_tag(found.version))


class _OwnOffers(_OffersResource):
    @operation(
        "Get the offers of my schedule",
        permission=Permission.EVENTS_READ,
        path=SCHEDULE,
        returns=OwnOffersOut,
        tagged=True,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Also of a draft. Its ETag is needed to change terms and what is said about seats."""
        found = await self._service.own(call.caller.organization_ids, call.ids["schedule_id"])
        return _tagged(found)

    @operation(
        "Set the offers of a schedule",
        permission=Permission.SALES_WRITE,
        path=SCHEDULE,
        body=TermsBody,
        conditional=True,
        tagged=True,
        returns=OwnOffersOut,
        problems=(TermsRefused, OutcomeUnknown),
    )
    async def on_put(self, call: Call[TermsBody, Any]) -> Reply:
        """Price types, booking fee, channels and the start of the public sale, also during the sale.

        What is held or sold keeps its price; a quota is not below what its channel has.
        """
        found = await self._service.set_terms(
            _actor(call), call.ids["schedule_id"], call.version, terms_of(call.body)
        )
        return _tagged(found)


class _OwnSeats(_OffersResource):
    @operation(
        "Set what is said about seats",
        permission=Permission.SALES_WRITE,
        path=SCHEDULE,
        body=SeatsBody,
        has_large_body=True,
        conditional=True,
        tagged=True,
        returns=OwnOffersOut,
        problems=(TermsRefused, OutcomeUnknown),
    )
    async def on_put(self, call: Call[SeatsBody, Any]) -> Reply:
        """Seats that are sold together, and notes such as a restricted view."""
        body = call.body
        found = await self._service.set_seats(
            _actor(call), call.ids["schedule_id"], call.version, pairs_of(body), notes_of(body)
        )
        return _tagged(found)


class _Codes(_OffersResource):
    @operation(
        "List the codes of my schedule",
        permission=Permission.SALES_WRITE,
        path=SCHEDULE,
        returns=CodeBatches,
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Batches with their uses, newest first; empty for a schedule of another organization."""
        found = await self._service.batches(call.caller.organization_ids, call.ids["schedule_id"])
        return Reply(CodeBatches([present_batch(one) for one in found]))

    @operation(
        "Make codes",
        201,
        permission=Permission.SALES_WRITE,
        keyed=True,
        path=SCHEDULE,
        body=CodesBody,
        returns=MadeCodesOut,
        problems=(TermsRefused, CodesShown, OutcomeUnknown),
    )
    async def on_post(self, call: Call[CodesBody, Any]) -> Reply:
        """The answer is the only one with the codes: only digests are kept.

        A repetition is refused with `codes_shown`; disable codes whose answer was lost.
        """
        body = call.body
        made = await self._service.make_codes(
            _actor(call),
            call.ids["schedule_id"],
            call.key,
            codes_of(body),
            body.count or 1,
            body.code or "",
        )
        return Reply(MadeCodesOut(made.batch_id, list(made.codes)))


class _CodesCsv(_OffersResource):
    @operation(
        "Get codes as CSV", permission=Permission.SALES_WRITE, path=_BATCH, text_type=_CSV_TYPE
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """The last characters of each code, its uses, and whether it is disabled."""
        batch_id = call.ids["batch_id"]
        batch, codes = await self._service.codes(
            call.caller.organization_ids, call.ids["schedule_id"], batch_id
        )
        rows = [(one.suffix, one.taken, one.uses_max, one.disabled_at is not None) for one in codes]
        name = f'attachment; filename="codes-{batch_id}.csv"'
        return Reply(
            encoded=codes_csv(batch, rows).encode(),
            media_type=_CSV_TYPE,
            headers={"Content-Disposition": name},
        )


class _Disabling(_OffersResource):
    @operation(
        "Disable codes",
        204,
        permission=Permission.SALES_WRITE,
        path=_BATCH,
        body=DisableBody,
        problems=(CodeBatchNotFound, OutcomeUnknown),
    )
    async def on_put(self, call: Call[DisableBody, Any]) -> Reply:
        """All codes of a batch, or one. What is held or sold with them stays."""
        ids = call.ids
        await self._service.disable(
            _actor(call), ids["schedule_id"], ids["batch_id"], call.body.code or ""
        )
        return Reply()


def routes(service: Offers, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of organizers by URI template."""
    offers = "/v1/admin/schedules/{schedule_id}/offers"
    return [
        (offers, _OwnOffers(service, dependencies)),
        (f"{offers}/seats", _OwnSeats(service, dependencies)),
        (f"{offers}/codes", _Codes(service, dependencies)),
        (f"{offers}/codes/{{batch_id}}/export", _CodesCsv(service, dependencies)),
        (f"{offers}/codes/{{batch_id}}/disabled", _Disabling(service, dependencies)),
    ]
