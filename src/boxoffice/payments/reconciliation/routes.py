"""Statements over HTTP, for operators: parse, call, present."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta

from boxoffice.accounts.rules import OPERATOR
from boxoffice.errors import (
    CursorInvalid,
    FindingNotFound,
    FindingResolved,
    StatementNotFound,
)
from boxoffice.http.api.operation import Call, PathId, Reply, RouteDependencies, operation
from boxoffice.http.api.paging import Page, PageQuery, decode_cursor, page
from boxoffice.payments.reconciliation.errors import StatementQueued
from boxoffice.payments.reconciliation.rules import HEALING, StatementTotal
from boxoffice.payments.reconciliation.service import Reconciliation
from boxoffice.payments.reconciliation.store import FindingFilter, KeptFinding, StatementRun
from boxoffice.platform.ids import parse_uuid
from boxoffice.platform.values import Line

_CSV_TYPE = "text/csv; charset=utf-8"
_NAME = "^[a-z_]{1,40}$"

FindingName = Literal[
    "missing_here", "missing_there", "amount", "currency", "foreign_cancel", "unknown_order"
]


def _provider(text: str) -> str | None:
    return text if text.isascii() and text.replace("_", "").isalpha() and len(text) <= 40 else None


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    # The last days have no next one in every time zone.
    return found if found.isoformat() == text and 2000 <= found.year <= 9000 else None


_PROVIDER = PathId(_provider, StatementNotFound, "The name of a provider.")
_DAY = PathId(_day, StatementNotFound, "A day of the provider's calendar, YYYY-MM-DD.")
_PLACE = {"provider": _PROVIDER, "day": _DAY}
_FINDING = {"finding_id": PathId(parse_uuid, FindingNotFound, "The `finding_id` of a finding.")}


class RunPlace(NamedTuple):
    """The place of a run in a list."""

    since: datetime
    provider: str
    kind: str


class StatementQuery(PageQuery, frozen=True, kw_only=True):
    """A page of runs, optionally of one provider, or of days or hours only."""

    provider: Annotated[str, Meta(pattern=_NAME)] | None = None
    kind: Literal["hour", "day"] | None = None


class FindingQuery(PageQuery, frozen=True, kw_only=True):
    """A page of findings, of one provider or all; those that are over only if wanted."""

    provider: Annotated[str, Meta(pattern=_NAME)] | None = None
    only_open: bool = True


class StatementTotalOut(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a kind of movement, positive towards us, in minor units."""

    movement: str
    currency: str
    there: int
    here: int


class StatementRunOut(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of a window: QUEUED until the cashier has compared it, then FINISHED.

    `findings` counts those of the window, `open_findings` those of them that are not over.
    """

    provider: str
    kind: Literal["hour", "day"]
    state: Literal["QUEUED", "FINISHED"]
    since: datetime
    until: datetime
    started_at: datetime
    finished_at: datetime | None
    lines: int
    totals: list[StatementTotalOut]
    findings: int
    open_findings: int


class FindingOut(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between statement and books; `heals`: a look-up at the provider ends it."""

    finding_id: UUID
    provider: str
    transaction_key: str
    kind: FindingName
    heals: bool
    movement: str
    currency: str
    there: int | None
    here: int | None
    order_id: str | None
    payment_key: str | None
    happened_at: datetime
    found_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    resolved_by: UUID | None
    note: str | None


class StatementDayOut(msgspec.Struct, frozen=True, kw_only=True):
    """A day of a provider's statement against our books."""

    run: StatementRunOut
    findings: list[FindingOut]


class FindingResolutionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was done about a finding."""

    note: Line


class _StatementResource:
    def __init__(self, service: Reconciliation, dependencies: RouteDependencies) -> None:
        self._service = service
        self.dependencies = dependencies


class _StatementRuns(_StatementResource):
    @operation(
        "List comparisons with statements",
        role=OPERATOR,
        query=StatementQuery,
        returns=Page[StatementRunOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, StatementQuery]) -> Reply:
        """Newest window first."""
        query = call.query
        before = decode_cursor(query.cursor, RunPlace)
        found = await self._service.runs(query.provider, query.kind, before, query.limit + 1)
        return Reply(page(found, query.limit, _present_run, _place_of_run))


class _StatementDay(_StatementResource):
    @operation("Get a day's statement", role=OPERATOR, path=_PLACE, returns=StatementDayOut)
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Totals and findings of a day; QUEUED until the cashier has compared it."""
        run, findings = await self._service.day(call.ids["provider"], call.ids["day"])
        return Reply(StatementDayOut(run=_present_run(run), findings=_present_all(findings)))

    @operation(
        "Ask for a comparison of a day", 202, role=OPERATOR, path=_PLACE, returns=StatementRunOut
    )
    async def on_post(self, call: Call[Any, Any]) -> Reply:
        """The cashier reads the statement from the provider, also if it did before."""
        run = await self._service.ask(call.ids["provider"], call.ids["day"])
        return Reply(_present_run(run))


class _StatementCsv(_StatementResource):
    @operation(
        "Get a day's statement as CSV",
        role=OPERATOR,
        path=_PLACE,
        text_type=_CSV_TYPE,
        problems=(StatementQueued,),
    )
    async def on_get(self, call: Call[Any, Any]) -> Reply:
        """Each line of the statement beside our booking, with its finding."""
        provider, day = call.ids["provider"], call.ids["day"]
        text = await self._service.day_as_csv(provider, day)
        name = f'attachment; filename="{provider}-{day}.csv"'
        return Reply(
            encoded=text.encode(), media_type=_CSV_TYPE, headers={"Content-Disposition": name}
        )


class _Findings(_StatementResource):
    @operation(
        "List findings",
        role=OPERATOR,
        query=FindingQuery,
        returns=Page[FindingOut],
        problems=(CursorInvalid,),
    )
    async def on_get(self, call: Call[Any, FindingQuery]) -> Reply:
        """Differences between statements and books, oldest first."""
        query = call.query
        wanted = FindingFilter(query.only_open, query.provider)
        after = decode_cursor(query.cursor, UUID)
        found = await self._service.findings(after, wanted, query.limit + 1)
        return Reply(page(found, query.limit, _present_finding, lambda one: one.finding_id))


class _FindingResolution(_StatementResource):
    @operation(
        "Resolve a finding",
        role=OPERATOR,
        path=_FINDING,
        body=FindingResolutionBody,
        returns=FindingOut,
        problems=(FindingResolved,),
    )
    async def on_put(self, call: Call[FindingResolutionBody, Any]) -> Reply:
        """With a note of what was done about it, which the activity log keeps."""
        found = await self._service.resolve(
            call.caller.user_id,
            call.ids["finding_id"],
            call.body.note,
            request_id=call.request_id,
        )
        return Reply(_present_finding(found))


def _place_of_run(one: StatementRun) -> RunPlace:
    return RunPlace(one.since, one.provider, one.kind)


def _present_run(one: StatementRun) -> StatementRunOut:
    return msgspec.convert(
        {
            **msgspec.structs.asdict(one),
            "state": "QUEUED" if one.finished_at is None else "FINISHED",
            "totals": [_present_total(total) for total in one.totals],
        },
        StatementRunOut,
    )


def _present_total(one: StatementTotal) -> StatementTotalOut:
    return StatementTotalOut(
        movement=one.movement, currency=one.currency, there=one.there_minor, here=one.here_minor
    )


def _present_all(found: Sequence[KeptFinding]) -> list[FindingOut]:
    return [_present_finding(one) for one in found]


def _present_finding(one: KeptFinding) -> FindingOut:
    named = {
        name: getattr(one, name)
        for name in FindingOut.__struct_fields__
        if name not in ("heals", "there", "here")
    }
    amounts = {"there": one.there_minor, "here": one.here_minor}
    return msgspec.convert({**named, **amounts, "heals": one.kind in HEALING}, FindingOut)


def routes(service: Reconciliation, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    day = "/v1/admin/statements/{provider}/days/{day}"
    return [
        ("/v1/admin/statements", _StatementRuns(service, dependencies)),
        (day, _StatementDay(service, dependencies)),
        (f"{day}/csv", _StatementCsv(service, dependencies)),
        ("/v1/admin/findings", _Findings(service, dependencies)),
        ("/v1/admin/findings/{finding_id}/resolution", _FindingResolution(service, dependencies)),
    ]
