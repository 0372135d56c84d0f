"""The audit of a database with concurrent sales raises no false alarm."""

import asyncio
import random
from uuid import UUID, uuid4

from boxoffice.audit import audit
from boxoffice.audit.report import render
from boxoffice.platform.postgres.database import Database
from boxoffice.settings import Settings

_SHOP = """
    INSERT INTO users (user_id, email, name, password_hash)
    SELECT ('00000000-0000-7000-8000-00000000000' || i)::uuid, 'u' || i, 'U' || i, '-'
      FROM generate_series(0, 9) i;
    INSERT INTO wallets (user_id, currency) SELECT user_id, 'KRW' FROM users;
    INSERT INTO organizations (organization_id, name) SELECT user_id, name FROM users LIMIT 1;
    INSERT INTO concerts (concert_id, organizer_id, title, artist, venue, status, published_at)
    SELECT '00000000-0000-7000-8000-0000000000c0', user_id, 'T', 'A', 'V', 'PUBLISHED', now()
      FROM users LIMIT 1;
    INSERT INTO schedules (schedule_id, concert_id, starts_at, sale_opens_at, status, currency,
                           hold_ttl_s, ticket_limit)
    SELECT '00000000-0000-7000-8000-0000000000aa', concert_id, now() + interval '1 day', now(),
           'OPEN', 'KRW', 1, 1000
      FROM concerts;
    INSERT INTO seats (schedule_id, price_minor, ordinal, number, seat_id, section, row_label, grade)
    SELECT schedule_id, 10, i, i, i::text, 'S', '1', 'R' FROM schedules, generate_series(1, 400) i;
"""
_SCHEDULE = UUID("00000000-0000-7000-8000-0000000000aa")
_PEOPLE = [UUID(f"00000000-0000-7000-8000-00000000000{i}") for i in range(10)]

_HOLD = """
    SELECT coalesce(outcomes[1], 'held') AS outcome FROM reservations_hold_v2(
        $1, ARRAY[$4::uuid], ARRAY[$3::uuid], ARRAY[$4::text], ARRAY['\\x00'::bytea],
        ARRAY[$2::text], ARRAY[1], ARRAY[1], ARRAY[1], true)
"""
_TOP_UP = """
    SELECT outcome FROM payments_charge_v1(
        ARRAY[$1::uuid], ARRAY[$2::uuid], ARRAY[10], ARRAY[$1::text], ARRAY['\\x00'::bytea], 1000000)
"""
_PAY = """
    SELECT outcomes FROM payments_pay_v3(
        $1, ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$2::uuid], ARRAY[$3::uuid],
        ARRAY['wallet'], ARRAY[NULL], NULL, ARRAY[$3::text], ARRAY['\\x00'::bytea],
        true)
"""
_RELEASE = """
    SELECT outcome FROM reservations_release_v2(
        $1, ARRAY[gen_random_uuid()], ARRAY[$2::uuid], ARRAY[$3::uuid])
"""
_EXPIRE = "SELECT * FROM reservations_expire_v2($1, 5)"
_TAKEN_OVER = """
    SELECT count(*) AS n FROM reservations r JOIN seats s
        ON s.schedule_id = r.schedule_id AND s.seat_id = ANY (r.seat_ids)
     WHERE r.status IN ('HELD', 'EXPIRED') AND s.reservation_id <> r.reservation_id
"""


async def _sell(db: Database, rng: random.Random, stop: asyncio.Event) -> None:
    """Hold, then pay, release, sweep, or let the hold expire and be taken over."""
    while not stop.is_set():
        person, reservation, seat = rng.choice(_PEOPLE), uuid4(), str(rng.randint(1, 400))
        [row] = await db.fetch(_HOLD, _SCHEDULE, seat, person, str(reservation))
        fate = rng.random()
        if row["outcome"] != "held" or fate < 0.6:
            continue
        if fate < 0.7:
            await db.fetch(_TOP_UP, str(uuid4()), person)
            await db.fetch(_PAY, _SCHEDULE, person, str(reservation))
        elif fate < 0.95:
            await db.fetch(_RELEASE, _SCHEDULE, person, reservation)
        else:
            await db.fetch(_EXPIRE, _SCHEDULE)


async def test_the_audit_of_a_selling_shop_is_clean(db: Database, settings: Settings) -> None:
    seed = random.SystemRandom().randint(0, 1 << 32)
    print(f"seed {seed}")
    async with db.connection() as connection:
        await connection.execute(_SHOP)
    stop = asyncio.Event()
    sellers = [asyncio.create_task(_sell(db, random.Random(seed + i), stop)) for i in range(4)]
    try:
        audits = 0
        while audits < 10 or (await db.fetch(_TAKEN_OVER))[0]["n"] < 20:
            report = await audit(settings)
            assert report.ok, render(report)
            audits += 1
    finally:
        stop.set()
        await asyncio.gather(*sellers)
    [sold] = await db.fetch("SELECT count(*) AS n FROM seats WHERE state = 'SOLD'")
    assert sold["n"] > 0
