"""The list of scenarios."""

from bench.environment.processes import BARE_SERVER, LOCK_PER_REQUEST
from bench.scenarios import holds, lookups, notices, spike, streams, waiting_room
from bench.scenarios.scenario import HUGE, LARGE, SEAT_TAKEN, BenchScenario

BASELINE = "baseline"
_OK, _REFUSED = frozenset({"200"}), frozenset({"409"})
_MIXED = frozenset({"200", "201", "409"})

_HOLDS = (
    BenchScenario(BASELINE, holds.baseline, server=BARE_SERVER, about="bare ASGI server"),
    BenchScenario(
        "lock_per_request",
        holds.accepted_by_baseline,
        server=LOCK_PER_REQUEST,
        about="Redis lock, SELECT … FOR UPDATE and a commit for each request",
    ),
    BenchScenario("hold_accepted", holds.accepted, about="one seat each, 1,000 seats a schedule"),
    BenchScenario(
        "hold_refused", holds.refused, _REFUSED, SEAT_TAKEN, about="seats that others hold"
    ),
    BenchScenario(
        "hold_sold_out", holds.sold_out, _REFUSED, frozenset({"sold_out"}), about="no seat left"
    ),
    BenchScenario("hold_best_available", holds.best_available, about="the best two adjacent seats"),
    BenchScenario(
        "hold_with_offers",
        holds.with_offers,
        has_offers=True,
        about="one seat each, with a price type, a code, a fee and a quota",
    ),
    BenchScenario("pay", holds.pay, about="from the wallet"),
    BenchScenario(
        "intent_open", holds.open_intents, has_provider=True, about="a payment intent for a hold"
    ),
    BenchScenario(
        "intent_confirm",
        holds.confirm_intents,
        _OK,
        has_provider=True,
        about="its confirmation, at a simulated provider",
    ),
    BenchScenario(
        "notice_new", notices.new, _OK, env=notices.ENV, about="signed notices of a provider"
    ),
    BenchScenario(
        "notice_repeated", notices.repeated, _OK, env=notices.ENV, about="the same, kept already"
    ),
)
_LOOKUPS = (
    BenchScenario("seats_read", lookups.seats_read, _OK, about="1,000 seats, gzip"),
    BenchScenario("seats_304", lookups.seats_304, frozenset({"304"}), about="unchanged"),
    BenchScenario("concerts_read", lookups.concerts_read, _OK, about="the list of concerts"),
    BenchScenario("mixed", lookups.mixed, _MIXED, SEAT_TAKEN, about="lookups, holds and payments"),
    BenchScenario(
        "open_88", lookups.open_88, _MIXED, SEAT_TAKEN, about="the mix, 88 arrivals a second"
    ),
)
_WORKERS_AND_RELAY = (
    BenchScenario("hold_accepted_2_workers", holds.accepted, workers=2, about="as hold_accepted"),
    *(
        BenchScenario(
            f"hold_accepted_{workers}_together",
            holds.accepted,
            workers=workers,
            env={"BOXOFFICE_HAND_OVER": "true"},
            about="workers that batch together",
        )
        for workers in (2, 4)
    ),
    BenchScenario(
        "hold_refused_2_workers",
        holds.refused,
        _REFUSED,
        SEAT_TAKEN,
        workers=2,
        about="as hold_refused",
    ),
    BenchScenario(
        "hold_accepted_relayed", holds.accepted, relay=True, about="until all events are delivered"
    ),
    BenchScenario("pay_relayed", holds.pay, relay=True, about="pay, until all are delivered"),
)
_WAITING_ROOM = (
    BenchScenario(
        "queue_poll",
        waiting_room.queue_poll,
        _OK,
        env=waiting_room.ENV,
        has_waiting_room=True,
        about="queue position, cached ticket",
    ),
    BenchScenario(
        "queue_poll_cold",
        waiting_room.queue_poll,
        _OK,
        env={**waiting_room.ENV, "BOXOFFICE_QUEUE_TICKETS_CACHED_MAX": "1"},
        has_waiting_room=True,
        about="queue position, each ticket verified",
    ),
    BenchScenario(
        "queue_join",
        waiting_room.queue_join,
        env=waiting_room.ENV,
        has_waiting_room=True,
        about="a new queue ticket",
    ),
)
_LARGE_SCHEDULES = (
    BenchScenario("hold_60000_seats", holds.accepted, seats=LARGE, about="one schedule of 60,000"),
    BenchScenario(
        "hot_map_60000",
        lookups.hot_map,
        frozenset({"200", "201"}),
        seats=LARGE,
        about="seat maps and holds",
    ),
    BenchScenario(
        "seat_events_no_readers",
        streams.steady_holds,
        seats=LARGE,
        about="200 holds a second, no event stream",
    ),
    BenchScenario(
        "seat_events",
        streams.steady_holds,
        seats=LARGE,
        env=streams.ENV,
        has_stream_readers=True,
        about="the same with thousands of event streams",
    ),
    BenchScenario(
        "hold_1000000_seats", holds.accepted, seats=HUGE, about="one schedule of 1,000,000"
    ),
)

SCENARIOS: tuple[BenchScenario, ...] = (
    *_HOLDS,
    *_LOOKUPS,
    *_WORKERS_AND_RELAY,
    *_WAITING_ROOM,
    *_LARGE_SCHEDULES,
)

# Of their own size, and only by name.
SPIKE = tuple(
    BenchScenario(
        "spike_400000" if workers == 1 else f"spike_400000_{workers}_workers",
        spike.requests_at_once,
        frozenset({"201", "409"}),
        SEAT_TAKEN,
        workers=workers,
        dataset=spike.dataset,
        connections=spike.CONNECTIONS,
        about="a hall of 160 areas, all requests at once",
    )
    for workers in (1, 2, 4)
)
