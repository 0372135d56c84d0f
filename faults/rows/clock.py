"""What is done to the clocks."""

from faults.matrix import AnyRow

ROWS: tuple[AnyRow, ...] = ()
