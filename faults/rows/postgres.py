"""What is done to PostgreSQL, the only one who says who has a seat and who has paid."""

import asyncio
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import psutil

from faults.amid import judge, note_kill, somebody_asks
from faults.checks import audit_now
from faults.load import Call, Load, Pace
from faults.matrix import AnyRow, Observations, Part, Play, Row
from faults.outsiders import (
    SQL,
    Crowd,
    asks_for_a_password,
    fill,
    passable,
    put_log_elsewhere,
    small_disk,
    stranger,
    wait_for,
)
from faults.proxy import Moment, Trap
from faults.world import Layout, World, send, world

RECOVERY_MAX_S = 5.0
_SPRUNG_WITHIN_S = 20.0
_BACK_WITHIN_S = 60.0
# A statement of the client is given up after 6 s (BOXOFFICE_STATEMENT_TIMEOUT_MS and one second).
_STOPPED_MIN_S, _STOPPED_MAX_S = 1.0, 9.0
# The shop itself gives a request up after 12 s (BOXOFFICE_REQUEST_TIMEOUT_MS).
_LATE_MAX_S = 13.0
_WRITTEN_WITHIN_S = 2.0
_LOCKED_MIN_S, _LOCKED_MAX_S = 1.0, 4.0
_DEADLOCKED_MAX_S = 15.0
_TAKEN_S = 3.0
# Who waits for a connection is refused after a second, so that this happens within the shortest.
_BUSY_MIN_S, _BUSY_MAX_S = 2.0, 4.0
_POOL_MAX = 4
_ASKERS = 60
_FULL_S = 4.0
_SMALL_DISK_MB = 192
_DISK = "small"
_DECISIONS = (
    b"reservations_hold_v",
    b"payments_pay_v",
    b"reservations_release_v",
    b"payments_charge",
)
# Small enough that a disk of `_SMALL_DISK_MB` holds what the server keeps for itself.
_LITTLE_LOG = {"max_wal_size": "48MB", "min_wal_size": "32MB", "shared_buffers": "32MB"}

# Makes one fault and returns the monotonic second from which the recovery counts.
Strike = Callable[[World, Load, Random, Observations], Awaitable[float]]


@dataclass(frozen=True)
class Proof:
    """What PostgreSQL itself must have refused in a trial, by SQLSTATE, and the figure of how often.

    Codes: https://www.postgresql.org/docs/18/errcodes-appendix.html
    """

    figure: str
    sqlstate: str

    def count(self, world: World, log_bytes: int) -> int:
        """Return how often it has since the log was that long."""
        return world.postgres.errors_since(log_bytes, self.sqlstate)

    def check(self, world: World, seen: Observations, log_bytes: int) -> None:
        """Count since the log was that long, and break the row where there was none."""
        count = self.count(world, log_bytes)
        seen.counts[self.figure] += count
        if not count:
            seen.broken.append(f"a trial made no error {self.sqlstate}")


DEADLOCKS = Proof("deadlocks_count", "40P01")
SERIALIZATION_FAILURES = Proof("serialization_failures_count", "40001")
STATEMENT_TIMEOUTS = Proof("statement_timeouts_count", "57014")
LOCK_TIMEOUTS = Proof("lock_timeouts_count", "55P03")


def striking(
    strike: Strike, *, excuses: bool = True, kills: bool = False, proof: Proof | None = None
) -> Play:
    """Return a row's function: a fault, the next sale, and the audit, as often as asked.

    `excuses`: whether clients may notice the fault; `kills`: whether it is a SIGKILL; `proof`: what
    shows in every trial that there was one.
    """

    async def run(world: World, load: Load, random: Random, trials: int) -> Observations:
        seen = Observations()
        for _ in range(trials):
            await load.sell_for(random.uniform(0.3, 1.0))
            excused = load.fault("PostgreSQL", grace_s=RECOVERY_MAX_S)
            log_bytes = world.postgres.log_bytes()
            with excused if excuses else nullcontext():
                at_s = await strike(world, load, random, seen)
                await wait_for(lambda: _answers(world), _BACK_WITHIN_S, "PostgreSQL is not back")
                back_s = time.monotonic()
                # What outlives the first process for a moment may still sell; that is no recovery.
                seen.recoveries_s.append(back_s - at_s + await load.next_sale(back_s))
            seen.trials += 1
            if kills:
                note_kill(seen, load, at_s, _names(world))
            if proof is not None:
                proof.check(world, seen, log_bytes)
            seen.broken += await audit_now(world.settings)
        judge(seen)
        return seen

    return run


async def _answers(world: World) -> bool:
    return await asks_for_a_password(world.settings.database_url)


async def _sessions(world: World) -> list[int]:
    """Return the server's processes that work for the shop."""
    async with stranger(world.settings.database_url) as one:
        return [row["pid"] for row in await one.fetch(SQL["sessions_of_shop"])]


# -- Kills and stops -----------------------------------------------------------------------------


def _names(world: World) -> set[str]:
    return {one.name for one in world.api}


async def kill_postmaster(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Kill the first process; its children notice, and the supervisor starts it again."""
    await somebody_asks(load, random, _names(world))
    at_s = time.monotonic()
    world.postgres.kill()
    return at_s


async def kill_one(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Kill one process that works for the shop; the server then ends all others and recovers."""
    sessions = await _sessions(world)
    await somebody_asks(load, random, _names(world))
    at_s = time.monotonic()
    send([random.choice(sessions)], signal.SIGKILL)
    await wait_for(lambda: _have_ended(sessions), _BACK_WITHIN_S, "the server did not recover")
    return at_s


async def _have_ended(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


async def kill_all(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Kill every process of the server, the first one first."""
    victims = world.postgres.pids()
    await somebody_asks(load, random, _names(world))
    at_s = time.monotonic()
    send(victims, signal.SIGKILL)
    return at_s


async def stop_all(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Stop every process of the server, at times for longer than anybody waits."""
    world.postgres.pause()
    await load.sell_for(random.uniform(_STOPPED_MIN_S, _STOPPED_MAX_S))
    world.postgres.go_on()
    return time.monotonic()


async def stop_one(world: World, load: Load, random: Random, trials: int) -> Observations:
    """Stop one process that works for the shop; recovery is the first sale while it is stopped."""
    seen = Observations()
    for _ in range(trials):
        await load.sell_for(random.uniform(0.3, 1.0))
        seen.recoveries_s.append(await _stop_one(world, load, random, seen))
        seen.trials += 1
        seen.broken += await audit_now(world.settings)
    return seen


async def _stop_one(world: World, load: Load, random: Random, seen: Observations) -> float:
    victims = [random.choice(await _sessions(world))]
    stopped_s = random.uniform(_STOPPED_MIN_S, _STOPPED_MAX_S)
    at_s = time.monotonic()
    send(victims, signal.SIGSTOP)
    try:
        first_s = await load.next_sale(at_s, within_s=stopped_s)
        stands_still = first_s >= stopped_s and not await _writes_for_a_stranger(world)
        await load.sell_for(max(0.0, stopped_s - first_s))
    finally:
        send(victims, signal.SIGCONT)
    if stands_still:
        return await _recover_from_a_standstill(load, seen, at_s)
    if first_s >= stopped_s:
        seen.broken.append("nothing was sold, and PostgreSQL wrote for a stranger")
    return first_s


async def _recover_from_a_standstill(load: Load, seen: Observations, at_s: float) -> float:
    """Wait for the next sale after nobody could write anything, which is PostgreSQL's own."""
    back_s = time.monotonic()
    seen.counts["standstills_count"] += 1
    with load.fault("PostgreSQL", grace_s=RECOVERY_MAX_S, since_s=at_s):
        return await load.next_sale(back_s)


async def _writes_for_a_stranger(world: World) -> bool:
    """Say whether somebody can commit something that has nothing to do with the shop."""
    try:
        async with asyncio.timeout(_WRITTEN_WITHIN_S):
            one = await asyncpg.connect(world.settings.database_url)
            try:
                await one.fetch(SQL["write_a_word"])
            finally:
                # A farewell would wait for the server.
                one.terminate()
    except TimeoutError:
        return False
    return True


# -- Locks ---------------------------------------------------------------------------------------


async def hold_locks(world: World, load: Load, random: Random, seen: Observations) -> float:
    """Hold the locks of all seats, of half of the wallets, and of the events, in turn."""
    people = [one.user_id for one in load.field.people[::2]]
    kinds = (
        ("lock_seats", (load.field.schedule_id,)),
        ("lock_wallets", (people,)),
        ("lock_outbox", ()),
    )
    statement, arguments = kinds[seen.trials % len(kinds)]
    log_bytes = world.postgres.log_bytes()
    async with stranger(world.settings.database_url) as one:
        async with one.transaction():
            await one.fetch(SQL[statement], *arguments)
            locked_s = time.monotonic()
            await load.sell_for(random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S))
            unlocked_s = time.monotonic()
        if statement == "lock_seats":
            _check_nothing_was_held(load, seen, locked_s, unlocked_s)
        else:
            LOCK_TIMEOUTS.check(world, seen, log_bytes)
        return unlocked_s


def _check_nothing_was_held(
    load: Load, seen: Observations, locked_s: float, unlocked_s: float
) -> None:
    held = sum(one.begin_s >= locked_s and one.end_s < unlocked_s for one in load.record.holds)
    if held:
        seen.broken.append(f"{held} holds of seats that a stranger had locked")


async def exhaust_pools(world: World, load: Load, random: Random, seen: Observations) -> float:
    """Have every connection of the shop's own pools wait for a lock, and more people ask."""
    before = len(load.record.attempts)
    async with (
        stranger(world.settings.database_url) as one,
        stranger(world.settings.database_url) as watcher,
    ):
        async with one.transaction():
            await one.execute(SQL["lock_reservations_whole"])
            askers = [
                asyncio.create_task(load.call(Call("mine", "GET", "/v1/me/reservations", person)))
                for person in random.sample(range(len(load.field.people)), _ASKERS)
            ]
            waiting = await _most_waiting(watcher, load, random.uniform(_BUSY_MIN_S, _BUSY_MAX_S))
        unlocked_s = time.monotonic()
    await asyncio.gather(*askers)
    _note_exhaustion(world, load, seen, waiting, before)
    return unlocked_s


async def _most_waiting(
    watcher: "asyncpg.Connection[asyncpg.Record]", load: Load, seconds: float
) -> int:
    """Return how many sessions of the shop waited for a lock at once in that time, at the most."""
    until_s, most = time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        await load.sell_for(0.05)
        [row] = await watcher.fetch(SQL["sessions_waiting"])
        most = max(most, row["sessions"])
    return most


def _note_exhaustion(
    world: World, load: Load, seen: Observations, waiting: int, before: int
) -> None:
    refused = sum(one.status == 503 for one in load.record.attempts[before:])
    _add(seen, "connections_waiting_count", waiting)
    seen.counts["refused_503_count"] += refused
    if waiting < (wanted := len(world.api) * _POOL_MAX):
        seen.broken.append(f"only {waiting} of {wanted} connections waited")
    if not refused:
        seen.broken.append("nobody was refused for want of a connection")


async def make_deadlocks(world: World, load: Load, random: Random, _seen: Observations) -> float:
    """Take locks against the shop's order, and let the shop be the victim."""
    people = [one.user_id for one in load.field.people]
    async with stranger(world.settings.database_url) as one:
        await _set_server(one, "detect_deadlocks_soon")
        try:
            await one.execute(SQL["report_deadlocks_late"])
            log_bytes = world.postgres.log_bytes()
            begin_s = time.monotonic()
            until_s = begin_s + random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S)
            latest_s = begin_s + _DEADLOCKED_MAX_S
            while time.monotonic() < until_s or (
                time.monotonic() < latest_s and not DEADLOCKS.count(world, log_bytes)
            ):
                async with one.transaction():
                    await one.fetch(SQL["lock_wallets"], people)
                    await asyncio.sleep(0.05)
                    await one.fetch(SQL["lock_reservations"], load.field.schedule_id)
        finally:
            await _set_server(one, "detect_deadlocks_as_before")
    return time.monotonic()


async def _set_server(one: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    await one.execute(SQL[name])
    await one.fetch(SQL["reload"])


def tripping(name: str) -> Strike:
    """Return a strike that makes statements of the shop fail by a trigger, and takes it away again."""

    async def strike(world: World, load: Load, random: Random, _seen: Observations) -> float:
        async with stranger(world.settings.database_url) as one:
            try:
                await one.execute(SQL[name])
                await load.sell_for(random.uniform(_LOCKED_MIN_S, _LOCKED_MAX_S))
            finally:
                await one.execute(SQL["fail_no_more"])
        return time.monotonic()

    return strike


# -- Lines ---------------------------------------------------------------------------------------


def cutting(moment: Moment) -> Strike:
    """Return a strike that cuts a line at a moment of a decision; the client must not notice."""

    async def strike(world: World, _load: Load, random: Random, seen: Observations) -> float:
        line = random.choice(world.api).lines.postgres
        trap = line.set_trap(Trap(random.choice(_DECISIONS), moment))
        try:
            async with asyncio.timeout(_SPRUNG_WITHIN_S):
                await trap.sprung.wait()
        except TimeoutError:
            seen.broken.append("nothing was asked that could be cut")
        finally:
            line.drop_traps()
        return time.monotonic()

    return strike


async def take_connections(world: World, load: Load, _random: Random, seen: Observations) -> float:
    """Take every connection that there is, also those of the shop, and give them back."""
    crowd = Crowd(world.settings.database_url)
    try:
        left = await crowd.take_all(within_s=_BACK_WITHIN_S)
        _add(seen, "sessions_left_to_the_shop_count", left)
        if left:
            seen.broken.append(f"the shop kept {left} sessions")
        await load.sell_for(_TAKEN_S)
    finally:
        await crowd.let_go()
    return time.monotonic()


# -- Disks ---------------------------------------------------------------------------------------


@asynccontextmanager
async def _with_a_small_disk(*, is_log: bool) -> AsyncIterator[World]:
    """Run a world of its own: its tables, or its write-ahead log, on a disk that can be filled."""
    with tempfile.TemporaryDirectory(
        prefix="boxoffice-faults-", ignore_cleanup_errors=True
    ) as name:
        folder = passable(Path(name))
        with small_disk(folder / _DISK, _SMALL_DISK_MB) as disk:
            data_dir = (folder if is_log else disk) / "servers"
            put_log_elsewhere(data_dir, disk if is_log else folder)
            async with world(
                folder, lambda _: None, data_dir=data_dir, postgres_options=_LITTLE_LOG
            ) as one:
                yield one


async def fill_data(world: World, load: Load, _random: Random, seen: Observations) -> float:
    """Fill the disk of the tables."""
    with _full(world, load, seen):
        await load.sell_for(_FULL_S)
    return time.monotonic()


async def fill_log(world: World, load: Load, _random: Random, seen: Observations) -> float:
    """Fill the disk of the write-ahead log, at which PostgreSQL stops, and cannot start again."""
    with _full(world, load, seen):
        await _write_log(world, seen)
        await load.sell_for(_FULL_S)
    # That it could not come back is what the row is about.
    world.trouble[:] = [one for one in world.trouble if not one.startswith("postgres")]
    return time.monotonic()


@contextmanager
def _full(world: World, load: Load, seen: Observations) -> Iterator[None]:
    before = len(load.record.attempts)
    filler = fill(world.folder / _DISK)
    try:
        yield
    finally:
        filler.unlink()
    refused = sum(one.status == 503 for one in load.record.attempts[before:])
    if not refused:
        seen.broken.append("nobody noticed that the disk was full")
    _add(seen, "refused_503_count", refused)


async def _write_log(world: World, seen: Observations) -> None:
    """Write until there is no place left, which ends the server."""
    try:
        async with stranger(world.settings.database_url) as one:
            for _ in range(_SMALL_DISK_MB):
                await one.fetch(SQL["write_log"])
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    seen.broken.append("the log's disk was not full")


def _add(seen: Observations, name: str, figure: float) -> None:
    """Of several trials, the largest counts."""
    seen.figures[name] = max(figure, seen.figures.get(name, 0.0))


# -- The table -----------------------------------------------------------------------------------


def _row(
    name: str,
    does: str,
    expects: str,
    strike: Strike,
    *,
    excuses: bool = True,
    kills: bool = False,
    proof: Proof | None = None,
    **more: Any,
) -> Row:
    return Row(
        name=name,
        part=Part.POSTGRES,
        does=does,
        expects=expects,
        run=striking(strike, excuses=excuses, kills=kills, proof=proof),
        recovery_p99_max_s=RECOVERY_MAX_S,
        **more,
    )


_ONE_EFFECT = "503 with Retry-After until it is back; one effect under each key"
_UNNOTICED = "no client notices: the outcome is looked up"
_PROXIED = Layout(is_proxied=True)
# So many ask that nearly every kill strikes a request.
_CROWD: dict[str, Any] = {"pace": Pace(visits_per_s=40.0), "seats": 9_000, "people": 600}

ROWS: tuple[AnyRow, ...] = (
    _row(
        "pg_postmaster_sigkill",
        "SIGKILL of the first process of PostgreSQL; the supervisor starts it again",
        _ONE_EFFECT,
        kill_postmaster,
        kills=True,
        trials=30,
        trial_s=2.0,
        round_trials=15,
        **_CROWD,
    ),
    _row(
        "pg_backend_sigkill",
        "SIGKILL of one process that works for the shop; PostgreSQL ends all and recovers",
        _ONE_EFFECT,
        kill_one,
        kills=True,
        trials=30,
        trial_s=2.0,
        round_trials=15,
        **_CROWD,
    ),
    _row(
        "pg_all_sigkill",
        "SIGKILL of every process of PostgreSQL; the supervisor starts it again",
        _ONE_EFFECT,
        kill_all,
        kills=True,
        trials=8,
        trial_s=2.5,
        round_trials=8,
        **_CROWD,
    ),
    _row(
        "pg_sigstop",
        "SIGSTOP of every process of PostgreSQL for 1 to 9 s, then SIGCONT",
        "503 with Retry-After while it stands; nothing that was in its hands is lost or done twice",
        stop_all,
        trials=6,
        trial_s=7.0,
        round_trials=6,
    ),
    Row(
        name="pg_backend_sigstop",
        part=Part.POSTGRES,
        does="SIGSTOP of one process that works for the shop, for 1 to 9 s, then SIGCONT",
        expects="the sale goes on beside it; what it has in its hands is answered late, and nothing "
        "fails. Where it was stopped with a lock of the write-ahead log, nobody can write, strangers "
        "neither: 503 with Retry-After until it goes on",
        run=stop_one,
        pace=Pace(patience_s=_LATE_MAX_S),
        trials=6,
        trial_s=7.0,
        round_trials=6,
        recovery_p99_max_s=RECOVERY_MAX_S,
    ),
    _row(
        "pg_locks_held",
        "a stranger holds the locks of all seats, of half of the wallets, and of the events, in turn, "
        "1 to 4 s",
        "seats that are locked are refused as taken or with 503; who needs another lock meets the "
        "lock timeout, and 503 with Retry-After; all else goes on",
        hold_locks,
        trials=9,
        trial_s=4.0,
        round_trials=9,
    ),
    _row(
        "pg_deadlock",
        "a stranger takes locks against the shop's order, and the shop is the victim",
        "tried again, or 503 with Retry-After",
        make_deadlocks,
        proof=DEADLOCKS,
        pace=Pace(visits_per_s=40.0, pays=0.8, releases=0.1),
        trials=5,
        trial_s=4.5,
        round_trials=5,
    ),
    _row(
        "pg_serialization_failure",
        "every third batch fails with serialization_failure at their last statement",
        "tried again, or 503 with Retry-After",
        tripping("fail_now_and_then"),
        proof=SERIALIZATION_FAILURES,
        trials=5,
        trial_s=4.0,
        round_trials=5,
    ),
    _row(
        "pg_statement_timeout",
        "every tenth batch hangs, and runs into a statement timeout of 500 ms",
        "tried again, or 503 with Retry-After",
        tripping("stall_now_and_then"),
        proof=STATEMENT_TIMEOUTS,
        trials=5,
        trial_s=4.0,
        round_trials=5,
        layout=Layout(settings={"statement_timeout_ms": 500, "lock_timeout_ms": 300}),
    ),
    _row(
        "pg_answer_cut",
        "the line is cut when a decision is committed and its answer is on its way",
        _UNNOTICED,
        cutting(Moment.ANSWERED),
        trials=30,
        trial_s=1.2,
        layout=_PROXIED,
        excuses=False,
    ),
    _row(
        "pg_statement_cut",
        "the line is cut when half of a decision's statement was sent",
        _UNNOTICED,
        cutting(Moment.HALF_ASKED),
        trials=20,
        trial_s=1.2,
        layout=_PROXIED,
        excuses=False,
    ),
    _row(
        "pg_begun_cut",
        "the line is cut when PostgreSQL has a decision's statement and is perhaps at it",
        _UNNOTICED,
        cutting(Moment.DELIVERED),
        trials=30,
        trial_s=1.2,
        layout=_PROXIED,
        excuses=False,
    ),
    _row(
        "pg_connections_taken",
        "a stranger takes every connection that the server gives, also those of the shop",
        "503 with Retry-After where none is left",
        take_connections,
        trials=5,
        trial_s=8.0,
    ),
    _row(
        "pg_pool_exhausted",
        "a stranger locks all reservations for 2 to 4 s, while so many ask for theirs that every "
        "connection of the shop's own pools is waiting",
        "who finds no connection within a second is told 503 with Retry-After; when the lock is gone, "
        "the sale goes on",
        exhaust_pools,
        trials=5,
        trial_s=5.0,
        # Only the API processes have sessions, so that all can be counted.
        layout=Layout(
            sweepers=0,
            relays=0,
            settings={
                "db_pool_max": _POOL_MAX,
                "db_acquire_timeout_ms": 1_000,
                "lock_timeout_ms": 2_000,
            },
        ),
    ),
    _row(
        "pg_data_disk_full",
        "the disk of the tables is full for 4 s",
        "503 with Retry-After; when there is space again, the sale goes on",
        fill_data,
        trials=5,
        trial_s=6.0,
        stage=partial(_with_a_small_disk, is_log=False),
    ),
    _row(
        "pg_log_disk_full",
        "the disk of the write-ahead log is full for 4 s: PostgreSQL stops",
        "503 with Retry-After; when there is space again, PostgreSQL recovers and the sale goes on",
        fill_log,
        trials=5,
        trial_s=7.0,
        stage=partial(_with_a_small_disk, is_log=True),
    ),
)
