"""What the Valkey scripts must not do twice."""

from uuid import uuid4

from boxoffice.accounts.limits.throttle import LoginThrottle, _keys
from boxoffice.platform.valkey import Valkey
from boxoffice.reservations.seat_lock import Claim, SeatLock, Settlement
from boxoffice.settings import Settings

_TTL_MS = 60_000
_SHORT_MS = 20_000


async def test_a_mark_is_made_of_a_claim_and_of_no_other_mark(valkey: Valkey) -> None:
    lock, schedule = SeatLock(valkey, _TTL_MS), uuid4()
    await lock.claim(schedule, [Claim("me", ["A"])])
    await lock.settle(schedule, [Settlement("me", ["A"], 10 * _TTL_MS)])
    await lock.settle(schedule, [Settlement("me", ["A"], 1_000)])
    left_ms = await valkey.command("PTTL", f"{{{schedule}}}:seat:A")
    assert int(left_ms) > _TTL_MS / 2, "a word that came twice ends no mark early"


async def test_the_window_of_failed_logins_begins_with_the_first(
    settings: Settings, valkey: Valkey
) -> None:
    limits = settings.replace(login_window_s=_TTL_MS // 1_000)
    throttle, email = LoginThrottle(limits.accounts, valkey), f"{uuid4()}@example.test"
    await throttle.count(email, "192.0.2.1")
    for key in _keys(email, "192.0.2.1"):
        await valkey.command("PEXPIRE", key, _SHORT_MS)
    await throttle.count(email, "192.0.2.1")
    for key in _keys(email, "192.0.2.1"):
        assert 0 < int(await valkey.command("PTTL", key)) <= _SHORT_MS
