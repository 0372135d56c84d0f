"""Buyers during a fault: seeded, at a constant rate, recording every response.

Visits begin at a constant rate whether or not earlier ones have ended (open workload), well below
capacity, so that the gap of a fault can be measured. A buyer without a response, or with a 503,
repeats the request under the same key, at another process if necessary, for up to a minute.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp

from faults.checks.record import (
    Attempt,
    CallEnding,
    FaultWindow,
    HeldSeats,
    Paid,
    Record,
    Refused,
    Released,
    ToppedUp,
)
from faults.workload.balancer import Balancer, Endpoint
from faults.workload.calls import ApiCall, ClientAnswer, decode, ending_of
from faults.workload.fixtures import Fixtures
from faults.workload.plan import Visit, Workload, WorkloadProfile, from_the_end

_TOP_UP_MINOR = 10_000
_BACKOFF_FIRST_S = 0.05
_BACKOFF_LAST_S = 1.0
_RETRY_AFTER_MAX_S = 5.0


class LoadGenerator:
    """The buyers of one schedule, and their record."""

    def __init__(
        self,
        fixtures: Fixtures,
        endpoints: Sequence[Endpoint],
        rng: random.Random,
        profile: WorkloadProfile,
        tag: str,
    ) -> None:
        self.fixtures = fixtures
        self.record = Record()
        self.profile = profile
        self.tag = tag
        # Visits do not depend on timing; pauses may.
        self._jitter = rng
        self._workload = Workload(fixtures, profile, rng.getrandbits(64))
        self._own_workload = Workload(from_the_end(fixtures), profile, rng.getrandbits(64))
        self._balancer = Balancer(endpoints)
        self._inside: set[int] = set()
        self._numbers = 0
        self._silent: set[str] = set()
        # By attempt: endpoint and start.
        self._in_flight: dict[object, tuple[str, float]] = {}
        self._visits: set[asyncio.Task[None]] = set()
        self._later: list[ApiCall] = []

    # -- For scenarios -----------------------------------------------------------------------------

    @contextmanager
    def fault(
        self,
        name: str,
        *,
        grace_s: float,
        since_s: float | None = None,
        affected: Sequence[str] | None = None,
        is_stopped: bool = False,
        is_lossy: bool = False,
    ) -> Iterator[None]:
        """Excuse failures from here, or `since_s`, until the affected processes sell again.

        `affected`: names of endpoints, None for all. Each must complete a sale that began after the
        block; nothing is excused later than `grace_s` after it. `is_stopped`: the processes are
        paused, which excuses timeouts. `is_lossy`: unacknowledged commits may be lost after others
        have seen them.
        """
        begin_s = time.monotonic() if since_s is None else since_s
        try:
            yield
        finally:
            over_s = time.monotonic()
            window = FaultWindow(
                name, begin_s, over_s, over_s + grace_s, affected, is_stopped, is_lossy
            )
            self.record.windows.append(window)

    async def next_sale(self, at_s: float, *, within_s: float = 60.0) -> float:
        """Return the time from `at_s` (monotonic) to a sale that began since then.

        Returns `within_s` if there is none in that time.
        """
        while (found_s := self.record.next_sale_s(at_s)) is None:
            if time.monotonic() > at_s + within_s:
                return within_s
            await asyncio.sleep(0.005)
        return found_s

    def has_request_in_flight(self, endpoints: Collection[str]) -> bool:
        """Say whether a request to one of these processes is in flight."""
        return any(name in endpoints for name, _ in self._in_flight.values())

    def in_flight(self, at_s: float, endpoints: Collection[str]) -> int:
        """Return how many requests to these processes were in flight then, those still open included.

        A request that was hit may be answered much later, after a look-up of its outcome.
        """
        still = sum(
            begin_s <= at_s and name in endpoints for name, begin_s in self._in_flight.values()
        )
        return still + self.record.in_flight(at_s, endpoints)

    async def wait_for_request_in_flight(
        self, endpoints: Collection[str], *, within_s: float = 30.0
    ) -> None:
        """Return when a request to one of these processes is in flight, or after `within_s`."""
        until_s = time.monotonic() + within_s
        while not self.has_request_in_flight(endpoints):
            if time.monotonic() > until_s:
                return
            await asyncio.sleep(0.001)

    async def sell_for(self, seconds: float) -> float:
        """Continue the sale and return its sales per second."""
        begin_s = time.monotonic()
        await asyncio.sleep(seconds)
        end_s = time.monotonic()
        return self.record.sales_between(begin_s, end_s) / (end_s - begin_s)

    async def call(self, call: ApiCall) -> ClientAnswer | None:
        """Repeat a call until it is answered; None after the deadline."""
        begin_s = time.monotonic()
        attempt, pause_s = 0, _BACKOFF_FIRST_S
        while time.monotonic() < begin_s + self.profile.call_deadline_s:
            turn = call.person + call.turn + attempt
            answer, retry_after_s = await self._attempt(call, turn, begin_s)
            if answer is not None:
                return answer
            attempt += 1
            await asyncio.sleep(retry_after_s or pause_s * self._jitter.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, _BACKOFF_LAST_S)
        return None

    async def post(
        self, what: str, person: int, path: str, key: str, body: Any
    ) -> ClientAnswer | None:
        """Make one POST until it is answered, recording only attempts."""
        return await self.call(ApiCall(what, "POST", path, person, key, body))

    def new_key(self, what: str) -> str:
        """Return a new idempotency key."""
        self._numbers += 1
        return f"{self.tag}-{what}-{self._numbers}"

    # -- The sale --------------------------------------------------------------------------------

    @asynccontextmanager
    async def selling(self) -> AsyncIterator["LoadGenerator"]:
        """Sell inside the block, then settle open outcomes."""
        watching = asyncio.create_task(self._balancer.watch())
        arriving = asyncio.create_task(self._arrive())
        try:
            yield self
            arriving.cancel()
            await asyncio.gather(arriving, return_exceptions=True)
            await self.settle()
        finally:
            for task in (watching, arriving, *self._visits):
                task.cancel()
            await asyncio.gather(watching, arriving, *self._visits, return_exceptions=True)
            await self._balancer.close()

    async def settle(self) -> None:
        """Wait for the visits, then repeat every call with an open outcome."""
        while self._visits:
            await asyncio.wait(list(self._visits))
        later, self._later = self._later, []
        for call in later:
            await self.conclude(call)

    async def _arrive(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s += 1 / self.profile.visits_per_s
            await asyncio.sleep(due_s - time.monotonic())
            # Drawn also for visits that are skipped, so that the next visit is the same.
            visit = self._workload.next()
            person = self._free(visit.person)
            if person is None or len(self._visits) >= self.profile.visits_in_flight_max:
                self.record.skipped += 1
                continue
            self._inside.add(person)
            task = asyncio.create_task(self._visit(person, visit))
            self._visits.add(task)
            task.add_done_callback(self._visits.discard)

    def _free(self, person: int) -> int | None:
        """Return that buyer, or the next idle one; None if all are busy."""
        count = len(self.fixtures.people)
        in_turn = ((person + step) % count for step in range(count))
        return next((one for one in in_turn if one not in self._inside), None)

    async def _visit(self, person: int, visit: Visit) -> None:
        try:
            if visit.looks:
                await self._look(person)
            if visit.top_ups:
                await self._top_up(person)
            held = await self.hold(person, visit.seats)
            if held is not None:
                await self._after(person, held, visit.draw)
        finally:
            self._inside.discard(person)

    async def _after(self, person: int, held: HeldSeats, draw: float) -> None:
        if draw < self.profile.pays:
            await self.pay(person, held)
        elif draw < self.profile.pays + self.profile.releases:
            await self.release(person, held)

    async def _look(self, person: int) -> None:
        schedule_id, concert_id = self.fixtures.schedule_id, self.fixtures.concert_id
        await self.call(ApiCall("schedules", "GET", f"/v1/concerts/{concert_id}/schedules", person))
        await self.call(ApiCall("seats", "GET", f"/v1/schedules/{schedule_id}/seats", person))

    async def _top_up(self, person: int) -> None:
        await self.conclude(
            ApiCall(
                "top_up",
                "POST",
                "/v1/me/wallet/top-ups",
                person,
                self.new_key("top_up"),
                {"amount": _TOP_UP_MINOR},
            )
        )

    async def hold_next(self, person: int) -> HeldSeats | None:
        """Hold the seats of the next visit of a scenario."""
        return await self.hold(person, self.next_seats())

    def hold_call(self, person: int, seats: Sequence[str]) -> ApiCall:
        """Return the call that holds seats under a new key."""
        return ApiCall(
            "hold",
            "POST",
            f"/v1/schedules/{self.fixtures.schedule_id}/reservations",
            person,
            self.new_key("hold"),
            {"seat_ids": list(seats)},
            tuple(seats),
        )

    async def hold(self, person: int, seats: Sequence[str]) -> HeldSeats | None:
        """Hold seats under a new key, and record the outcome."""
        call = self.hold_call(person, seats)
        before = len(self.record.holds)
        await self.conclude(call)
        mine = self.record.holds[before:]
        return next((one for one in mine if one.key == call.key), None)

    async def pay(self, person: int, held: HeldSeats) -> None:
        """Pay a hold from the wallet, and record the outcome."""
        await self.conclude(
            ApiCall(
                "pay",
                "POST",
                "/v1/payments",
                person,
                self.new_key("pay"),
                {"reservation_id": held.reservation_id, "method": "wallet"},
                held.seats,
                held.reservation_id,
            )
        )

    async def release(self, person: int, held: HeldSeats) -> None:
        """Release a hold, and record the outcome."""
        await self.conclude(
            ApiCall(
                "release",
                "DELETE",
                f"/v1/reservations/{held.reservation_id}",
                person,
                key="",
                seats=held.seats,
                reservation_id=held.reservation_id,
            )
        )

    def next_seats(self) -> tuple[str, ...]:
        """Choose seats for a scenario, from the other end than the visits."""
        return self._own_workload.next().seats

    # -- One call --------------------------------------------------------------------------------

    async def abandon(self, call: ApiCall, after_s: float) -> None:
        """Make a call, disconnect after so many seconds, and record its outcome as open.

        `conclude` with the same call settles it.
        """
        begin_s = time.monotonic()
        self.record.unsettled[call.mark] = call.unsettled(begin_s)
        turn = call.person + call.turn
        attempt = asyncio.create_task(self._attempt(call, turn, begin_s))
        await asyncio.sleep(after_s)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)

    async def conclude(self, call: ApiCall) -> None:
        """Make a call and record its outcome, or that it is open."""
        mark = call.mark
        open_since = self.record.unsettled.get(mark)
        self.record.unsettled[mark] = open_since or call.unsettled(time.monotonic())
        answer = await self.call(call)
        if answer is None:
            self._later.append(call)
            return
        begin_s = self.record.unsettled[mark].begin_s
        if call.what == "release" and answer.code == "not_held":
            answer = await self._look_at_release(call, answer)
        if answer is not None and self._note(call, answer, begin_s):
            del self.record.unsettled[mark]

    async def _look_at_release(self, call: ApiCall, answer: ClientAnswer) -> ClientAnswer | None:
        """Say whether a release whose first response may be lost has succeeded."""
        path = f"/v1/reservations/{call.reservation_id}"
        found = await self.call(ApiCall("look", "GET", path, call.person))
        if found is None or found.status != 200:
            return None
        is_done = found.body["status"] == "CANCELLED"
        return ClientAnswer(204, None, answer.begin_s, answer.end_s) if is_done else answer

    def _note(self, call: ApiCall, answer: ClientAnswer, begin_s: float) -> bool:
        """Record a response; false if the outcome stays open."""
        if 200 <= answer.status < 300:
            self._note_success(call, answer, begin_s)
            return True
        if call.what == "hold" and call.key in self._silent:
            self.record.late[call.key] = self.record.unsettled[call.key]
        if answer.code in ("seat_taken", "hold_expired"):
            seats = tuple(answer.body.get("seat_ids") or call.seats)
            self.record.refusals.append(
                Refused(call.person, seats, call.reservation_id, answer.code, begin_s, answer.end_s)
            )
        return answer.status < 500

    def _note_success(self, call: ApiCall, answer: ClientAnswer, begin_s: float) -> None:
        body, person, end_s = answer.body, call.person, answer.end_s
        if call.what == "hold":
            seats = tuple(seat["seat_id"] for seat in body["seats"])
            self.record.holds.append(
                HeldSeats(
                    body["reservation_id"], person, seats, body["amount"], call.key, begin_s, end_s
                )
            )
        elif call.what == "pay":
            self.record.payments.append(
                Paid(
                    body["payment_id"],
                    body["reservation_id"],
                    person,
                    body["amount"],
                    call.key,
                    begin_s,
                    end_s,
                )
            )
        elif call.what == "top_up":
            self.record.top_ups.append(
                ToppedUp(body["top_up_id"], person, body["amount"], call.key, begin_s, end_s)
            )
        elif call.what == "release":
            self.record.releases.append(Released(call.reservation_id, person, begin_s, end_s))

    async def _attempt(
        self, call: ApiCall, turn: int, first_s: float
    ) -> tuple[ClientAnswer | None, float | None]:
        """Try once; return the final response, or else the time of `Retry-After`, if any."""
        endpoint = self._balancer.choose(turn)
        begin_s = time.monotonic()
        attempt = object()
        self._in_flight[attempt] = (endpoint.name, begin_s)
        try:
            async with self._balancer.session(endpoint).request(
                call.method,
                endpoint.url + call.path,
                json=call.body,
                headers=self.fixtures.people[call.person].headers(call.key),
                timeout=aiohttp.ClientTimeout(total=self.profile.patience_s),
            ) as answer:
                raw = await answer.read()
                status, headers = answer.status, answer.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            self._note_attempt(call, endpoint, begin_s, ending_of(error))
            if isinstance(error, aiohttp.ClientConnectorError):
                self._balancer.unreached(endpoint)
            return None, None
        finally:
            del self._in_flight[attempt]
        body = decode(raw, headers)
        retry_after = headers.get("Retry-After")
        code = str(body.get("code", "")) if isinstance(body, dict) else ""
        self._note_attempt(
            call,
            endpoint,
            begin_s,
            CallEnding.ANSWERED,
            status,
            code,
            is_told=retry_after is not None,
        )
        if status >= 500 or code == "idempotency_in_flight":
            wait_s = float(retry_after) if retry_after else None
            return None, min(wait_s, _RETRY_AFTER_MAX_S) if wait_s else None
        return ClientAnswer(status, body, first_s, time.monotonic()), None

    def _note_attempt(
        self,
        call: ApiCall,
        endpoint: Endpoint,
        begin_s: float,
        ending: CallEnding,
        status: int = 0,
        code: str = "",
        *,
        is_told: bool = False,
    ) -> None:
        if ending is CallEnding.SILENT:
            self._silent.add(call.key)
        self.record.attempts.append(
            Attempt(
                call.what,
                call.key,
                endpoint.name,
                begin_s,
                time.monotonic(),
                ending,
                status,
                code,
                has_retry_after=is_told,
            )
        )
