"""Files for spreadsheets, written row by row: CSV (RFC 4180) and XLSX (ECMA-376).

A spreadsheet computes text that looks like a formula. In CSV such text is quoted with an apostrophe;
XLSX says of each cell that it is text.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import IO, Protocol

from boxoffice.platform.currencies import DECIMALS

# Excel computes the wide forms of Chinese, Japanese and Korean keyboards, too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Excel takes a file without this mark for the encoding of its system.
_BYTE_ORDER_MARK = "\ufeff"

Cell = str | int | Decimal | None
Row = Sequence[Cell]


class SpreadsheetFile(Protocol):
    """A file to which rows are added; it is complete after `close`, which leaves the file open."""

    def write(self, rows: Iterable[Row]) -> None: ...
    def close(self) -> None: ...


def harmless(cell: object) -> object:
    """Return a cell of a CSV file that no spreadsheet computes; the writer makes None empty."""
    # guard: cells_carry_no_formula: cell.startswith(_FORMULA) => False
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def major(amount_minor: int, currency: str) -> Decimal:
    """Return an amount in units of its currency, with the decimals of ISO 4217."""
    return Decimal(amount_minor).scaleb(-DECIMALS.get(currency, 2))


class CsvFile:
    """Text in UTF-8 with a byte order mark, as Excel expects it."""

    def __init__(self, file: IO[bytes], columns: Sequence[str]) -> None:
        self._file = file
        self._file.write(_BYTE_ORDER_MARK.encode())
        self.write([columns])

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerows([harmless(cell) for cell in row] for row in rows)
        self._file.write(text.getvalue().encode())

    def close(self) -> None:
        """Complete the file."""
        self._file.flush()


class XlsxFile:
    """A workbook of one sheet; each row is on disk before the next one, in the folder `folder`."""

    def __init__(self, file: IO[bytes], columns: Sequence[str], folder: str) -> None:
        # Loaded by an export only.
        from xlsxwriter import Workbook  # noqa: PLC0415 — costs time

        self._book = Workbook(file, {"constant_memory": True, "tmpdir": folder})
        self._sheet = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._at = 0
        self.write([columns])

    def write(self, rows: Iterable[Row]) -> None:
        """Add rows; text is text, whatever it looks like."""
        for row in rows:
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    self._sheet.write_string(self._at, column, cell)
                elif cell is not None:
                    self._sheet.write_number(self._at, column, cell)
            self._at += 1

    def close(self) -> None:
        """Complete the file."""
        self._book.close()
