"""What clients do to the shop."""

from faults.matrix import AnyRow

ROWS: tuple[AnyRow, ...] = ()
