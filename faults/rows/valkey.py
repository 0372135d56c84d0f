"""What is done to Valkey."""

from faults.matrix import AnyRow

ROWS: tuple[AnyRow, ...] = ()
