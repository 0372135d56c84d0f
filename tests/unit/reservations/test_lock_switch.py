"""When seats are claimed in Valkey: with a clock that the test sets."""

from uuid import uuid4

from boxoffice.reservations.handlers import LockSwitch, Mode


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _switch(mode: Mode, clock: Clock, *, peers: bool = True) -> LockSwitch:
    return LockSwitch(mode, 5_000, lambda: peers, clock)


def test_a_collision_switches_it_on_for_a_while_and_for_one_schedule() -> None:
    clock, here, there = Clock(), uuid4(), uuid4()
    switch = _switch("auto", clock)
    assert not switch.claims(here)
    switch.collided(here)
    assert switch.claims(here)
    assert not switch.claims(there)
    clock.now_s = 4.0
    switch.collided(here)
    clock.now_s = 8.9
    assert switch.claims(here), "it was renewed"
    clock.now_s = 9.0
    assert not switch.claims(here)


def test_a_single_pod_claims_nothing() -> None:
    clock, here = Clock(), uuid4()
    switch = _switch("auto", clock, peers=False)
    switch.collided(here)
    assert not switch.claims(here)


def test_always_and_off_are_what_they_say() -> None:
    clock, here = Clock(), uuid4()
    assert _switch("always", clock).claims(here)
    off = _switch("off", clock)
    off.collided(here)
    assert not off.claims(here)
    assert off.is_off


def test_what_is_hot_is_bounded() -> None:
    switch = _switch("auto", Clock())
    schedules = [uuid4() for _ in range(1_500)]
    for one in schedules:
        switch.collided(one)
    assert sum(switch.claims(one) for one in schedules) == 1_000
    assert switch.claims(schedules[-1])
