"""The use case of the search: the cheapest reading of a text first, then the dearer ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from boxoffice.activity_log import ReadLog, Shown
from boxoffice.backoffice.search.rules import SearchTerms, terms
from boxoffice.backoffice.search.store import FoundIds, FoundOrder, SearchStore
from boxoffice.permissions import Actor, OrganizationIds, narrowed
from boxoffice.platform.ids import ScopedId

ACTION = "orders.read"


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How many of the newest orders are read, and how many people are looked at."""

    orders_max: int
    people_max: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Orders, the best reading of the text first; `has_more`: others may match as well.

    `is_similar`: nothing matched, and these are similar.
    """

    orders: Sequence[FoundOrder]
    has_more: bool
    is_similar: bool


class OrderSearch:
    """Searches orders of the actor's organizations; what is shown is logged before."""

    def __init__(self, store: SearchStore, reads: ReadLog, limits: SearchLimits) -> None:
        self._store = store
        self._reads = reads
        self._limits = limits

    async def find(
        self,
        actor: Actor,
        text: str,
        limit: int,
        *,
        organization_id: UUID | None = None,
        request_id: str = "",
    ) -> SearchResult:
        """Return up to `limit` orders; raise `OrganizationNotFound` and `Unavailable`."""
        own = narrowed(actor, organization_id)
        wanted = terms(text)
        found = await self._matching(own, wanted, limit + 1)
        is_similar = not found.orders and bool(wanted.words)
        if is_similar:
            found = await self._similar(own, wanted, limit + 1)
        orders = await self._store.orders(own, found.orders[:limit])
        await self._reads.record(
            actor, ACTION, _shown(orders), filters=["text"], request_id=request_id
        )
        has_more = len(found.orders) > limit or not found.is_all
        return SearchResult(orders, has_more, is_similar and bool(orders))

    async def _matching(self, own: OrganizationIds, wanted: SearchTerms, limit: int) -> FoundIds:
        """Words are not looked for where the text is a seat or a whole number that was found."""
        number = wanted.number_prefix, wanted.numbers
        named = await self._store.by_number(own, *number, limit) if any(number) else FoundIds()
        if wanted.place is not None:
            named = _joined(await self._store.by_seat(own, wanted.place, limit), named)
        is_named = bool(wanted.numbers or wanted.place) and bool(named.orders)
        if not wanted.words or is_named or len(named.orders) >= limit:
            return named
        return _joined(named, await self._people(own, wanted.patterns, None, limit))

    async def _similar(self, own: OrganizationIds, wanted: SearchTerms, limit: int) -> FoundIds:
        return await self._people(own, wanted.patterns, " ".join(wanted.words), limit)

    async def _people(
        self, own: OrganizationIds, patterns: Sequence[str], similar: str | None, limit: int
    ) -> FoundIds:
        """Look at the newest orders, where a frequent name is found at once; then at all people."""
        newest = await self._store.newest(own, patterns, similar, self._limits.orders_max, limit)
        if newest.is_all or len(newest.orders) >= limit:
            return newest
        people = await self._store.people(own, patterns, similar, self._limits.people_max, limit)
        first, second = (people, newest) if similar else (newest, people)
        return FoundIds(_joined(first, second).orders, people.is_all)


def _joined(first: FoundIds, second: FoundIds) -> FoundIds:
    orders: tuple[ScopedId, ...] = tuple(dict.fromkeys((*first.orders, *second.orders)))
    return FoundIds(orders, first.is_all and second.is_all)


def _shown(orders: Sequence[FoundOrder]) -> list[Shown]:
    """Return what was shown, by organization; of one schedule where all rows are."""
    by_organization: dict[UUID, list[FoundOrder]] = {}
    for one in orders:
        by_organization.setdefault(one.organization_id, []).append(one)
    return [
        Shown(
            organization_id,
            len(own),
            _only({one.concert_id for one in own}),
            _only({one.schedule_id for one in own}),
        )
        for organization_id, own in by_organization.items()
    ]


def _only(ids: set[UUID]) -> UUID | None:
    return ids.pop() if len(ids) == 1 else None
