"""Five times the load that saturates one API process."""

from dataclasses import dataclass
from random import Random
from statistics import mean, median

from faults.cluster.cluster import Cluster, Topology
from faults.interference.hold_flood import HoldFloodResult
from faults.interference.hold_flood_runner import WARM_S, HoldFloodRunner, unexpected
from faults.scenario import AnyScenario, Component, Observations, Scenario
from faults.workload.load import LoadGenerator
from faults.workload.plan import WorkloadProfile

_TIMES = 5
# Half more than the capacity, so that the process is surely saturated.
_SATURATING_TIMES = 1.5
_SECONDS = 5.0
_THINK_S = 0.1
_GOODPUT_MIN = 0.9
_P99_MAX_S = 1.0
_GRACE_S = 5.0
_EXPECTED = frozenset({"201", "503"})
# More than can be held before the first holds lapse.
_SEATS, _PEOPLE, _TTL_S = 60_000, 2_000, 4


@dataclass(frozen=True)
class _Trial:
    """One comparison of five times the load with saturation.

    Saturation is measured before, between and after, since tables grow and the machine has other
    work.
    """

    closed_loop: HoldFloodResult
    before: HoldFloodResult
    people: HoldFloodResult
    between: HoldFloodResult
    no_backoff: HoldFloodResult
    after: HoldFloodResult

    @property
    def saturated(self) -> list[HoldFloodResult]:
        """The floods at saturation."""
        return [self.before, self.between, self.after]

    @property
    def people_share(self) -> float:
        """Goodput of five times the clients, relative to saturation before and after."""
        return _share(self.people, self.before, self.between)

    @property
    def no_backoff_share(self) -> float:
        """Goodput without backoff, relative to saturation before and after."""
        return _share(self.no_backoff, self.between, self.after)

    @property
    def closed_loop_share(self) -> float:
        """Goodput of five times the clients, relative to the capacity."""
        return self.people.goodput_per_s / max(self.closed_loop.goodput_per_s, 1.0)

    @property
    def all_of_it(self) -> list[HoldFloodResult]:
        """All floods beyond the capacity."""
        return [*self.saturated, self.people, self.no_backoff]


def _share(result: HoldFloodResult, before: HoldFloodResult, after: HoldFloodResult) -> float:
    return result.goodput_per_s / mean([before.goodput_per_s, after.goodput_per_s])


async def five_times(
    cluster: Cluster, load: LoadGenerator, random: Random, trials: int
) -> Observations:
    """Measure goodput at saturation and at five times the clients.

    The capacity is what clients without pauses get. All others think for a tenth of a second after
    a success, so that only their number differs.
    """
    played = []
    for _ in range(trials):
        fixtures = await cluster.create_fixtures(seats=_SEATS, people=_PEOPLE, hold_ttl_s=_TTL_S)
        floods = HoldFloodRunner(cluster, fixtures, random)
        with load.fault("overload", grace_s=_GRACE_S):
            closed_loop = await floods.without_pauses(seconds=_SECONDS)
            most_per_s = max(10.0, closed_loop.goodput_per_s)
            enough, many = (
                round(times * most_per_s * _THINK_S) for times in (_SATURATING_TIMES, _TIMES)
            )
            before = await floods.by(enough, seconds=_SECONDS, think_s=_THINK_S)
            people = await floods.by(many, seconds=_SECONDS, think_s=_THINK_S)
            between = await floods.by(enough, seconds=_SECONDS, think_s=_THINK_S)
            no_backoff = await floods.by(
                many, seconds=_SECONDS, think_s=_THINK_S, rate_per_s=_TIMES * most_per_s
            )
            after = await floods.by(enough, seconds=_SECONDS, think_s=_THINK_S)
        played.append(_Trial(closed_loop, before, people, between, no_backoff, after))
    return _observed(played)


def _observed(played: list[_Trial]) -> Observations:
    shares = [one.people_share for one in played]
    no_backoff_shares = [one.no_backoff_share for one in played]
    p99_s = median(one.people.accepted_p99_s for one in played)
    no_backoff = [one.no_backoff for one in played]
    seen = Observations(trials=len(played))
    seen.figures = {
        "closed_loop_per_s": median(one.closed_loop.goodput_per_s for one in played),
        "saturated_per_s": median(at.goodput_per_s for one in played for at in one.saturated),
        "goodput_share": median(shares),
        "goodput_share_min": min(shares),
        "closed_loop_share": median(one.closed_loop_share for one in played),
        "offered_per_s": median(one.people.offered_per_s for one in played),
        "unsent_count": sum(one.people.unsent for one in played),
        "accepted_count": sum(one.people.accepted for one in played),
        "accepted_p99_ms": p99_s * 1000,
        "refused_per_s": median(_refused_per_s(one.people) for one in played),
        "client_cores": median(one.people.client_cores for one in played),
        "no_backoff_goodput_share": median(no_backoff_shares),
        "no_backoff_goodput_share_min": min(no_backoff_shares),
        "no_backoff_offered_per_s": median(one.offered_per_s for one in no_backoff),
        "no_backoff_unsent_count": sum(one.unsent for one in no_backoff),
        "no_backoff_accepted_p99_ms": median(one.accepted_p99_s for one in no_backoff) * 1000,
        "no_backoff_refused_per_s": median(_refused_per_s(one) for one in no_backoff),
    }
    for whose, parts in (("", shares), (" without backoff", no_backoff_shares)):
        if median(parts) < _GOODPUT_MIN:
            text = ", ".join(f"{part:.0%}" for part in parts)
            seen.broken.append(f"the goodput{whose} is {text} of that at saturation, by trial")
    if p99_s > _P99_MAX_S:
        seen.broken.append(f"the p99 of accepted requests is {p99_s:.2f} s")
    for one in played:
        seen.broken += [text for result in one.all_of_it for text in unexpected(result, _EXPECTED)]
    return seen


def _refused_per_s(one: HoldFloodResult) -> float:
    return (sum(one.statuses.values()) - one.accepted) / one.wall_s


SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="overload",
        component=Component.CLIENTS,
        does="five times as many clients as saturate one API process hold seats",
        expects="at least 90 % of the goodput at saturation, accepted within 1 s; without backoff "
        "at least 90 % too; all others get 503 with Retry-After",
        run=five_times,
        trials=3,
        round_trials=3,
        trial_s=6 * (_SECONDS + WARM_S + _TTL_S) + 20,
        topology=Topology(api=1, settings={"log_requests": "false"}),
        profile=WorkloadProfile(visits_per_s=5.0),
        hold_ttl_s=60,
    ),
)
