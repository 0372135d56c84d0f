"""What is done to money."""

from faults.matrix import AnyRow

ROWS: tuple[AnyRow, ...] = ()
