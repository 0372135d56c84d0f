"""The leader of the waiting rooms: one process of all beats, several times a second.

A beat purges and admits in one script, puts on record who is out, and checkpoints how far the line is.
Places are free again only when it is on record who left them, so the cap holds by the record too, and
when every worker knows, so that no pass of theirs holds anything any more (`rules.KNOWN_FOR_S`).
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
from boxoffice.platform.valkey import ValkeyAway
from boxoffice.settings import WaitingRoomSettings
from boxoffice.waiting_room import metrics, rules
from boxoffice.waiting_room.engine.queue_state import (
    PART_MAX,
    Beat,
    Line,
    LineFenced,
    LineLost,
    Orders,
)
from boxoffice.waiting_room.registry import Rooms
from boxoffice.waiting_room.rules import Allowance, Counters, Pace, Room
from boxoffice.waiting_room.store import QueueStore

ROLE = "queue"

_AT_ONCE_MAX = 8
_LOG_OUTAGE_EVERY = 25
_LOG_AWAY_EVERY_S = 5.0
_BEATS_AHEAD = 10
_FORGET_EVERY_S = 60.0


@dataclass(eq=False)
class _Lead:
    """What a leader remembers of a room from one beat to the next."""

    numbers_to: int
    joined: int = -1
    called: int = -1
    recorded: int = 0
    # When every worker knows of how many who are out, and of how many they know by now.
    settling: deque[tuple[float, int]] = field(default_factory=deque)
    settled: int = 0
    # A line that was made anew says nothing of who has left the one before.
    closed_until: float = -inf
    waiting: int = 0
    inside: int = 0
    is_begun: bool = False
    has_joined: bool = False
    allowance: Allowance = field(default_factory=Allowance)
    pace: Pace = field(default_factory=Pace)
    # Places that nobody may have, as the line is still to hear.
    nobody: list[int] = field(default_factory=list)


class Leader:
    """Leads every room while it holds the lease of the role.

    `now` is the database's time in seconds since the epoch, and `clock` counts monotonic seconds.
    `seats_left` says how many seats of a schedule are free, None where that is not known.
    """

    def __init__(
        self,
        settings: WaitingRoomSettings,
        lease: Lease,
        store: QueueStore,
        line: Line,
        rooms: Rooms,
        now: Callable[[], float],
        seats_left: Callable[[UUID], Awaitable[int | None]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._lease = lease
        self._store = store
        self._line = line
        self._rooms = rooms
        self._now = now
        self._seats_left = seats_left
        self._clock = clock
        self._forget_at = -inf
        self._say_away_at = -inf
        self._beat_s = settings.queue_tick_ms / 1000
        self._ahead = settings.queue_number_prefetch
        self._leads: dict[UUID, _Lead] = {}
        self._token: int | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE_MAX)

    async def run(self) -> None:
        """Beat until cancelled; an outage is waited out."""
        failures = 0
        try:
            while True:
                await asyncio.sleep(self._beat_s)
                try:
                    await self.beat()
                except Exception as error:  # the role outlives whatever one beat meets
                    self._say(error, failures)
                    failures += 1
                else:
                    failures = 0
        finally:
            await self.release()

    async def beat(self) -> bool:
        """Do one beat in every room; return whether this process leads.

        Raises what the database raises where the lease cannot be asked for.
        """
        rooms = self._rooms.all()
        token = await self._lease.keep() if rooms else None
        if token != self._token:
            # Another process may have led since: what is remembered of the rooms is not so any more.
            # guard: leader_what_is_remembered_ends_with_lease => pass
            self._leads.clear()
            self._token = token
        # guard: leader_nobody_leads_without_lease { => token = token or 0
        if token is None:
            self._show()
            return False
        # guard: }
        for schedule_id in self._leads.keys() - {room.schedule_id for room in rooms}:
            del self._leads[schedule_id]
        began_at = perf_counter()
        # guard: leader_lease_is_kept_during_beat: self._keep_lease( => asyncio.sleep(0
        keeping = asyncio.create_task(self._keep_lease())
        try:
            await asyncio.gather(*(self._beat_one(room, token) for room in rooms))
        finally:
            await cancel_and_wait([keeping])
        metrics.WAITING_ROOM_TICK_SECONDS.observe(perf_counter() - began_at)
        self._show()
        await self._forget_left()
        return True

    async def _forget_left(self) -> None:
        """Forget now and then who has left so long ago that nobody asks any more."""
        if self._clock() < self._forget_at:
            return
        self._forget_at = self._clock() + _FORGET_EVERY_S
        try:
            await self._store.forget_left()
        except Unavailable as error:
            log.warning("waiting_room_departures_not_purged", error=str(error))

    async def _keep_lease(self) -> None:
        """Renew the lease during a beat: to make a long line anew takes longer than it lasts."""
        while True:
            await asyncio.sleep(self._beat_s)
            try:
                await self._lease.keep()
            except Exception as error:  # whoever has it now fences this beat
                log.warning("waiting_room_lease_not_renewed", error=repr(error))

    async def _beat_one(self, room: Room, token: int) -> None:
        """Beat in one room; what goes wrong there stays there."""
        async with self._turns:
            try:
                await self._lead(room, token)
            except LineFenced:
                # guard: leader_whoever_was_replaced_asks_for_lease_anew => pass
                self._lease.forget()
            except (ValkeyAway, Unavailable, LineLost) as error:
                # Also a line that is lost again while it is made anew: the next beat makes it.
                self._say_away(room, error)
            except Exception as error:
                log.error(
                    "waiting_room_tick_failed", schedule_id=str(room.schedule_id), exc_info=error
                )

    async def _lead(self, room: Room, token: int) -> None:
        lead = self._leads.get(room.schedule_id)
        if lead is None:
            lead = self._leads[room.schedule_id] = _Lead(room.numbers_to)
        # guard: leader_lobby_is_drawn_at_its_opening: and self._now() >= room.opens_at =>
        # guard: leader_nobody_draws_drafts_lobby: room.is_public and =>
        if room.is_lobby and room.is_public and lead.has_joined and self._now() >= room.opens_at:
            room = await self._draw(room, lead, token)
        orders = await self._orders(room, lead, token)
        try:
            beat = await self._line.beat(room, orders)
        except LineLost:
            await self._rebuild(room, lead, token)
            return
        await self._follow_up(room, lead, token, beat)

    async def _orders(self, room: Room, lead: _Lead, token: int) -> Orders:
        now = self._now()
        is_sold_out = await self._seats_left(room.schedule_id) == 0
        why = rules.notice(room, Counters(is_sold_out=is_sold_out), now)
        if why is not None:
            lead.pace = Pace()
        part, lead.nobody = lead.nobody[:PART_MAX], lead.nobody[PART_MAX:]
        return Orders(
            token=token,
            now_ms=int(now * 1000),
            # guard: leader_nobody_is_called_while_nobody_is_let_in: why is None and =>
            # guard: leader_nobody_is_called_before_line_knows_where_nobody_stands: not part and =>
            # guard: leader_rebuilt_line_fills_none_at_once: and self._clock() >= lead.closed_until =>
            is_open=why is None and not part and self._clock() >= lead.closed_until,
            allowed=lead.allowance.may(now, room.rate_per_s),
            numbers_to=lead.numbers_to,
            recorded=lead.recorded,
            # guard: leader_place_is_filled_once_every_process_knows => settled=lead.recorded,
            settled=self._settled(lead),
            rate_per_s=lead.pace.per_s(now, lead.called),
            is_sold_out=is_sold_out,
            nobody=part,
        )

    def _settled(self, lead: _Lead) -> int:
        """Return of how many who are out every worker knows by now: their places are free."""
        while lead.settling and lead.settling[0][0] <= self._clock():
            lead.settled = lead.settling.popleft()[1]
        return lead.settled

    async def _follow_up(self, room: Room, lead: _Lead, token: int, beat: Beat) -> None:
        lead.is_begun = False
        lead.has_joined = True
        lead.allowance.used(beat.called_now)
        lead.pace.note(self._now(), beat.called)
        lead.waiting, lead.inside = beat.joined - beat.called, beat.inside
        if beat.out:
            # guard: leader_who_is_out_is_put_on_record
            await self._store.end(room.schedule_id, beat.out)
            for one in beat.out:
                metrics.WAITING_ROOM_EXITS.labels(one.why).inc()
            lead.recorded = max(lead.recorded, beat.let_go) + len(beat.out)
            lead.settling.append((self._clock() + rules.KNOWN_FOR_S, lead.recorded))
        # Few, because so many at most count for nobody when the line is lost; more while many come.
        came = beat.joined - lead.joined if lead.joined >= 0 else 0
        ahead = max(self._ahead, _BEATS_AHEAD * came)
        numbers_to = lead.numbers_to
        if numbers_to - beat.joined < ahead / 2:
            numbers_to = beat.joined + ahead
        seen = (beat.joined, beat.called, numbers_to)
        if seen != (lead.joined, lead.called, lead.numbers_to):
            held = await self._store.checkpoint(room.schedule_id, token, *seen)
            # guard: leader_checkpoint_of_later_leader_stops_this_one {
            if held is None:
                raise LineFenced("another leader has taken over")
            # guard: }
            lead.joined, lead.called, lead.numbers_to = beat.joined, beat.called, held

    async def _draw(self, room: Room, lead: _Lead, token: int) -> Room:
        """Draw among everybody who has a number by now."""
        await self._store.draw(room.schedule_id, token, lead.joined)
        await self._rooms.read_rooms()
        drawn = self._rooms.get(room.schedule_id) or room
        if not drawn.is_lobby:
            log.info(
                "waiting_room_drawn", schedule_id=str(room.schedule_id), lobby_size=drawn.lobby_size
            )
            lead.nobody = await self._nobodies(drawn)
        return drawn

    async def _rebuild(self, room: Room, lead: _Lead, token: int) -> None:
        """Make a lost line anew; who is inside stays, and old tickets keep their places."""
        schedule_id = room.schedule_id
        # guard: leader_epoch_begins_once => if True:
        if not lead.is_begun:
            if not await self._store.begin_epoch(schedule_id, token, self._ahead):
                # guard: leader_later_leader_begins_epoch => pass
                raise LineFenced("another leader has taken over")
            lead.is_begun = True
        await self._rooms.read_rooms()
        begun = self._rooms.get(schedule_id)
        if begun is None:
            return
        now_ms = int(self._now() * 1000)
        insiders = await self._store.insiders(schedule_id, now_ms)
        # Before the draw nobody knows which places those numbers will have.
        # guard: leader_before_draw_nobody_knows_whose_place_is: [] if begun.is_lobby else =>
        nobody = [] if begun.is_lobby else await self._nobodies(begun)
        places = self._store.joins(schedule_id)
        await self._line.rebuild(begun, token, now_ms, insiders, nobody, places)
        self._leads[schedule_id] = made = _Lead(begun.numbers_to, begun.joined, begun.called)
        made.closed_until = self._clock() + rules.KNOWN_FOR_S
        metrics.WAITING_ROOM_REBUILDS.inc()
        log.info("waiting_room_rebuilt", schedule_id=str(schedule_id), epoch=begun.epoch)

    async def _nobodies(self, room: Room) -> list[int]:
        """Return the places in the gaps that nobody is known to have."""
        if not room.gaps:
            return []
        after = min(gap.after for gap in room.gaps)
        known = await self._store.given_above(room.schedule_id, after)
        return list(rules.nobodies(room, known))

    def _show(self) -> None:
        metrics.WAITING_ROOM_LENGTH.set(sum(lead.waiting for lead in self._leads.values()))
        metrics.WAITING_ROOM_INSIDE.set(sum(lead.inside for lead in self._leads.values()))

    async def release(self) -> None:
        """Give the lease back, so that another process leads with its next beat."""
        try:
            await self._lease.release()
        except Exception as error:  # the lease runs out by itself
            log.warning("waiting_room_lease_not_released", error=repr(error))

    def _say_away(self, room: Room, error: Exception) -> None:
        """Log an outage once for all rooms and beats that meet it, and again as long as it lasts."""
        if self._clock() < self._say_away_at:
            return
        self._say_away_at = self._clock() + _LOG_AWAY_EVERY_S
        log.warning(
            "waiting_room_tick_failed", schedule_id=str(room.schedule_id), error=repr(error)
        )

    @staticmethod
    def _say(error: Exception, failures: int) -> None:
        if failures % _LOG_OUTAGE_EVERY == 0:
            told = None if isinstance(error, Problem) else error
            log.warning("waiting_room_tick_failed", error=repr(error), exc_info=told)
