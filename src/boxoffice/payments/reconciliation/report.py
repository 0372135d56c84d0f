"""The report of a day as CSV (RFC 4180). Pure."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from boxoffice.payments.providers.port import Movement, StatementLine
from boxoffice.payments.reconciliation.rules import signed_minor
from boxoffice.platform.spreadsheets.files import harmless

_COLUMNS = (
    "happened_at",
    "movement",
    "transaction_key",
    "payment_key",
    "order_id",
    "currency",
    "there",
    "here",
    "fee",
    "finding",
)


class ReportedFinding(Protocol):
    """What the report shows of a finding."""

    @property
    def transaction_key(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def movement(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def happened_at(self) -> datetime: ...
    @property
    def here_minor(self) -> int | None: ...


def as_csv(
    lines: Sequence[StatementLine],
    booked: Iterable[Movement],
    findings: Sequence[ReportedFinding],
) -> str:
    """Return the lines of a statement beside our bookings, then what is only in our books.

    Amounts are minor units, positive towards us. Text that a spreadsheet would compute is quoted.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([harmless(cell) for cell in row] for row in _rows(lines, booked, findings))
    return text.getvalue()


def _rows(
    lines: Sequence[StatementLine],
    booked: Iterable[Movement],
    findings: Sequence[ReportedFinding],
) -> Iterator[list[object]]:
    here = {one.key: signed_minor(one) for one in booked}
    kinds: dict[str, list[str]] = defaultdict(list)
    for one in findings:
        kinds[one.transaction_key].append(one.kind)
    for line in lines:
        there = line.movement
        head = [there.happened_at.isoformat(), there.kind, there.key, line.payment_key]
        sums = [signed_minor(there), here.get(there.key), line.fee_minor]
        yield [*head, line.order_id, there.currency, *sums, " ".join(kinds[there.key])]
    listed = {line.movement.key for line in lines}
    for one in findings:
        if one.transaction_key not in listed:
            head = [one.happened_at.isoformat(), one.movement, one.transaction_key]
            yield [*head, None, None, one.currency, None, one.here_minor, None, one.kind]
