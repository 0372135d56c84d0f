"""A sell-out through payment providers: many people, few seats, and what each was answered.

A buyer tries seats until one is held, pays it through a provider, and repeats every request that got no
answer. A declined buyer tries another card; an intent that is being confirmed is looked at until it
ends, and the buyer tries in vain to pay its hold through another provider and from the wallet. A buyer
whose provider is away ends the intent and takes another method. What became of each attempt is
recorded, to be compared with the books.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

from faults.cluster.cluster import Api
from faults.cluster.providers import ProviderProcess, ProviderRefused
from faults.workload.fixtures import Fixtures, SeededBuyer

_AT_ONCE = 48
_REPEAT_S = 0.2
_LOOK_S = 0.3
_HOLDS_MAX = 6
_CARDS_MAX = 4
_FINAL = frozenset({"SUCCEEDED", "CANCELLED", "EXPIRED", "RETURNING", "RETURNED"})
_IN_FLIGHT = frozenset({"CONFIRMING", "UNKNOWN"})
# The provider could not be reached; nothing was sent.
_AWAY = "AWAY"
_TIMEOUT_S = 20.0


@dataclass
class ProviderSaleRecord:
    """What buyers were answered: the intents by what was said last, and the answers by code.

    `switched` counts the buyers who took another method, `elsewhere` has what was taken for a hold
    beside an intent whose outcome was open.
    """

    intents: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    elsewhere: list[str] = field(default_factory=list)
    switched: Counter[str] = field(default_factory=Counter)

    @property
    def bought(self) -> int:
        """How many intents were said to have succeeded."""
        return sum(status == "SUCCEEDED" for status in self.intents.values())


class ProviderSale:
    """The buyers of one schedule, who pay through `methods` at these processes."""

    def __init__(
        self,
        fixtures: Fixtures,
        api: Sequence[Api],
        providers: dict[str, ProviderProcess],
        rng: random.Random,
        tag: str,
    ) -> None:
        self.record = ProviderSaleRecord()
        self.fixtures = fixtures
        self._api = api
        self._providers = providers
        self._rng = rng
        self._tag = tag
        self._numbers = itertools.count()
        self._tried: set[str] = set()
        self._free = list(fixtures.seat_ids)
        self._session: aiohttp.ClientSession | None = None
        self._ends_at = float("inf")

    async def run(
        self, people: Sequence[SeededBuyer], *, arriving_s: float, within_s: float
    ) -> None:
        """Let people arrive within seconds and buy, until all are done or `within_s` have passed."""
        self._ends_at = asyncio.get_running_loop().time() + within_s
        gate = asyncio.Semaphore(_AT_ONCE)
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session

            async def visit(person: SeededBuyer) -> None:
                await asyncio.sleep(self._rng.uniform(0, arriving_s))
                async with gate:
                    await self._buy(person)

            await asyncio.gather(*(visit(person) for person in people))

    @property
    def _is_over(self) -> bool:
        return asyncio.get_running_loop().time() > self._ends_at

    async def _buy(self, person: SeededBuyer) -> None:
        for _ in range(_HOLDS_MAX):
            held = await self._hold(person)
            if held is None or self._is_over:
                return
            if await self._pay(person, held):
                return

    async def _hold(self, person: SeededBuyer) -> str | None:
        """Hold a seat; None once none was free in a few tries."""
        path = f"/v1/schedules/{self.fixtures.schedule_id}/reservations"
        for _ in range(_HOLDS_MAX):
            seat_id = self._rng.choice(self._free)
            status, body = await self._call("POST", path, person, {"seat_ids": [seat_id]}, "hold")
            if status == 201:
                return str(body["reservation_id"])
            if status != 409:
                return None
        return None

    async def _pay(self, person: SeededBuyer, reservation_id: str) -> bool:
        """Pay a hold; say whether the buyer is done, with or without a ticket."""
        away = ""
        while not self._is_over:
            method = await self._method(person, away)
            if method is None:
                return True
            ended = await self._pay_through(person, reservation_id, method)
            if ended == "SUCCEEDED" and away:
                self.record.switched["sold"] += 1
            if ended != _AWAY:
                return ended != "EXPIRED"
            self.record.switched[f"from {method}"] += 1
            away = method
        return True

    async def _pay_through(self, person: SeededBuyer, reservation_id: str, method: str) -> str:
        """Pay a hold through a provider; return what became of the intent, or `_AWAY`."""
        body = {"reservation_id": reservation_id, "method": method}
        status, intent = await self._call("POST", "/v1/payment-intents", person, body, "intent")
        if status != 201:
            return {410: "EXPIRED", 503: _AWAY}.get(status, "refused")
        own_id = intent["intent_id"]
        ended = str(intent["status"])
        self.record.intents[own_id] = ended
        for _ in range(_CARDS_MAX):
            ended = await self._confirm(person, intent, method)
            if ended == _AWAY:
                ended = await self._given_up(person, own_id)
                self.record.intents[own_id] = ended
                return _AWAY if ended == "CANCELLED" else ended
            self.record.intents[own_id] = ended
            if ended in _FINAL or self._is_over:
                break
        return ended

    async def _given_up(self, person: SeededBuyer, intent_id: str) -> str:
        """End an intent whose provider is away; return its status, which may be another one."""
        path = f"/v1/payment-intents/{intent_id}"
        status, _ = await self._call("DELETE", path, person, None, "")
        return "CANCELLED" if status == 204 else await self._looked_at(person, path)

    async def _method(self, person: SeededBuyer, away: str = "") -> str | None:
        """Choose a provider that is on offer; the page shows the others as not available."""
        status, body = await self._call("GET", "/v1/payment-methods", person, None, "")
        if status != 200:
            return None
        offered = [
            one["method"]
            for one in body["items"]
            if one["is_available"] and one["method"] in self._providers and one["method"] != away
        ]
        return self._rng.choice(offered) if offered else None

    async def _confirm(self, person: SeededBuyer, intent: dict[str, Any], method: str) -> str:
        """Finish at the provider and return; the intent's status after it, OPEN after a decline."""
        key = await self._authorized(intent, method)
        if key in (None, _AWAY):
            return key or "OPEN"
        body = {"payment_key": key, "order_id": intent["intent_id"], "amount": intent["amount"]}
        path = f"/v1/payment-intents/{intent['intent_id']}"
        while not self._is_over:
            status, answer = await self._call("POST", f"{path}/confirm", person, body, "confirm")
            if status in (200, 202) and answer["status"] in _FINAL:
                return str(answer["status"])
            if status == 503:
                return _AWAY
            if status in (402, 409, 410, 422):
                break
            if status == 202 and answer["status"] in _IN_FLIGHT:
                await self._try_elsewhere(person, intent, method)
            if status in (200, 202) and answer["status"] == "OPEN":
                return "OPEN"
            await asyncio.sleep(_LOOK_S)
        return await self._looked_at(person, path)

    async def _authorized(self, intent: dict[str, Any], method: str) -> str | None:
        values = {"order_id": intent["intent_id"], "amount": intent["amount"]}
        if "payment_key" in intent["client"]:
            values["payment_key"] = intent["client"]["payment_key"]
        try:
            made = await self._providers[method].do("authorize", **values)
        except ProviderRefused:
            self.record.answers["provider: refused"] += 1
            return None
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.record.answers["provider: away"] += 1
            return _AWAY
        return str(made["payment_key"])

    async def _try_elsewhere(
        self, person: SeededBuyer, intent: dict[str, Any], method: str
    ) -> None:
        """Try once to pay a hold, whose intent is in flight, through another provider and by wallet."""
        reservation_id, own_id = intent["reservation_id"], intent["intent_id"]
        if own_id in self._tried:
            return
        self._tried.add(own_id)
        other = next(name for name in self._providers if name != method)
        path, body = "/v1/payment-intents", {"reservation_id": reservation_id}
        for where, by in ((path, other), ("/v1/payments", "wallet")):
            status, made = await self._call("POST", where, person, {**body, "method": by}, "other")
            if status != 201:
                continue
            # It may have ended meanwhile.
            _, now = await self._call("GET", f"{path}/{own_id}", person, None, "")
            if now and now["status"] in _IN_FLIGHT:
                self.record.elsewhere.append(f"{reservation_id} by {by}: {made}")

    async def _looked_at(self, person: SeededBuyer, path: str) -> str:
        """Look at an intent until it is open or has ended."""
        while not self._is_over:
            status, intent = await self._call("GET", path, person, None, "")
            if status == 200 and intent["status"] in {*_FINAL, "OPEN"}:
                return str(intent["status"])
            await asyncio.sleep(_LOOK_S)
        return "unknown"

    async def _call(
        self, method: str, path: str, person: SeededBuyer, body: object, what: str
    ) -> tuple[int, Any]:
        """Send a request, and repeat it under its key while it gets no answer."""
        key = f"{self._tag}-{what}-{next(self._numbers)}" if what and what != "confirm" else ""
        while True:
            api = self._rng.choice(self._api)
            status, answer = await self._sent(method, api.url + path, person, body, key)
            self.record.answers[f"{what or 'read'}: {_named(status, answer)}"] += 1
            if status not in {0, 503} or self._is_over:
                return status, answer
            if answer and answer.get("code") == "provider_unavailable":
                return status, answer
            await asyncio.sleep(_REPEAT_S)

    async def _sent(
        self, method: str, url: str, person: SeededBuyer, body: object, key: str
    ) -> tuple[int, Any]:
        if self._session is None:
            raise RuntimeError("the sale has not begun")
        try:
            async with self._session.request(
                method, url, json=body, headers=person.headers(key)
            ) as answer:
                raw = await answer.read()
                return answer.status, msgspec.json.decode(raw) if raw else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, None


def _named(status: int, answer: Any) -> str:
    code = answer.get("code", "") if isinstance(answer, dict) else ""
    return f"{status} {code}".strip() if status else "no answer"
