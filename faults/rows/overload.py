"""More than the shop can do: five times the load that saturates it."""

import asyncio
from dataclasses import dataclass
from random import Random
from statistics import median

from faults import flood
from faults.field import Field
from faults.flood import Flooded, Plan
from faults.load import Load, Pace
from faults.matrix import AnyRow, Observations, Part, Row
from faults.world import Layout, World

_TIMES = 5
_SECONDS = 5.0
_WARM_S = 1.5
_SATURATING_PEOPLE = 256
_THINK_S = 0.1
# docs/faults.md says how far the shop is from it.
_GOODPUT_MIN = 0.9
_P99_MAX_S = 1.0
_GRACE_S = 5.0
_DEAF_CONNECTIONS_MAX = 4_000
_EXPECTED = {"201", "429", "503"}
# More than can be held before the first holds lapse.
_SEATS, _PEOPLE, _TTL_S = 60_000, 2_000, 4


class _Flooding:
    """Floods one schedule after the other of the same world, each time under new keys."""

    def __init__(self, world: World, field: Field, random: Random) -> None:
        self._ports = [api.port for api in world.api]
        self._field = field
        self._random = random

    async def by(
        self, *, people: int = 0, think_s: float = 0.0, rate_per_s: float = 0.0
    ) -> Flooded:
        """Flood by so many people, or by deaf ones who come at a rate."""
        number = self._random.randrange(2**31)
        plan = Plan(
            ports=self._ports,
            schedule_id=self._field.schedule_id,
            seat_ids=list(self._field.seat_ids),
            tokens=[person.access_token for person in self._field.people],
            tag=f"flood-{number}",
            seed=number,
            seconds=_SECONDS,
            warm_s=_WARM_S,
            people=people,
            think_s=think_s,
            rate_per_s=rate_per_s,
            connections_max=_DEAF_CONNECTIONS_MAX,
        )
        flooded = await asyncio.to_thread(flood.run, plan)
        await asyncio.sleep(_TTL_S)  # What was held lapses.
        return flooded


@dataclass(frozen=True)
class _Trial:
    """One comparison: what could be done at the most, before and after, and by whom it was wanted."""

    before: Flooded
    people: Flooded
    after: Flooded
    deaf: Flooded

    @property
    def most_per_s(self) -> float:
        """Holds per second at saturation; the tables grow meanwhile, so the mean of two."""
        return (self.before.goodput_per_s + self.after.goodput_per_s) / 2


async def five_times(world: World, load: Load, random: Random, trials: int) -> Observations:
    """Measure what the shop can do at the most, offer five times that, and measure again."""
    played = []
    for _ in range(trials):
        field = await world.sow(seats=_SEATS, people=_PEOPLE, hold_ttl_s=_TTL_S)
        flooding = _Flooding(world, field, random)
        with load.fault("overload", grace_s=_GRACE_S):
            before = await flooding.by(people=_SATURATING_PEOPLE, think_s=0.001)
            count = max(_TIMES, round(_TIMES * before.goodput_per_s * _THINK_S))
            people = await flooding.by(people=count, think_s=_THINK_S)
            after = await flooding.by(people=_SATURATING_PEOPLE, think_s=0.001)
            deaf = await flooding.by(rate_per_s=_TIMES * after.goodput_per_s)
        played.append(_Trial(before, people, after, deaf))
    return _judged(played)


def _judged(played: list[_Trial]) -> Observations:
    share = median(one.people.goodput_per_s / one.most_per_s for one in played)
    p99_s = median(one.people.accepted_p99_s for one in played)
    deaf = [one.deaf for one in played]
    seen = Observations(trials=len(played))
    seen.figures = {
        "saturated_per_s": median(one.most_per_s for one in played),
        "goodput_share": share,
        "accepted_p99_ms": p99_s * 1000,
        "refused_per_s": median(_refused_per_s(one.people) for one in played),
        "client_cores": median(one.people.client_cores for one in played),
        "deaf_goodput_share": median(
            one.deaf.goodput_per_s / one.after.goodput_per_s for one in played
        ),
        "deaf_accepted_p99_ms": median(one.accepted_p99_s for one in deaf) * 1000,
        "deaf_refused_per_s": median(_refused_per_s(one) for one in deaf),
    }
    if share < _GOODPUT_MIN:
        seen.broken.append(f"the goodput is {share:.0%} of that at saturation")
    if p99_s > _P99_MAX_S:
        seen.broken.append(f"the p99 of accepted requests is {p99_s:.2f} s")
    for one in played:
        seen.broken += _unexpected("people", one.people)
        seen.broken += _unexpected("deaf people", one.deaf)
    return seen


def _refused_per_s(one: Flooded) -> float:
    return (sum(one.statuses.values()) - one.accepted) / one.wall_s


def _unexpected(name: str, one: Flooded) -> list[str]:
    """Return what people were told beside a success and a refusal that says when to come back."""
    wrong = {status: count for status, count in one.statuses.items() if status not in _EXPECTED}
    odd = {"without Retry-After": one.untold, "cut off": one.cut, "unanswered": one.unanswered}
    wrong |= {what: count for what, count in odd.items() if count}
    return [f"{name} were answered {wrong}"] if wrong else []


ROWS: tuple[AnyRow, ...] = (
    Row(
        name="overload",
        part=Part.CLIENTS,
        does="five times as many people as saturate one API process want seats",
        expects="at least 90 % as many are served as at saturation, within 1 s;"
        " all others are told 503 with Retry-After",
        run=five_times,
        trials=3,
        round_trials=3,
        trial_s=4 * (_SECONDS + _WARM_S + _TTL_S) + 20,
        layout=Layout(api=1, settings={"log_requests": "false"}),
        pace=Pace(visits_per_s=5.0),
        hold_ttl_s=60,
    ),
)
