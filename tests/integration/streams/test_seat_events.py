"""Live seats of real pods: the readers of every pod see what one pod sells."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID, uuid4

import pytest

from boxoffice.app import Application, open_application
from boxoffice.errors import Problem
from boxoffice.platform.ids import ScopedId
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey
from boxoffice.seats import metrics
from boxoffice.settings import Settings
from tests.support.hall import Hall, open_hall
from tests.support.members import member
from tests.support.waiting import until
from tests.support.watcher import Missed, Watcher

from .stand import Reader, serving

HELD, SOLD, AVAILABLE = 1, 2, 0


@dataclass
class Pod:
    """One pod and its port."""

    application: Application
    port: int
    readers: list[Reader] = field(default_factory=list)

    async def connect(self, path: str, **asked: str) -> Reader:
        """Ask for a stream."""
        self.readers.append(await Reader.connect(self.port, path, **asked))
        return self.readers[-1]

    async def hold(self, hall: Hall, person: int, *seats: str) -> ScopedId:
        """Hold seats."""
        held = await self.application.services.reservations.hold(
            hall.people[person], hall.schedule_id, str(uuid4()), seats
        )
        return ScopedId(hall.schedule_id, held.reservation_id)


@dataclass
class Page:
    """A watching reader, and what came of its events; `names` are those of the events."""

    reader: Reader
    watcher: Watcher
    names: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, pod: Pod, hall: Hall, watcher: Watcher | None = None) -> Self:
        """Watch; with a `watcher`, go on where it stopped."""
        known = watcher.reconnected() if watcher else Watcher()
        path = f"/v1/schedules/{hall.schedule_id}/seats/events"
        reader = await pod.connect(path, last_event_id=known.state)
        assert reader.status == 200, await reader.body()
        page = cls(reader, known)
        await page.hear()
        return page

    async def hear(self, within_s: float = 15) -> None:
        """Take the next event in."""
        event = await self.reader.next(within_s)
        assert event is not None, "the stream has ended"
        self.watcher.hear(event.name, event.data, event.event_id)
        if event.name != "alive":
            self.names.append(event.name)

    async def sees(self, condition: Callable[[Watcher], object], within_s: float = 15) -> None:
        """Take events in until a condition holds."""
        async with asyncio.timeout(within_s):
            while not condition(self.watcher):
                await self.hear(within_s)


@asynccontextmanager
async def pods_of(settings: Settings, count: int) -> AsyncIterator[list[Pod]]:
    """Run pods that hear each other where Valkey is there."""
    async with AsyncExitStack() as stack:
        pods = []
        for _ in range(count):
            one = await stack.enter_async_context(open_application(settings))
            _, port = await stack.enter_async_context(
                serving(one.http.router, settings, one.http.streams, one.http.access_log)
            )
            pods.append(Pod(one, port))
        if not settings.valkey.valkey_url.endswith(":1/0") and count > 1:

            async def acquainted() -> bool:
                seen = [pod.application.services.seats.change_bus for pod in pods]
                return all(one.has_peers and one.is_receiving for one in seen)

            await until(acquainted)
        yield pods
        for pod in pods:
            for reader in pod.readers:
                await reader.close()


@pytest.fixture
async def pods(settings: Settings) -> AsyncIterator[list[Pod]]:
    """Two pods that read so rarely that only own changes and messages count."""
    rare = settings.replace(seats_verify_ms=60_000)
    async with pods_of(rare, 2) as both:
        yield both


def reads() -> float:
    """Return how often seats were read by this process."""
    [family] = metrics.SEAT_READ_SECONDS.collect()
    return next(one.value for one in family.samples if one.name.endswith("_count"))


async def test_a_change_at_one_pod_reaches_streams_of_all_pods(
    db: Database, pods: list[Pod]
) -> None:
    hall = await open_hall(db, balance_minor=10_000)
    here, there = pods
    pages = [await Page.open(pod, hall) for pod in pods]
    for page in pages:
        assert page.names == ["snapshot"]
        assert page.watcher.states == bytes(12)
        assert page.watcher.on_sale
    first = await here.hold(hall, 0, "S001", "S002")
    second = await there.hold(hall, 1, "S004")
    for page in pages:
        await page.sees(lambda one: one.states[:4] == bytes([HELD, HELD, AVAILABLE, HELD]))
        assert page.watcher.seats_available == 9
    await here.application.services.payments.pay(hall.people[0], first, "p", "wallet")
    await there.application.services.reservations.release(hall.people[1], second)
    for page, pod in zip(pages, pods, strict=True):
        await page.sees(lambda one: one.states[:4] == bytes([SOLD, SOLD, AVAILABLE, AVAILABLE]))
        assert set(page.names[1:]) == {"changes"}
        pod.application.services.seats.read_model.show_newest(hall.schedule_id)
        shown = await pod.application.services.seats.read_model.rendered(hall.schedule_id)
        assert (shown.version, shown.status) == (page.watcher.version, page.watcher.states)


async def test_a_crowd_that_buys_ends_in_the_map_for_all_who_watch(
    db: Database, pods: list[Pod], settings: Settings
) -> None:
    seed = 20_261_124
    print(f"seed {seed}")
    rng = random.Random(seed)
    hall = await open_hall(db, seats=60, people=25, ticket_limit=60, balance_minor=100_000)
    pages = [await Page.open(pod, hall) for pod in pods for _ in range(3)]

    async def buy(person: int) -> None:
        for _ in range(12):
            pod, seat = rng.choice(pods), rng.choice(hall.seat_ids)
            try:
                held = await pod.hold(hall, person, seat)
                if rng.random() < 0.5:
                    await rng.choice(pods).application.services.reservations.release(
                        hall.people[person], held
                    )
            except Problem:
                continue

    buying = asyncio.gather(*(buy(person) for person in range(25)))
    # Some lose their connection in the middle and come back, some to the other pod.
    for at in range(3):
        await pages[at].reader.close()
        pages[at] = await Page.open(pods[at % 2], hall, pages[at].watcher)
    await buying
    truth = await pods[0].application.services.seats.read_model.states(
        hall.schedule_id, max_age_s=0
    )
    for page in pages:
        await page.sees(lambda one: one.states == truth.status)
        # A change undone within a batch raises the version, and no event is sent.
        assert page.watcher.version <= truth.version
        assert page.watcher.seats_available == truth.status.count(AVAILABLE)


async def test_a_reader_detects_an_event_that_it_missed(db: Database, pods: list[Pod]) -> None:
    hall = await open_hall(db)
    page = await Page.open(pods[0], hall)
    await pods[0].hold(hall, 0, "S001")
    await page.reader.next()  # lost on its way to the page
    await pods[0].hold(hall, 1, "S002")
    with pytest.raises(Missed):
        await page.hear()
    healed = await Page.open(pods[0], hall)
    assert healed.watcher.states[:3] == bytes([HELD, HELD, AVAILABLE])


async def test_a_cut_stream_goes_on_where_it_stopped_on_any_pod(
    db: Database, pods: list[Pod]
) -> None:
    hall = await open_hall(db, seats=60)
    pages = [await Page.open(pod, hall) for pod in pods]
    await pods[0].hold(hall, 0, "S001")
    for page in pages:
        await page.sees(lambda one: one.states[0] == HELD)
    cut = pages[0].watcher
    await pages[0].reader.close()
    # Nothing has changed: the other pod knows the state by its name.
    other = await Page.open(pods[1], hall, cut)
    assert (other.names, other.watcher.states) == (["changes"], cut.states)
    await pods[1].hold(hall, 1, "S007")
    await pages[1].sees(lambda one: one.states[6] == HELD)
    for pod in pods:
        again = await Page.open(pod, hall, cut)
        await again.sees(lambda one: one.states[6] == HELD)
        assert again.names[0] == "changes"
    # An unknown state name starts from a snapshot.
    lost = await Page.open(pods[0], hall, Watcher(state="17-00000000"))
    assert (lost.names, lost.watcher.states[6]) == (["snapshot"], HELD)


async def test_a_hold_that_lapses_is_shown_in_time_without_a_read(
    db: Database, settings: Settings
) -> None:
    async with pods_of(settings.replace(seats_verify_ms=60_000), 1) as [pod]:

        async def heard() -> bool:
            return pod.application.services.seats.change_bus.is_receiving

        await until(heard)
        hall = await open_hall(db, hold_ttl_s=3)
        page = await Page.open(pod, hall)
        began = time.monotonic()
        await pod.hold(hall, 0, "S001")
        await page.sees(lambda one: one.states[0] == HELD)
        before = reads()
        await page.sees(lambda one: one.states[0] == AVAILABLE)
        # A worker estimates the database's clock; the hold cannot be over much before its second.
        assert time.monotonic() - began > 2.9
        assert reads() == before
        assert page.watcher.seats_available == 12


async def test_sold_out_and_available_again(db: Database, pods: list[Pod]) -> None:
    hall = await open_hall(db, seats=2)
    page = await Page.open(pods[1], hall)
    held = await pods[0].hold(hall, 0, *hall.seat_ids)
    await page.sees(lambda one: one.sold_out is True)
    assert page.watcher.seats_available == 0
    await pods[0].application.services.reservations.release(hall.people[0], held)
    await page.sees(lambda one: one.sold_out is False)
    assert page.watcher.states == bytes(2)
    assert page.names.count("sale") == 2


async def test_the_sale_opens_at_its_time_and_closes_by_its_organizer(
    db: Database, settings: Settings
) -> None:
    hall = await open_hall(db)
    await hall.change_schedule("sale_opens_at = clock_timestamp() + interval '1.2 seconds'")
    async with pods_of(settings, 2) as pods:
        pages = [await Page.open(pod, hall) for pod in pods]
        for page in pages:
            await page.sees(lambda one: one.on_sale)
        # The organizer has the schedule's id. The other pod learns it with its next reading.
        await pods[0].application.services.catalog.close(member(hall.schedule_id), hall.schedule_id)
        for page in pages:
            await page.sees(lambda one: not one.on_sale)
            assert page.names[-1] == "sale"
            assert page.watcher.sold_out is False


async def test_without_valkey_changes_of_other_pods_are_read(
    db: Database, settings: Settings
) -> None:
    alone = settings.replace(valkey_url="redis://127.0.0.1:1/0")
    hall = await open_hall(db)
    async with pods_of(alone, 2) as pods:
        page = await Page.open(pods[1], hall)
        await pods[0].hold(hall, 0, "S003")
        await page.sees(lambda one: one.states[2] == HELD)


async def test_lost_messages_are_recovered_by_readings(
    db: Database, settings: Settings, valkey: Valkey
) -> None:
    hall = await open_hall(db)
    async with pods_of(settings, 2) as pods:
        page = await Page.open(pods[1], hall)
        await valkey.command("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            await pods[0].hold(hall, 0, "S003")
            await page.sees(lambda one: one.states[2] == HELD)
        finally:
            await valkey.command("CLIENT", "UNPAUSE")


async def test_without_open_streams_nothing_is_read(db: Database, settings: Settings) -> None:
    often = settings.replace(
        valkey_url="redis://127.0.0.1:1/0", seats_cache_ms=20, seats_verify_ms=20
    )
    hall = await open_hall(db)
    async with pods_of(often, 1) as [pod]:
        page = await Page.open(pod, hall)
        watched = reads()

        async def read() -> bool:
            return reads() > watched + 3

        await until(read)  # the control: a reader watches
        await page.reader.close()

        async def left() -> bool:
            return not len(pod.application.http.streams)

        await until(left)

        async def is_quiet() -> bool:
            """A reading may have been under way."""
            known = reads()
            await asyncio.sleep(0.3)
            return reads() == known

        await until(is_quiet)
        before = reads()
        await asyncio.sleep(0.5)
        assert reads() == before


async def test_strangers_and_limits(db: Database, settings: Settings) -> None:
    few = settings.replace(streams_per_client_max=1)
    hall, draft = await open_hall(db), await open_hall(db)
    await draft.change_schedule("status = 'DRAFT'")
    async with pods_of(few, 1) as [pod]:
        for schedule, more, status, code in (
            (uuid4(), "", 404, "schedule_not_found"),
            (draft.schedule_id, "", 404, "schedule_not_found"),
            ("nothing", "", 404, "schedule_not_found"),
            (hall.schedule_id, "Last-Event-ID: a b\r\n", 400, "last_event_id_invalid"),
        ):
            path = f"/v1/schedules/{schedule}/seats/events"
            refused = await pod.connect(path, more=more)
            assert (refused.status, (await refused.body())["code"]) == (status, code)
        page = await Page.open(pod, hall)
        path = f"/v1/schedules/{hall.schedule_id}/seats/events"
        refused = await pod.connect(path)
        assert (refused.status, (await refused.body())["code"]) == (429, "too_many_requests")
        await pod.hold(hall, 0, "S001")
        await page.sees(lambda one: one.states[0] == HELD)


async def test_the_database_is_away_for_a_while(db: Database, settings: Settings) -> None:
    hall = await open_hall(db)
    brief = settings.replace(
        valkey_url="redis://127.0.0.1:1/0", statement_timeout_ms=2_000, lock_timeout_ms=300
    )
    async with pods_of(brief, 1) as [pod]:
        page = await Page.open(pod, hall)
        async with db.writing() as connection:
            # No process can read the seats while this is open.
            await connection.execute("LOCK TABLE seats IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(1)
            refused = await pod.connect(f"/v1/schedules/{UUID(int=7)}/seats/events")
            assert refused.status == 404
            await connection.execute(
                "UPDATE seats SET state = 'BLOCKED', version = version + 1"
                " WHERE schedule_id = $1 AND seat_id = 'S001'",
                hall.schedule_id,
            )
        await page.sees(lambda one: one.states[0] == 3)
        assert page.names == ["snapshot", "changes"]


async def alive(page: Page, within_s: float) -> int:
    """Take the next event, which must be `alive`; return within which time it promises another."""
    event = await page.reader.next(within_s)
    assert event is not None
    assert (event.name, event.event_id) == ("alive", "")
    return int(event.data["next_within_ms"])


async def test_silence_is_filled_only_while_the_seats_can_be_read(
    db: Database, settings: Settings
) -> None:
    hall = await open_hall(db)
    brief = settings.replace(
        valkey_url="redis://127.0.0.1:1/0",
        statement_timeout_ms=2_000,
        lock_timeout_ms=300,
        seat_events_keepalive_ms=100,
    )
    async with pods_of(brief, 1) as [pod]:
        page = await Page.open(pod, hall)

        async def silent(for_s: float, within_s: float) -> bool:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        await alive(page, for_s)
                    except TimeoutError:
                        return True

        began = asyncio.get_running_loop().time()
        for _ in range(3):
            assert await alive(page, 5) == 100 + brief.seats.seats_cache_ms
        assert asyncio.get_running_loop().time() - began > 0.25
        async with db.writing() as connection:
            # No process can read the seats while this is open, so none may send `alive`.
            await connection.execute("LOCK TABLE seats IN ACCESS EXCLUSIVE MODE")
            assert await silent(2, within_s=10)
        await alive(page, 10)


async def test_silence_is_counted_from_the_first_event_of_the_first_reader(
    db: Database, settings: Settings
) -> None:
    hall = await open_hall(db)
    looks_often = settings.replace(
        valkey_url="redis://127.0.0.1:1/0", seats_cache_ms=20, seat_events_keepalive_ms=2_000
    )
    async with pods_of(looks_often, 1) as [pod]:

        async def left() -> bool:
            return not len(pod.application.http.streams)

        for _ in range(2):  # as long for the reader that comes after all have left
            page = await Page.open(pod, hall)
            began = asyncio.get_running_loop().time()
            await alive(page, 20)
            assert asyncio.get_running_loop().time() - began > 1
            await page.reader.close()
            await until(left)


async def test_signs_of_life_that_no_page_sees_do_not_count_as_events(
    db: Database, settings: Settings
) -> None:
    hall = await open_hall(db)
    beats = settings.replace(
        valkey_url="redis://127.0.0.1:1/0", stream_heartbeat_ms=50, seat_events_keepalive_ms=500
    )
    async with pods_of(beats, 1) as [pod]:
        page = await Page.open(pod, hall)
        await alive(page, 20)
        assert page.reader.comments
