"""What is done to PostgreSQL."""

from faults.matrix import AnyRow

ROWS: tuple[AnyRow, ...] = ()
