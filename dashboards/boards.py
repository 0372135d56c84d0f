"""What the dashboards show."""

from dashboards.panels import Board, Chart, Line, Row, Tile

_RATE = "[$__rate_interval]"
_PUBLIC = 'route!~"/(healthz|readyz|metrics)"'


def _rate(metric: str, by: str = "", matchers: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    selected = f"{{{matchers}}}" if matchers else ""
    return f"sum{grouped} (rate({metric}{selected}{_RATE}))"


def _quantile(share: float, metric: str, by: str = "", matchers: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', labels, matchers)})"


def _quantiles(metric: str, matchers: str = "") -> list[Line]:
    return [
        Line(_quantile(share, metric, matchers=matchers), f"p{share * 100:g}")
        for share in (0.5, 0.95, 0.99)
    ]


SALE = Board(
    "boxoffice-sale",
    "Boxoffice: the sale",
    "What buyers see: the service level, requests, holds and payments, waiting rooms.",
    [
        Row(
            "Service level: 99.99 %",
            [
                Tile("Failed, 1 h", "percentunit", "boxoffice:request_failures:ratio_rate1h", 0.0001,
                     "Share of requests that failed; the objective is 0.01 %."),
                Tile("Slow, 1 h", "percentunit", "boxoffice:slow_requests:ratio_rate1h", 0.0001,
                     "Share of the requests of a sale that took longer than a second."),
                Tile("Failed, 3 days", "percentunit", "boxoffice:request_failures:ratio_rate3d", 0.0001,
                     "The same over three days."),
                Tile("Slow, 3 days", "percentunit", "boxoffice:slow_requests:ratio_rate3d", 0.0001,
                     "The same over three days."),
            ],
        ),
        Row(
            "Requests",
            [
                Chart("Requests by status", "reqps",
                      [Line(_rate("boxoffice_requests_total", "status", _PUBLIC), "{{status}}")],
                      "409 are refusals of the business, such as a seat that is taken."),
                Chart("Failures by code", "reqps",
                      [Line(_rate("boxoffice_requests_total", "code", f'status=~"5..", {_PUBLIC}'),
                            "{{code}}")],
                      "overloaded: the queue is full. unavailable, outcome_unknown: PostgreSQL."),
                Chart("Time to answer", "s", _quantiles("boxoffice_request_seconds", _PUBLIC),
                      "Over all routes."),
                Chart("p99 by route", "s",
                      [Line("topk(10, "
                            + _quantile(0.99, "boxoffice_request_seconds", "route", _PUBLIC)
                            + ")", "{{route}}")],
                      "The ten slowest routes."),
            ],
        ),
        Row(
            "Holds and payments",
            [
                Chart("Decided commands by kind", "ops",
                      [Line(_rate("boxoffice_batch_commands_sum", "kind"), "{{kind}}")],
                      "Each is a request that a transaction has decided, refusals included."),
                Chart("Commands per batch", "short",
                      [Line(f"{_rate('boxoffice_batch_commands_sum', 'kind')}"
                            f" / {_rate('boxoffice_batch_commands_count', 'kind')}", "{{kind}}")],
                      "Under load batches grow, and a command costs less."),
                Chart("Time of a batch", "s", _quantiles("boxoffice_batch_seconds"),
                      "The commit is included, and the synchronous standby's."),
                Chart("Commands without an outcome", "short",
                      [Line("sum (boxoffice_batch_queue_length)", "waiting")],
                      "Near BOXOFFICE_BATCH_QUEUE_MAX requests are refused."),
                Chart("Decided again", "ops",
                      [Line(_rate("boxoffice_batch_retries_total", "reason"), "{{reason}}")],
                      "contended: concurrent transactions. unknown: the answer of a batch was lost."),
                Chart("Refused from memory", "ops",
                      [Line(_rate("boxoffice_seat_cache_total", "result"), "{{result}}")],
                      "refused costs nothing; the others asked PostgreSQL."),
            ],
        ),
        Row(
            "Payment providers",
            [
                Chart("Calls by outcome", "ops",
                      [Line(_rate("boxoffice_provider_calls_total", "provider, outcome"),
                            "{{provider}} {{outcome}}")],
                      "unknown calls are looked up by the cashier."),
                Chart("p95 of a call", "s",
                      [Line(_quantile(0.95, "boxoffice_provider_call_seconds", "provider, operation"),
                            "{{provider}} {{operation}}")],
                      "Buyers wait for confirmations."),
                Chart("Captures and confirmations", "ops",
                      [Line(_rate("boxoffice_settlements_total", "provider, outcome"),
                            "{{provider}} {{outcome}}"),
                       Line(_rate("boxoffice_confirmations_total", "provider, outcome"),
                            "{{provider}} {{outcome}}")],
                      "sold is a ticket; returning is money that is owed back."),
            ],
        ),
        Row(
            "Waiting rooms and streams",
            [
                Chart("People", "short",
                      [Line("sum (boxoffice_waiting_room_length)", "waiting"),
                       Line("sum (boxoffice_waiting_room_inside)", "inside")],
                      "Over all rooms."),
                Chart("Joins, calls, exits", "ops",
                      [Line(_rate("boxoffice_waiting_room_joins_total"), "joins"),
                       Line(_rate("boxoffice_waiting_room_admissions_total"), "calls"),
                       Line(_rate("boxoffice_waiting_room_exits_total", "reason"), "{{reason}}")],
                      "Exits free places."),
                Chart("Open streams", "short",
                      [Line("sum by (topic) (boxoffice_streams_open)", "{{topic}}")],
                      "Seat maps and queue positions that follow."),
            ],
        ),
    ],
)  # fmt: skip

ROLES = Board(
    "boxoffice-roles",
    "Boxoffice: roles and lags",
    "What happens behind the requests: events, mails, holds, money, audit.",
    [
        Row(
            "The audit",
            [
                Tile("Violated checks", "short", "max (boxoffice_audit_violated_checks)", 1,
                     "Checks of the last audit with violations."),
                Tile("Without a result", "short", "max (boxoffice_audit_failed)", 1,
                     "1 where the last audit ended without a result."),
                Tile("Age", "s", "min (boxoffice_audit_age_seconds)", 10_800,
                     "Time since the end of the last audit."),
                Tile("Duration", "s", "max (boxoffice_audit_duration_seconds)", 3_600,
                     "How long it took."),
            ],
        ),
        Row(
            "Lags",
            [
                Chart("Rounds", "s",
                      [Line("max by (role) (boxoffice_role_round_age_seconds)", "{{role}}")],
                      "Time since the last round that succeeded."),
                Chart("Lags", "s",
                      [Line("max (boxoffice_outbox_age_seconds)", "outbox"),
                       Line("max (boxoffice_sweep_lag_seconds)", "sweep"),
                       Line("max (boxoffice_mails_overdue_seconds)", "mail"),
                       Line("max (boxoffice_webhooks_overdue_seconds)", "webhooks"),
                       Line("max by (kind) (boxoffice_cashier_work_age_seconds)", "cashier {{kind}}")],
                      "How far each role is behind."),
                Chart("Waiting", "short",
                      [Line("max (boxoffice_mails_waiting)", "mails"),
                       Line("max (boxoffice_webhooks_waiting)", "webhooks"),
                       Line("max by (kind) (boxoffice_cashier_work_length)", "cashier {{kind}}"),
                       Line("max (boxoffice_waiting_list_entries)", "entries of waiting lists")],
                      "What is due, and who waits for seats."),
            ],
        ),
        Row(
            "Work",
            [
                Chart("Events and what they queue", "ops",
                      [Line(_rate("boxoffice_events_relayed_total"), "events"),
                       Line(_rate("boxoffice_notifications_queued_total", "kind"), "{{kind}}")],
                      "Delivered to the stream; mails and webhooks that follow."),
                Chart("Mails and webhooks", "ops",
                      [Line(_rate("boxoffice_mails_total", "result"), "mail {{result}}"),
                       Line(_rate("boxoffice_webhooks_total", "result"), "webhook {{result}}")],
                      "failed is tried again."),
                Chart("Holds that lapsed, rows that were archived", "ops",
                      [Line(_rate("boxoffice_holds_expired_total"), "holds"),
                       Line(_rate("boxoffice_archived_total"), "rows"),
                       Line(_rate("boxoffice_waiting_list_offers_total"), "offers of waiting lists")],
                      "Work of sweep and archive."),
                Chart("The cashier", "ops",
                      [Line(_rate("boxoffice_cashier_work_total", "kind, outcome"),
                            "{{kind}} {{outcome}}")],
                      "done and later are well; the others are tried again."),
                Chart("Notices of providers", "ops",
                      [Line(_rate("boxoffice_notices_received_total", "provider, outcome"),
                            "{{provider}} {{outcome}}")],
                      "refused alone: the signing secret is another one."),
                Chart("Available providers", "short",
                      [Line("min by (provider) (boxoffice_provider_available)", "{{provider}}")],
                      "0 while the breaker is open."),
            ],
        ),
    ],
)  # fmt: skip

PROCESSES = Board(
    "boxoffice-processes",
    "Boxoffice: processes and servers",
    "Where the time goes: event loops, connections to PostgreSQL, Valkey, the standby.",
    [
        Row(
            "Processes",
            [
                Chart("Releases", "short",
                      [Line("count by (version, python, commit) (boxoffice_build_info)",
                            "{{version}} {{commit}}, Python {{python}}")],
                      "Processes by release: a rollout is under way where there are two."),
                Chart("Age", "s", [Line("time() - boxoffice_start_time_seconds", "{{instance}}")],
                      "A line that returns to 0 again and again is a process that restarts."),
                Chart("Event loop, p90 of its lag", "s",
                      [Line(_quantile(0.9, "boxoffice_event_loop_lag_seconds", "instance"),
                            "{{instance}}")],
                      "Every request of the process waits as long."),
            ],
        ),
        Row(
            "PostgreSQL",
            [
                Chart("Wait for a connection, p99", "s",
                      [Line(_quantile(0.99, "boxoffice_db_pool_wait_seconds", "step"), "{{step}}")],
                      "turn: reads beside the batches. connection: the pool."),
                Chart("Reading a schedule's seats", "s", _quantiles("boxoffice_seat_read_seconds"),
                      "Grows with the seats of a schedule and the load of PostgreSQL."),
                Chart("Readings of seats by source", "ops",
                      [Line(_rate("boxoffice_seat_readings_total", "source"), "{{source}}")],
                      "database: does not grow with the processes; shared: another process's."),
                Chart("Synchronous standby", "short",
                      [Line("min (boxoffice_commits_synchronous)", "commits wait"),
                       Line("max by (state) (boxoffice_standbys)", "{{state}}"),
                       Line("max (boxoffice_standby_expected)", "expected")],
                      "Without a synchronous standby no commit returns, or none waits."),
            ],
        ),
        Row(
            "Valkey",
            [
                Chart("Failed calls", "ops",
                      [Line(_rate("boxoffice_valkey_failures_total", "node"), "{{node}}")],
                      "Three in a row open the breaker."),
                Chart("Open breakers", "short",
                      [Line("sum by (node) (boxoffice_valkey_breakers_open)", "{{node}}")],
                      "Processes that skip a server."),
                Chart("Seat changes", "ops",
                      [Line(_rate("boxoffice_seat_change_messages_total", "result"), "{{result}}")],
                      "missed and unsent cause readings of whole schedules."),
                Chart("Seat lock", "ops",
                      [Line(_rate("boxoffice_seat_lock_total", "result"), "{{result}}")],
                      "Only while pods collide."),
                Chart("Waiting rooms: p99 of a tick", "s",
                      [Line(_quantile(0.99, "boxoffice_waiting_room_tick_seconds"), "tick")],
                      "Above BOXOFFICE_QUEUE_TICK_MS calls are late."),
                Chart("Waiting rooms: rebuilds", "short",
                      [Line("sum (increase(boxoffice_waiting_room_rebuilds_total[1h]))", "1 h")],
                      "After a loss of Valkey."),
            ],
        ),
        Row(
            "Connections and limits",
            [
                Chart("Ended below a request", "ops",
                      [Line(_rate("boxoffice_connections_ended_total", "reason"), "{{reason}}")],
                      "too_many_connections refuses buyers."),
                Chart("Streams that ended", "ops",
                      [Line(_rate("boxoffice_streams_ended_total", "reason"), "{{reason}}"),
                       Line(_rate("boxoffice_stream_events_total", "topic"), "events {{topic}}")],
                      "slow readers are dropped."),
                Chart("Attempts that a limit refused", "ops",
                      [Line(_rate("boxoffice_attempts_refused_total", "limit"), "{{limit}}")],
                      "login_account: one account under attack. login_address: many."),
                Chart("Webhooks, p95 of a try", "s",
                      [Line(_quantile(0.95, "boxoffice_webhook_seconds"), "try")],
                      "Slow endpoints take places."),
                Chart("Lost", "short",
                      [Line("sum by (instance) (increase(boxoffice_log_lost_total[1h]))",
                            "log {{instance}}"),
                       Line("sum (increase(boxoffice_sales_stats_dropped_total[1h]))", "statistics"),
                       Line("sum (increase(boxoffice_spans_lost_total[1h]))", "spans")],
                      "Lines of the log, sums of the statistics of a sale, and spans, per hour."),
            ],
        ),
    ],
)  # fmt: skip

BOARDS = (SALE, ROLES, PROCESSES)
