"""The leader of the waiting rooms: one of all processes, which runs a tick several times a second.

A tick removes expired admissions, calls numbers, records exits in PostgreSQL and checkpoints progress.
A place is filled again only after its exit is recorded and every process has read it, so that no pass
of the previous user is accepted any more (`rules.DEPARTURES_FRESH_FOR_S`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from math import inf
from time import monotonic, perf_counter
from uuid import UUID

from boxoffice.errors import Problem, Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.concurrency.tasks import cancel_and_wait
from boxoffice.platform.lease.lease import Lease
from boxoffice.platform.valkey import ValkeyUnavailable
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room import metrics, rules
from boxoffice.waiting_room.engine.queue_state import (
    PART_MAX,
    LeaderFenced,
    QueueState,
    QueueStateLost,
    TickCommand,
    TickResult,
)
from boxoffice.waiting_room.engine.restorer import PACK_NUMBERS, NumberRestorer
from boxoffice.waiting_room.registry import WaitingRoomRegistry
from boxoffice.waiting_room.rules import QueueCounters, RateMeter, TokenBucket, WaitingRoomState
from boxoffice.waiting_room.store import QueueStore

ROLE = "queue"

_CONCURRENT_MAX = 8
_LOG_FAILURE_EVERY = 25
_LOG_ROOM_OUTAGE_EVERY_S = 5.0
_PREFETCH_TICKS = 10
_PURGE_EVERY_S = 60.0


@dataclass(eq=False)
class _RoomProgress:
    """What a leader keeps of a waiting room between ticks."""

    numbers_to: int
    joined: int = -1
    called: int = -1
    recorded: int = 0
    # (time, count): every worker knows the first `count` exits at `time`; and the count known by now.
    propagating: deque[tuple[float, int]] = field(default_factory=deque)
    propagated: int = 0
    # After a rebuild, exits of the lost state may not have reached every worker.
    closed_until: float = -inf
    waiting: int = 0
    inside: int = 0
    is_begun: bool = False
    has_joined: bool = False
    token_bucket: TokenBucket = field(default_factory=TokenBucket)
    rate_meter: RateMeter = field(default_factory=RateMeter)
    # Up to this number they are packed, or a packing has begun.
    packed: int = 0
    # Possibly vacant places not yet sent to Valkey.
    vacant: list[int] = field(default_factory=list)


class Leader:
    """Leads every waiting room while it holds the lease.

    `now` is the database's time in seconds since the epoch, `clock` counts monotonic seconds.
    `seats_left` returns the free seats of a schedule, None when unknown.
    """

    def __init__(
        self,
        settings: WaitingRoomSettings,
        lease: Lease,
        store: QueueStore,
        queue_state: QueueState,
        rooms: WaitingRoomRegistry,
        now: Callable[[], float],
        seats_left: Callable[[UUID], Awaitable[int | None]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._lease = lease
        self._store = store
        self._queue_state = queue_state
        self._restorer = NumberRestorer(store, queue_state)
        self._rooms = rooms
        self._now = now
        self._seats_left = seats_left
        self._clock = clock
        self._purge_at = -inf
        self._log_outage_at = -inf
        self._tick_s = settings.queue_tick_ms / 1000
        self._prefetch = settings.queue_number_prefetch
        self._progress: dict[UUID, _RoomProgress] = {}
        self._token: int | None = None
        self._concurrency = asyncio.Semaphore(_CONCURRENT_MAX)

    async def run(self) -> None:
        """Tick until cancelled; continue after an outage."""
        failures = 0
        try:
            while True:
                await asyncio.sleep(self._tick_s)
                try:
                    await self.tick()
                except Exception as error:  # the role survives any failed tick
                    self._log_failure(error, failures)
                    failures += 1
                else:
                    failures = 0
        finally:
            await self.release()

    async def tick(self) -> bool:
        """Run one tick of every waiting room; return whether this process leads.

        Raises the database's error when the lease cannot be renewed.
        """
        rooms = self._rooms.all()
        token = await self._lease.keep() if rooms else None
        if token != self._token:
            # Another process may have led since, so the kept progress is stale.
            # guard: leader_what_is_remembered_ends_with_lease => pass
            self._progress.clear()
            self._token = token
        # guard: leader_needs_lease { => token = token or 0
        if token is None:
            self._set_gauges()
            return False
        # guard: }
        for schedule_id in self._progress.keys() - {room.schedule_id for room in rooms}:
            del self._progress[schedule_id]
        began_at = perf_counter()
        # guard: leader_lease_is_kept_during_tick: self._keep_lease( => asyncio.sleep(0
        keeping = asyncio.create_task(self._keep_lease())
        try:
            await asyncio.gather(*(self._tick_room(room, token) for room in rooms))
        finally:
            await cancel_and_wait([keeping])
        metrics.WAITING_ROOM_TICK_SECONDS.observe(perf_counter() - began_at)
        self._set_gauges()
        await self._purge_departures()
        return True

    async def _purge_departures(self) -> None:
        """Delete recorded departures whose passes have expired, once a minute."""
        if self._clock() < self._purge_at:
            return
        self._purge_at = self._clock() + _PURGE_EVERY_S
        try:
            await self._store.purge_departures()
        except Unavailable as error:
            log.warning("waiting_room_departures_not_purged", error=str(error))

    async def _keep_lease(self) -> None:
        """Renew the lease during a tick: a rebuild may take longer than the lease lasts."""
        while True:
            await asyncio.sleep(self._tick_s)
            try:
                await self._lease.keep()
            except Exception as error:  # a new holder fences this tick
                log.warning("waiting_room_lease_not_renewed", error=repr(error))

    async def _tick_room(self, room: WaitingRoomState, token: int) -> None:
        """Run the tick of one waiting room; its errors do not affect the others."""
        async with self._concurrency:
            try:
                await self._run_room(room, token)
            except LeaderFenced:
                # guard: leader_replaced_leader_takes_lease_again => pass
                self._lease.forget()
            except (ValkeyUnavailable, Unavailable, QueueStateLost) as error:
                # Includes a loss during a rebuild: the next tick rebuilds.
                self._log_outage(room, error)
            except Exception as error:  # the other rooms get their tick
                log.error(
                    "waiting_room_tick_failed", schedule_id=str(room.schedule_id), exc_info=error
                )

    async def _run_room(self, room: WaitingRoomState, token: int) -> None:
        progress = self._progress.get(room.schedule_id)
        if progress is None:
            progress = self._progress[room.schedule_id] = _RoomProgress(room.numbers_to)
        # guard: leader_no_draw_of_a_draft: room.is_public and =>
        is_drawable = room.is_lobby and room.is_public and progress.has_joined
        # guard: leader_lobby_is_drawn_at_its_opening: and self._now() >= room.opens_at =>
        if is_drawable and self._now() >= room.opens_at:
            room = await self._draw(room, progress, token)
        command = await self._command(room, progress, token)
        try:
            result = await self._queue_state.tick(room, command)
        except QueueStateLost:
            await self._rebuild(room, progress, token)
            return
        await self._record_result(room, progress, token, result)

    async def _command(
        self, room: WaitingRoomState, progress: _RoomProgress, token: int
    ) -> TickCommand:
        now = self._now()
        is_sold_out = await self._seats_left(room.schedule_id) == 0
        reason = rules.notice(room, QueueCounters(is_sold_out=is_sold_out), now)
        if reason is not None:
            progress.rate_meter = RateMeter()
        part, progress.vacant = progress.vacant[:PART_MAX], progress.vacant[PART_MAX:]
        return TickCommand(
            token=token,
            now_ms=int(now * 1000),
            # guard: leader_no_calls_while_closed: reason is None and =>
            # guard: leader_no_calls_before_gaps_are_known: not part and =>
            # guard: leader_no_calls_after_a_rebuild: and self._clock() >= progress.closed_until =>
            is_open=reason is None and not part and self._clock() >= progress.closed_until,
            allowed=progress.token_bucket.available(now, room.rate_per_s),
            numbers_to=progress.numbers_to,
            recorded=progress.recorded,
            # guard: leader_place_is_filled_once_every_process_knows => propagated=progress.recorded,
            propagated=self._propagated(progress),
            rate_per_s=progress.rate_meter.per_s(now, progress.called),
            is_sold_out=is_sold_out,
            vacant=part,
        )

    def _propagated(self, progress: _RoomProgress) -> int:
        """Return how many exits every worker knows by now; their places are free."""
        while progress.propagating and progress.propagating[0][0] <= self._clock():
            progress.propagated = progress.propagating.popleft()[1]
        return progress.propagated

    async def _record_result(
        self, room: WaitingRoomState, progress: _RoomProgress, token: int, result: TickResult
    ) -> None:
        progress.is_begun = False
        progress.has_joined = True
        progress.token_bucket.take(result.called_now)
        progress.rate_meter.add(self._now(), result.called)
        progress.waiting, progress.inside = result.joined - result.called, result.inside
        if result.exits:
            await self._record_exits(room, progress, result)
        await self._checkpoint(room, progress, token, result)
        self._pack(room, progress)

    def _pack(self, room: WaitingRoomState, progress: _RoomProgress) -> None:
        """Pack issued numbers in the background, so that a rebuild is short."""
        is_due = progress.joined - progress.packed >= PACK_NUMBERS
        if is_due and self._restorer.pack(room.schedule_id):
            progress.packed = progress.joined

    async def _record_exits(
        self, room: WaitingRoomState, progress: _RoomProgress, result: TickResult
    ) -> None:
        # guard: leader_exits_are_recorded
        await self._store.record_exits(room.schedule_id, result.exits)
        for one in result.exits:
            metrics.WAITING_ROOM_EXITS.labels(one.reason).inc()
        progress.recorded = max(progress.recorded, result.released) + len(result.exits)
        known_at = self._clock() + rules.DEPARTURES_FRESH_FOR_S
        progress.propagating.append((known_at, progress.recorded))

    async def _checkpoint(
        self, room: WaitingRoomState, progress: _RoomProgress, token: int, result: TickResult
    ) -> None:
        """Save progress, and reserve numbers ahead of the joins.

        The reserve is small because a loss of Valkey leaves that many numbers unused.
        """
        joined_now = result.joined - progress.joined if progress.joined >= 0 else 0
        prefetch = max(self._prefetch, _PREFETCH_TICKS * joined_now)
        numbers_to = progress.numbers_to
        if numbers_to - result.joined < prefetch / 2:
            numbers_to = result.joined + prefetch
        seen = (result.joined, result.called, numbers_to)
        if seen != (progress.joined, progress.called, progress.numbers_to):
            held = await self._store.checkpoint(room.schedule_id, token, *seen)
            # guard: leader_later_checkpoint_stops_leader {
            if held is None:
                raise LeaderFenced("another leader has taken over")
            # guard: }
            progress.joined, progress.called, progress.numbers_to = (
                result.joined,
                result.called,
                held,
            )

    async def _draw(
        self, room: WaitingRoomState, progress: _RoomProgress, token: int
    ) -> WaitingRoomState:
        """Draw among all numbers issued so far."""
        await self._store.draw(room.schedule_id, token, progress.joined)
        await self._rooms.refresh()
        drawn = self._rooms.by_schedule.get(room.schedule_id) or room
        if not drawn.is_lobby:
            log.info(
                "waiting_room_drawn", schedule_id=str(room.schedule_id), lobby_size=drawn.lobby_size
            )
            progress.vacant = await self._vacant_places(drawn)
        return drawn

    async def _rebuild(self, room: WaitingRoomState, progress: _RoomProgress, token: int) -> None:
        """Rebuild lost queue state; admitted users stay, and old tickets keep their places."""
        schedule_id = room.schedule_id
        # guard: leader_epoch_begins_once => if True:
        if not progress.is_begun:
            if not await self._store.begin_epoch(schedule_id, token, self._prefetch):
                # guard: leader_later_leader_begins_epoch => pass
                raise LeaderFenced("another leader has taken over")
            progress.is_begun = True
        await self._rooms.refresh()
        begun = self._rooms.by_schedule.get(schedule_id)
        if begun is None:
            return
        now_ms = int(self._now() * 1000)
        admissions = await self._store.admissions(schedule_id, now_ms)
        # Before the draw the places of those numbers are not known.
        # guard: leader_places_unknown_before_draw: [] if begun.is_lobby else =>
        vacant = [] if begun.is_lobby else await self._vacant_places(begun)

        async def restore_numbers() -> None:
            await self._restorer.restore(begun)

        await self._queue_state.rebuild(begun, token, now_ms, admissions, vacant, restore_numbers)
        rebuilt = _RoomProgress(begun.numbers_to, begun.joined, begun.called, packed=begun.joined)
        self._progress[schedule_id] = rebuilt
        rebuilt.closed_until = self._clock() + rules.DEPARTURES_FRESH_FOR_S
        metrics.WAITING_ROOM_REBUILDS.inc()
        log.info("waiting_room_rebuilt", schedule_id=str(schedule_id), epoch=begun.epoch)

    async def _vacant_places(self, room: WaitingRoomState) -> list[int]:
        """Return the places in the gaps without a recorded owner."""
        if not room.gaps:
            return []
        known = await self._store.issued_in_gaps(room.schedule_id, room.gaps)
        return list(rules.vacant_places(room, known))

    def _set_gauges(self) -> None:
        metrics.WAITING_ROOM_LENGTH.set(sum(one.waiting for one in self._progress.values()))
        metrics.WAITING_ROOM_INSIDE.set(sum(one.inside for one in self._progress.values()))

    async def release(self) -> None:
        """Release the lease, so that another process leads with its next tick."""
        await self._restorer.stop()
        try:
            await self._lease.release()
        except Exception as error:  # the lease expires by itself
            log.warning("waiting_room_lease_not_released", error=repr(error))

    def _log_outage(self, room: WaitingRoomState, error: Exception) -> None:
        """Log an outage of all rooms once, and every five seconds while it lasts."""
        if self._clock() < self._log_outage_at:
            return
        self._log_outage_at = self._clock() + _LOG_ROOM_OUTAGE_EVERY_S
        log.warning(
            "waiting_room_tick_failed", schedule_id=str(room.schedule_id), error=repr(error)
        )

    @staticmethod
    def _log_failure(error: Exception, failures: int) -> None:
        if failures % _LOG_FAILURE_EVERY == 0:
            trace = None if isinstance(error, Problem) else error
            log.warning("waiting_room_tick_failed", error=repr(error), exc_info=trace)
