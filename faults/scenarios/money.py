"""Concurrent payments, top-ups and releases, and lost responses."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from random import Random

from faults.checks.record import HeldSeats, Paid, ToppedUp
from faults.cluster.cluster import Cluster, Topology
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.calls import ApiCall, ClientAnswer
from faults.workload.load import LoadGenerator

# A payment is sent up to so long before the end of a hold, a rival's hold as long after.
_EARLY_S = 0.030
_LATE_S = 0.010
_TTL_S = 2
_AT_ONCE = 20
# From sending a request to about the duration of a response.
_HANG_UP_AFTER_S = 0.0005
_HANG_UP_WITHIN_S = (0.003, 0.012)
_AMOUNT_MINOR, _OTHER_MINOR = 777, 778
_MANY_TRIALS = 100
# Sweepers without pauses.
_BUSY_SWEEPERS = Topology(sweepers=2, settings={"sweep_interval_ms": 20})


async def pay_at_the_end(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Pay holds at the moment at which they end, while a rival takes their seats over."""
    seen = Observations()
    paid = late = 0
    for begun in range(0, trials, _AT_ONCE):
        count = min(_AT_ONCE, trials - begun)
        people = random.sample(range(len(load.fixtures.people)), 2 * count)
        raced = await asyncio.gather(
            *(_race_to_the_end(load, random, *people[2 * at : 2 * at + 2]) for at in range(count))
        )
        ids = {held.reservation_id for held in raced if held is not None}
        paid += sum(one.reservation_id in ids for one in load.record.payments)
        late += sum(one.reservation_id in ids for one in load.record.refusals)
        seen.trials += len(ids)
    seen.figures |= {"paid_in_time_count": paid, "came_too_late_count": late}
    if paid + late != seen.trials:
        seen.broken.append(f"{seen.trials - paid - late} payments had neither of the two outcomes")
    if trials >= _MANY_TRIALS and not (paid and late):
        seen.broken.append("no payments both in time and too late: there was no race")
    return seen


async def _race_to_the_end(
    load: LoadGenerator, random: Random, buyer: int, rival: int
) -> HeldSeats | None:
    held = await load.hold(buyer, load.next_seats())
    if held is None:
        return None
    # The hold was made between request and response; its end is as uncertain.
    ends_s = random.uniform(held.begin_s, held.end_s) + load.fixtures.hold_ttl_s
    await asyncio.gather(
        _at(ends_s - random.uniform(-_LATE_S, _EARLY_S), load.pay(buyer, held)),
        _at(ends_s + random.uniform(-_LATE_S, _EARLY_S), load.hold(rival, held.seats)),
    )
    return held


async def _at(moment_s: float, deed: object) -> None:
    await asyncio.sleep(moment_s - time.monotonic())
    await deed  # type: ignore[misc]


async def pay_twice(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Pay each hold four times at once, through both processes, under one key and under others."""
    seen = Observations()
    for _ in range(trials):
        person = random.randrange(len(load.fixtures.people))
        held = await load.hold(person, load.next_seats())
        if held is None:
            continue
        key = load.new_key("twice")
        keys = [key, key, load.new_key("twice"), load.new_key("twice")]
        begin_s = time.monotonic()
        answers = await asyncio.gather(
            *(load.call(_payment(held, one, turn)) for turn, one in enumerate(keys))
        )
        seen.trials += 1
        seen.broken += _one_payment(load, held, keys, answers, begin_s)
    return seen


def _payment(held: HeldSeats, key: str, turn: int) -> ApiCall:
    return ApiCall(
        "pay",
        "POST",
        "/v1/payments",
        held.person,
        key,
        {"reservation_id": held.reservation_id, "method": "wallet"},
        held.seats,
        held.reservation_id,
        turn,
    )


def _one_payment(
    load: LoadGenerator,
    held: HeldSeats,
    keys: Sequence[str],
    answers: Sequence[ClientAnswer | None],
    begin_s: float,
) -> list[str]:
    """Record the one payment, and return what is wrong with the responses."""
    paid = {
        answer.body["payment_id"]: (key, answer)
        for key, answer in zip(keys, answers, strict=True)
        if answer is not None and answer.status == 201
    }
    codes = sorted(answer.code for answer in answers if answer is not None and answer.code)
    if len(paid) != 1:
        return [f"{len(paid)} payments of one hold: {codes}"]
    [(payment_id, (key, answer))] = paid.items()
    load.record.payments.append(
        Paid(
            payment_id,
            held.reservation_id,
            held.person,
            answer.body["amount"],
            key,
            begin_s,
            answer.end_s,
        )
    )
    wrong = set(codes) - {"already_paid"}
    if None in answers or wrong:
        return [f"a payment beside the first was answered {sorted(wrong) or 'nothing'}"]
    if keys[0] == key and codes != ["already_paid", "already_paid"]:
        return [f"the same key did not get the same payment: {codes}"]
    return []


async def top_up_twice(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Top up a wallet four times at once under one key, and at the same moment with another amount."""
    seen = Observations()
    for _ in range(trials):
        person, key = random.randrange(len(load.fixtures.people)), load.new_key("top_up")
        calls = [_top_up(person, key, _AMOUNT_MINOR, turn) for turn in range(4)]
        calls.insert(random.randrange(5), _top_up(person, key, _OTHER_MINOR, random.randrange(2)))
        begin_s = time.monotonic()
        answers = await asyncio.gather(*(load.call(call) for call in calls))
        seen.trials += 1
        seen.broken += _one_top_up(load, calls, answers, begin_s)
    others = [one for one in load.record.top_ups if one.amount_minor == _OTHER_MINOR]
    seen.figures["other_amount_first_count"] = float(len(others))
    return seen


def _one_top_up(
    load: LoadGenerator,
    calls: Sequence[ApiCall],
    answers: Sequence[ClientAnswer | None],
    begin_s: float,
) -> list[str]:
    """Record the one top-up, and return what is wrong with the responses."""
    done = {
        answer.body["top_up_id"]: (call, answer)
        for call, answer in zip(calls, answers, strict=True)
        if answer is not None and answer.status == 201
    }
    if len(done) != 1:
        return [f"one key made {len(done)} top-ups"]
    [(top_up_id, (call, answer))] = done.items()
    load.record.top_ups.append(
        ToppedUp(top_up_id, call.person, answer.body["amount"], call.key, begin_s, answer.end_s)
    )
    found = [_answer_to_top_up(one) for one in answers]
    wanted = ["201" if one.body == call.body else "idempotency_key_reused" for one in calls]
    return [] if found == wanted else [f"top-ups under one key were answered {found}, not {wanted}"]


def _answer_to_top_up(answer: ClientAnswer | None) -> str:
    return "nothing" if answer is None else answer.code or str(answer.status)


def _top_up(person: int, key: str, amount_minor: int, turn: int) -> ApiCall:
    path = "/v1/me/wallet/top-ups"
    return ApiCall("top_up", "POST", path, person, key, {"amount": amount_minor}, turn=turn)


async def lose_the_answer(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Disconnect during a top-up and a payment, and repeat at the other process."""
    seen = Observations()
    hung_up: Counter[bool] = Counter()
    for _ in range(trials):
        person = random.randrange(len(load.fixtures.people))
        top_up = _top_up(person, load.new_key("top_up"), _AMOUNT_MINOR, 0)
        hung_up.update(await _lose_and_repeat(load, random, top_up))
        held = await load.hold(person, load.next_seats())
        if held is not None:
            pay = _payment(held, load.new_key("pay"), 0)
            hung_up.update(await _lose_and_repeat(load, random, pay))
        seen.trials += 1
    seen.figures |= {
        "hung_up_before_the_answer_count": float(hung_up[True]),
        "hung_up_after_it_count": float(hung_up[False]),
    }
    if not hung_up[True]:
        seen.broken.append("no disconnect before the response: none was lost")
    return seen


async def _lose_and_repeat(load: LoadGenerator, random: Random, call: ApiCall) -> list[bool]:
    """Disconnect several times, then repeat; return for each whether it was before the response."""
    lost = []
    for _ in range(random.randint(1, 3)):
        before = len(load.record.attempts)
        await load.abandon(call, random.uniform(_HANG_UP_AFTER_S, random.choice(_HANG_UP_WITHIN_S)))
        # Only completed attempts are recorded.
        lost.append(all(one.key != call.key for one in load.record.attempts[before:]))
    await load.conclude(_elsewhere(call))
    return lost


def _elsewhere(call: ApiCall) -> ApiCall:
    return ApiCall(
        call.what,
        call.method,
        call.path,
        call.person,
        call.key,
        call.body,
        call.seats,
        call.reservation_id,
        call.turn + 1,
    )


async def release_while_paying(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Pay and release a hold at the same moment, each at its own process."""
    seen = Observations()
    paid = 0
    for _ in range(trials):
        person = random.randrange(len(load.fixtures.people))
        held = await load.hold(person, load.next_seats())
        if held is None:
            continue
        now_s = time.monotonic()
        await asyncio.gather(
            _at(now_s + random.uniform(0, 0.004), load.pay(person, held)),
            _at(now_s + random.uniform(0, 0.004), load.release(person, held)),
        )
        is_paid = any(one.reservation_id == held.reservation_id for one in load.record.payments)
        is_back = any(one.reservation_id == held.reservation_id for one in load.record.releases)
        if is_paid == is_back:
            seen.broken.append("a hold was paid and given back, or neither")
        paid += is_paid
        seen.trials += 1
    seen.figures["paid_count"] = paid
    seen.figures["given_back_count"] = seen.trials - paid
    return seen


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="money_pay_at_expiry",
        component=Component.MONEY,
        does="holds are paid within milliseconds of their end, while rivals take the seats over "
        "and two sweepers run without pause",
        expects="in time or too late, never both: one owner, one payment, no charge for a lapsed "
        "hold",
        run=pay_at_the_end,
        trials=800,
        quick_trials=20,
        trial_s=0.12,
        round_trials=400,
        hold_ttl_s=_TTL_S,
        topology=_BUSY_SWEEPERS,
    ),
    Scenario(
        name="money_double_pay",
        component=Component.MONEY,
        does="each hold is paid four times at once through two processes, twice under one key and "
        "twice under others",
        expects="one payment; the same key gets the same response, the others `already_paid`",
        run=pay_twice,
        trials=300,
        quick_trials=10,
        trial_s=0.06,
        round_trials=300,
    ),
    Scenario(
        name="money_double_top_up",
        component=Component.MONEY,
        does="each top-up is sent four times at once through two processes, and at the same moment "
        "once with another amount",
        expects="one top-up, of the first amount; the other amount under its key is refused",
        run=top_up_twice,
        trials=300,
        quick_trials=10,
        trial_s=0.05,
        round_trials=300,
    ),
    Scenario(
        name="money_lost_answer",
        component=Component.MONEY,
        does="the client disconnects up to three times during a top-up and a payment, and repeats "
        "at the other process",
        expects="exactly one effect, and its response",
        run=lose_the_answer,
        trials=200,
        quick_trials=8,
        trial_s=0.15,
        round_trials=200,
    ),
    Scenario(
        name="money_release_while_paying",
        component=Component.MONEY,
        does="each hold is paid and released at the same moment, at two processes",
        expects="one of both; a released hold is not charged",
        run=release_while_paying,
        trials=300,
        quick_trials=10,
        trial_s=0.06,
        round_trials=300,
    ),
)
