"""The rules of the code as functions from text to faults, so that each can be shown to fail."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

IO = {
    "asyncio", "asyncpg", "redis", "socket", "subprocess", "os", "time", "random", "secrets",
    "structlog", "logging", "httptools", "uvloop", "prometheus_client",
}  # fmt: skip
# What every feature builds on; the other folders of the product are its features.
FOUNDATION = {"batching", "cli", "errors", "http", "observability", "platform", "settings"}

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
FILES_PER_PACKAGE_MAX = 12


def forbidden_imports(features: Iterable[str]) -> list[tuple[str, set[str]]]:
    """Return the files, as patterns, and the modules that they must not import."""
    of_features = {f"boxoffice.{feature}" for feature in features}
    servers = {"boxoffice.platform.postgres", "boxoffice.platform.valkey"}
    return [
        (r"boxoffice/(\w+/)+(rules|ledger|shuffle)\.py",
         IO | servers | {"boxoffice.http", "boxoffice.observability"}),
        (r"boxoffice/(\w+/)+service\.py", {"boxoffice.http", "httptools", "asyncpg"}),
        (r"boxoffice/(\w+/)+store\.py", {"boxoffice.http", "httptools", "boxoffice.batching"}),
        (r"boxoffice/(\w+/)+(\w+_)?routes\.py", {"asyncpg", "redis"} | servers),
        (r"boxoffice/(platform|observability|batching|http)/.*\.py",
         of_features | {"boxoffice.app", "boxoffice.cli"}),
        (r"boxoffice/(platform|observability)/.*\.py", {"boxoffice.http", "boxoffice.batching"}),
        # The platform logs; what it logs with knows nothing of it.
        (r"boxoffice/observability/.*\.py", {"boxoffice.platform"}),
        (r"boxoffice/.*\.py", {"boxoffice_embedded", "boxoffice_loadtest", "boxoffice_simulators"}),
        (r"boxoffice_embedded/.*\.py", {"boxoffice_loadtest", "boxoffice_simulators"}),
        (r"boxoffice_loadtest/.*\.py", {"boxoffice_simulators"}),
        # A simulator is the other side: it shares no code that knows money.
        (r"boxoffice_simulators/.*\.py", {*of_features, "boxoffice_embedded", "boxoffice_loadtest"}),
        # The load test uses the public API, as a client does.
        (r"boxoffice_loadtest/.*\.py", {"boxoffice.catalog", "boxoffice.seats",
                                        "boxoffice.reservations", "boxoffice.payments"}),
        (r"boxoffice_loadtest/(analysis|report)/.*\.py", IO),
        (r"boxoffice_loadtest/(runner/(plan|results)|measurement/client_log|users|model)\.py", IO),
        # The pages show what the API returns; the audit reads the database only.
        (r"boxoffice/web/.*\.py", of_features - {"boxoffice.web"}),
        (r"boxoffice/audit/.*\.py", of_features - {"boxoffice.audit"}),
    ]  # fmt: skip


def imports(text: str) -> Iterator[str]:
    """Yield every module and name that a file imports, at any level."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def import_faults(name: str, text: str, rules: Iterable[tuple[str, set[str]]]) -> list[str]:
    """Return the imports of a file that the rules forbid; `name` is its path below `src`."""
    imported = set(imports(text))
    return sorted(
        {
            one
            for pattern, forbidden in rules
            if re.fullmatch(pattern, name)
            for one in imported
            for prefix in forbidden
            if one == prefix or one.startswith(prefix + ".")
        }
    )


def import_cycle(files: Mapping[str, str]) -> list[str]:
    """Return features of the product that import each other in a circle, none without one."""
    graph: dict[str, set[str]] = {}
    for name, text in files.items():
        found = re.match(r"boxoffice/(\w+)/", name)
        if found and found[1] not in FOUNDATION:
            used = (re.match(r"boxoffice\.(\w+)\.", f"{one}.") for one in imports(text))
            graph.setdefault(found[1], set()).update(one[1] for one in used if one)
    for module, used_modules in graph.items():
        used_modules.discard(module)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def foreign_stores(name: str, text: str) -> list[str]:
    """Return the stores of other modules that a file imports."""
    found = []
    for one in imports(text):
        store = re.match(r"boxoffice\.(\w+)\.store\b", one)
        if store and not name.startswith(f"boxoffice/{store[1]}/"):
            found.append(one)
    return found


# The module that owns each table: its schema's meaning, and all writes but those of `WRITES_BESIDE`.
TABLES = {
    "accounts": {
        "account_links", "account_secrets", "account_sessions", "ended_tokens", "known_addresses",
        "token_keys", "token_versions", "users",
    },
    "activity_log": {"logbook"},
    "archive": {"archive_progress", "queue_archive", "reservations_archive"},
    "audit": {"audit_runs"},
    "backups": {"restores"},
    "brands": {"brands"},
    "catalog": {"concerts", "creation_keys", "schedule_changes", "schedules"},
    "listings": {"featured_concerts"},
    "inventory": {"house_accounts", "seat_blocks", "seat_price_changes", "ticket_issues"},
    "notifications": {
        "mail_languages", "mails", "webhook_deliveries", "webhook_endpoints",
    },
    "offers": {
        "code_batches", "offer_codes", "price_types", "reservation_offers", "sales_channels",
        "schedule_offers", "seat_attributes",
    },
    "order_numbers": {"order_numbers"},
    "organizations": {
        "organization_invitations", "organization_members", "organizations", "organizer_applications",
    },
    "outbox": {"outbox"},
    "payments": {
        "cashier_work", "disputes", "ledger_entries", "payment_intents", "payments", "provider_answers",
        "provider_calls", "provider_notices", "provider_transactions", "refund_jobs", "refund_policies",
        "refunds", "statement_findings", "statement_lines", "statement_runs", "transfers", "wallets",
    },
    "posters": {"poster_files", "posters"},
    "platform": {"given_up_statements", "leases", "schema_functions", "schema_migrations"},
    "reports": {"report_mails", "report_subscriptions"},
    "reservations": {"closed_reservations", "lapsing_holds", "reservations", "schedule_buyers"},
    "seats": {"seats"},
    "tickets": {"tickets"},
    "venues": {"venues"},
    "waiting_list": {"waiting_list_entries", "waiting_lists"},
    "waiting_room": {
        "queue_admissions", "queue_gaps", "queue_joins", "queue_leavers", "queue_packs",
        "queue_redemptions", "queue_rooms",
    },
}  # fmt: skip
# Modules that write tables of another one, and why.
WRITES_BESIDE = {
    ("accounts", "wallets"): "a sign-up creates the account and its wallet in one statement",
    ("archive", "closed_reservations"): "ended rows move into the archive in one transaction",
    ("archive", "queue_admissions"): "ended rows move into the archive in one transaction",
    ("archive", "queue_joins"): "ended rows move into the archive in one transaction",
    ("archive", "reservations"): "ended rows move into the archive in one transaction",
    ("archive", "schedule_buyers"): "ended rows move into the archive in one transaction",
    ("catalog", "cashier_work"): "a change and its job are written in one transaction",
    ("catalog", "outbox"): "an event is written in the transaction of what it reports",
    ("catalog", "seats"): "a new schedule and its seats are created in one transaction",
    ("inventory", "schedules"): "the layout version grows in the transaction of the change",
    (
        "inventory",
        "ledger_entries",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "outbox",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "payments",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "refunds",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "reservations",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "schedule_buyers",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "tickets",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    (
        "inventory",
        "transfers",
    ): "an issue, its tickets, its payment and its seats are written in one transaction",
    ("inventory", "users"): "a house account is made on first use, in the transaction of its issue",
    (
        "inventory",
        "wallets",
    ): "a house account is made on first use, in the transaction of its issue",
    ("inventory", "seats"): "a command changes seats and keeps its record in one transaction",
    ("offers", "schedules"): "a hold reads in the schedule's row whether offers decide it",
    ("cancellations", "mails"): "a mail is queued in the transaction that notes it",
    ("cancellations", "schedule_changes"): "the job of a change notes how far it has come",
    ("payments", "outbox"): "an event is written in the transaction of what it reports",
    ("payments", "reservations"): "one function decides and books a batch of payments",
    ("payments", "schedule_buyers"): "one function decides and books a batch of payments",
    ("payments", "seats"): "one function decides and books a batch of payments",
    ("payments", "tickets"): "one function decides and books a batch of payments",
    ("reservations", "outbox"): "an event is written in the transaction of what it reports",
    ("reservations", "seats"): "one function decides and books a batch of holds",
    (
        "waiting_list",
        "schedules",
    ): "a hold reads in the schedule's row how long seats wait for the line",
    ("waiting_list", "seats"): "an offer, its hold and its seats are written in one transaction",
    ("boxoffice_embedded", "concerts"): "the demo fills in what its concerts show",
    ("boxoffice_embedded", "users"): "the demo closes accounts that were published with a password",
}

_WRITES = re.compile(
    r"\bINSERT\s+INTO\s+(\w+)"
    r"|\bDELETE\s+FROM\s+(?:ONLY\s+)?(\w+)"
    r"|\bMERGE\s+INTO\s+(\w+)"
    r"|\bTRUNCATE\s+(?:TABLE\s+)?(\w+)"
    r"|\bCOPY\s+(\w+)[^;]*?\bFROM\b"
    r"|(?<!DO )(?<!FOR )\bUPDATE\s+(?:ONLY\s+)?(\w+)(?:\s+(?:AS\s+)?(?!SET\b)\w+)?\s+SET\b",
    re.IGNORECASE,
)


def written_tables(sql: str) -> set[str]:
    """Return the tables that the statements of a file write."""
    code = re.sub(r"--[^\n]*", "", sql)
    return {name.lower() for match in _WRITES.finditer(code) for name in match.groups() if name}


def created_tables(sql: str) -> set[str]:
    """Return the tables that a file creates."""
    return set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", sql))


def owner_of(table: str) -> str | None:
    """Return the module that owns a table."""
    return next((module for module, tables in TABLES.items() if table in tables), None)


def table_faults(module: str, sql: str) -> list[str]:
    """Return the tables that a module writes and may not."""
    return sorted(
        table
        for table in written_tables(sql)
        if owner_of(table) != module and (module, table) not in WRITES_BESIDE
    )


def classes(text: str) -> list[str]:
    """Return the names of the classes of a file, nested ones included."""
    return [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]


def names_twice(files: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the class names that several files define, with those files."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, text in files.items():
        for one in classes(text):
            places[one].append(name)
    return {name: where for name, where in places.items() if len(where) > 1}


def flat_packages(names: Iterable[str]) -> dict[str, int]:
    """Return the folders with too many files, without counting `__init__.py`."""
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        folder, _, file = name.rpartition("/")
        if file != "__init__.py":
            counts[folder] += 1
    return {folder: count for folder, count in counts.items() if count > FILES_PER_PACKAGE_MAX}


def long_parts(text: str) -> list[str]:
    """Return a file's length where it is too long, and its functions that are."""
    found = []
    lines = len(text.splitlines())
    if lines > FILE_LINES_MAX:
        found.append(f"{lines} lines")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                found.append(f"{node.name}: {length} lines")
    return found
