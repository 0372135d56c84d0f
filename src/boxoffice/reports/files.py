"""Makes files of reports, a part at a time: the whole file is on disk and never in memory.

The database is read at its own pace into a temporary file, so a slow client keeps no snapshot open.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import IO, Literal

from boxoffice.errors import Invalid
from boxoffice.platform.spreadsheets.files import CsvFile, Row, SpreadsheetFile, XlsxFile

Format = Literal["csv", "xlsx"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


async def make_file(
    columns: Sequence[str],
    parts: AsyncGenerator[Sequence[Row]],
    kind: Format,
    rows_max: int,
) -> IO[bytes]:
    """Return a temporary file with all rows, positioned at its end; who gets it closes it.

    Raises `Invalid` above `rows_max`, and what `parts` raises. Threads write, so that the event loop
    goes on.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with aclosing(parts):
                await _write(_opened(file, columns, kind, folder), parts, rows_max)
    except BaseException:
        file.close()
        raise
    return file


def _opened(file: IO[bytes], columns: Sequence[str], kind: Format, folder: str) -> SpreadsheetFile:
    return CsvFile(file, columns) if kind == "csv" else XlsxFile(file, columns, str(Path(folder)))


async def _write(out: SpreadsheetFile, parts: AsyncGenerator[Sequence[Row]], rows_max: int) -> None:
    count = 0
    async for rows in parts:
        count += len(rows)
        # guard: files_are_bounded => if False:
        if count > rows_max:
            raise Invalid(f"A file may have {rows_max} rows.")
        await asyncio.to_thread(out.write, rows)
    await asyncio.to_thread(out.close)
