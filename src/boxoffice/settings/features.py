"""Settings of the features except money."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.settings.values import Bytes, Count, Milliseconds, Seconds, StreamName


class HoldSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Holds: their limits, the seat lock, the cool-down and the sweeper."""

    seat_lock: Literal["auto", "always", "off"] = "auto"
    seat_lock_hot_ms: Milliseconds = 5_000
    seat_lock_ttl_ms: Annotated[int, Meta(ge=100, le=10_000)] = 9_000
    hold_ttl_default_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    seats_per_hold_max: Annotated[int, Meta(ge=1, le=64)] = 10
    ticket_limit_default: Annotated[int, Meta(ge=1, le=1000)] = 10
    # Holds of one person in one schedule that may end unpaid before a cool-down.
    hold_lapses_free_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 3
    hold_cooldown_first_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    hold_cooldown_max_s: Annotated[int, Meta(ge=1, le=604_800)] = 14_400
    sweep_interval_ms: Milliseconds = 1_000
    sweep_batch_max: Annotated[int, Meta(ge=1, le=5_000)] = 200


class WaitingRoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting rooms: the defaults of an organizer's policy, and the engine."""

    queue_rate_default_per_s: Annotated[float, Meta(ge=0.01, le=100_000)] = 50.0
    queue_inside_default_max: Annotated[int, Meta(ge=1, le=100_000)] = 500
    queue_inside_default_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    queue_grace_default_s: Annotated[int, Meta(ge=3, le=3_600)] = 60
    queue_ticket_ttl_s: Annotated[int, Meta(ge=60, le=604_800)] = 86_400
    queue_tickets_cached_max: Count = 20_000
    queue_rooms_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    queue_rooms_per_organizer_max: Annotated[int, Meta(ge=1, le=10_000)] = 100
    queue_refresh_ms: Annotated[int, Meta(ge=10, le=900)] = 250
    # Clients reckon with boards that are up to eight seconds old, in a cache and its pod together.
    queue_board_refresh_ms: Annotated[int, Meta(ge=100, le=2_000)] = 1_000
    # Over which users spread what all of them are to ask.
    queue_board_asks_per_s: Count = 5_000
    queue_tick_ms: Annotated[int, Meta(ge=10, le=900)] = 200
    queue_tick_max: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    queue_lease_ms: Annotated[int, Meta(ge=300, le=60_000)] = 1_500
    queue_number_prefetch: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000
    queue_state_ttl_s: Annotated[int, Meta(ge=600, le=31_536_000)] = 259_200
    queue_account_requests_per_s_max: Count = 100
    queue_address_requests_per_s_max: Count = 5_000
    # Joins without an account per address and window.
    queue_anonymous_joins_max: Count = 100
    queue_anonymous_joins_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 600


class OfferSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Offers: wrong codes, and how old the offers are that buyers are shown."""

    code_failures_per_account_max: Count = 10
    code_failures_per_address_max: Count = 200
    code_failures_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 900
    offers_cache_ms: Milliseconds = 1_000
    offers_cached_max: Count = 1_000


class WaitingListSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Waiting lists: how long returned seats wait for the line, how long an offer lasts, the worker."""

    waiting_list_turn_s: Annotated[int, Meta(ge=5, le=600)] = 60
    waiting_list_offer_ttl_s: Annotated[int, Meta(ge=1, le=86_400)] = 900
    waiting_list_interval_ms: Annotated[int, Meta(ge=10, le=5_000)] = 500
    # Entries that one transaction offers seats.
    waiting_list_turn_max: Annotated[int, Meta(ge=1, le=500)] = 100


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Concerts and schedules: look-ups, and uploads of seat maps."""

    seat_map_max_bytes: Bytes = 16 * 1024 * 1024
    seats_per_schedule_max: Count = 100_000
    seat_map_uploads_max: Annotated[int, Meta(ge=1, le=64)] = 1
    seat_map_errors_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    catalog_cache_ms: Milliseconds = 1_000
    catalog_cache_entries_max: Count = 256
    schedules_per_concert_max: Count = 100
    # Seats that one command blocks, releases or reprices.
    inventory_seats_max: Annotated[int, Meta(ge=1, le=10_000)] = 10_000


class SeatSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The live state of seats in memory, and the events about its changes."""

    # Whether holds of seats that are known to be taken are refused from memory.
    seat_cache: bool = True
    seats_cache_ms: Milliseconds = 250
    seats_verify_ms: Milliseconds = 1_000
    # Processes from which on one reads each schedule for all; 0: each reads for itself.
    seats_shared_processes_min: Annotated[int, Meta(ge=0, le=1_000)] = 3
    seat_events_interval_ms: Milliseconds = 30
    seat_events_history_max: Count = 1_000
    seat_events_keepalive_ms: Milliseconds = 2_000
    # Seats of all cached schedules; each takes about 200 bytes, and twice that with its map.
    seats_cached_max: Count = 200_000


class ListingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Lists of concerts: the state of their sales."""

    listing_cache_ms: Milliseconds = 2_000
    listing_few_left_percent: Annotated[int, Meta(ge=1, le=100)] = 10


class RankingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ranking of concerts by sales."""

    ranking_interval_ms: Milliseconds = 5_000
    ranking_cache_ms: Milliseconds = 2_000
    ranking_concerts_max: Annotated[int, Meta(ge=1, le=100)] = 20


class SalesStatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Live statistics of a sale."""

    sales_stats_cache_ms: Milliseconds = 1_000
    sales_stats_schedules_max: Count = 64


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts: tokens, password hashes, links in mail, and the limits of attempts."""

    access_token_ttl_s: Annotated[int, Meta(ge=1, le=604_800)] = 3_600
    token_key_refresh_s: Seconds = 15.0
    token_cache_max: Count = 20_000
    password_hashes_in_flight_max: Annotated[int, Meta(ge=1, le=64)] = 2
    password_hashes_waiting_max: Count = 64
    password_hashes_per_address_max: Count = 32
    login_failures_max: Count = 10
    login_address_failures_max: Count = 40
    login_address_attempts_max: Count = 600
    login_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    sign_ups_per_address_max: Count = 20
    sign_ups_window_s: Annotated[int, Meta(ge=1, le=604_800)] = 600
    known_addresses_max: Annotated[int, Meta(ge=1, le=100)] = 10
    known_address_ttl_s: Annotated[int, Meta(ge=86_400, le=31_536_000)] = 7_776_000
    sessions_shown_max: Annotated[int, Meta(ge=1, le=1_000)] = 50
    password_reset_ttl_s: Annotated[int, Meta(ge=60, le=86_400)] = 1_800
    email_link_ttl_s: Annotated[int, Meta(ge=60, le=604_800)] = 3_600
    account_link_retention_s: Annotated[int, Meta(ge=604_800, le=31_536_000)] = 604_800
    account_mails_per_email_max: Count = 5
    account_mails_per_address_max: Count = 30
    account_mails_window_s: Annotated[int, Meta(ge=1, le=86_400)] = 3_600
    verified_people_cached_max: Count = 20_000
    verified_switch_cache_ms: Milliseconds = 2_000


class OutboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The relay of the outbox and its stream."""

    relay_interval_ms: Milliseconds = 200
    relay_batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    relay_lease_ms: Milliseconds = 5_000
    relay_stream: StreamName = "boxoffice:events"
    relay_stream_max: Count = 100_000


class ReportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Reports: their bounds, and the files that are made of them."""

    # Reports and files that one process reads at a time, each on a connection of its own.
    reports_concurrent_max: Annotated[int, Meta(ge=1, le=16)] = 2
    report_performances_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    report_days_max: Annotated[int, Meta(ge=1, le=3_660)] = 1_098
    export_batch_rows: Annotated[int, Meta(ge=10, le=10_000)] = 200
    export_rows_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000_000
    export_timeout_ms: Milliseconds = 120_000
    report_mails_interval_ms: Milliseconds = 30_000


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The archive of reservations that ended unpaid."""

    history_retention_s: Annotated[int, Meta(ge=3_600, le=315_360_000)] = 86_400
    archive_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    archive_batch_max: Annotated[int, Meta(ge=1, le=500)] = 200


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The auditor and its results."""

    audit_interval_s: Annotated[int, Meta(ge=60, le=604_800)] = 3_600
    audit_request_min_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 60
    audit_statement_timeout_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 60_000
    audit_runs_kept_max: Annotated[int, Meta(ge=1, le=10_000)] = 200


class SearchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The search of organizers: how much one search reads."""

    search_newest_max: Annotated[int, Meta(ge=1, le=100_000)] = 500
    search_people_max: Annotated[int, Meta(ge=1, le=100_000)] = 200


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long an invitation is valid, and how many are made."""

    invitation_ttl_s: Annotated[float, Meta(ge=60, le=2_592_000)] = 259_200
    invitations_per_hour_max: Annotated[int, Meta(ge=1, le=10_000)] = 30
    applications_per_day_max: Annotated[int, Meta(ge=1, le=1_000)] = 3
