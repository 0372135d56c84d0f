"""CSV seat maps as spreadsheets write them: bytes in, rows of cells and the detected format out. Pure.

Spreadsheets write several encodings and delimiters, and empty cells around the data. The file does not
say which, so they are detected here and reported.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from typing import Literal, NoReturn

import msgspec

from boxoffice.errors import SeatMapInvalid
from boxoffice.platform.text import same_to_people

Encoding = Literal["utf-8", "utf-16le", "utf-16be", "cp949"]
Delimiter = Literal[",", ";", "\t"]

_LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]+")
_LINE_END = re.compile(r"\r\n|\r|\n")
# Bound on how much of a header is examined.
_HEADER_MAX = 10_000
_NAME_MAX = 40
_DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t")
# Characters of three and more bytes in UTF-8. A file with some before its first invalid byte is damaged
# UTF-8; decoded as CP949 it would yield other letters.
_LONG = re.compile("[\u0800-\U0010ffff]")


class CsvFormat(msgspec.Struct):
    """The detected format of a file.

    `ignored_rows` are rows of nothing but separators, `ignored_columns` empty columns at the right.
    """

    encoding: Encoding = "utf-8"
    delimiter: Delimiter = ","
    ignored_rows: int = 0
    ignored_columns: int = 0


class ErrorLocation:
    """How errors name a place in a seat map: a physical line of a CSV, or an index of a JSON list."""

    def __init__(self, member: str, word: str, first: int) -> None:
        self.member = member
        self.word = word
        self.first = first

    def refuse(self, at: int, complaint: str, **extra: object) -> NoReturn:
        """Raise `SeatMapInvalid` for the place `at`; a `reason` in `extra` is a stable code."""
        raise SeatMapInvalid(f"{self.word} {at}: {complaint}.", **{self.member: at}, **extra)


LINE = ErrorLocation("line", "Line", 1)
INDEX = ErrorLocation("index", "Seat at index", 0)


def rows_of(
    raw: bytes | str, columns: frozenset[str], detected: CsvFormat
) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the rows that are not empty, each with the line on which it starts.

    Cells are stripped, and empty cells right of the header's last name are dropped. `columns` are the
    allowed header names; `detected` is filled in. Raises `SeatMapInvalid` with `line`.
    """
    text = _decoded(raw, detected)
    found = _parsed(text, detected, columns)
    line, header = next(found, (1, []))
    width = len(_without_empty_end(header, 0))
    detected.ignored_columns = len(header) - width
    yield line, [_name(cell, columns) for cell in header[:width]]
    for line, cells in found:
        if not any(cells):
            detected.ignored_rows += 1
            continue
        kept = _without_empty_end(cells, width)
        detected.ignored_columns = max(detected.ignored_columns, len(cells) - len(kept))
        yield line, kept


def _name(cell: str, columns: frozenset[str]) -> str:
    """Return the column of a header such as "Section" or "Seat ID"; other cells unchanged."""
    if len(cell) > _NAME_MAX:
        return cell
    name = same_to_people(cell).replace(" ", "_")
    return name if name in columns else cell


def _without_empty_end(cells: list[str], least: int) -> list[str]:
    end = len(cells)
    while end > least and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _decoded(raw: bytes | str, detected: CsvFormat) -> str:
    text = raw if isinstance(raw, str) else _from_bytes(raw, detected)
    text = text.lstrip("\ufeff")
    head, nul, _ = text.partition("\x00")
    if nul:
        LINE.refuse(_line_of(head), "there is a NUL character", reason="control")
    return text


def _from_bytes(raw: bytes, detected: CsvFormat) -> str:
    wide = _utf16(raw)
    if wide is not None:
        detected.encoding = wide
        return _strictly(raw, wide, "UTF-16")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
    # By default Excel writes Korean as CP949.
    text = None if _LONG.search(before) else _from_cp949(raw)
    if text is None:
        LINE.refuse(_line_of(before), "the text is neither UTF-8 nor CP949", reason="not_utf8")
    detected.encoding = "cp949"
    return text


def _from_cp949(raw: bytes) -> str | None:
    try:
        return raw.decode("cp949")
    except UnicodeDecodeError:
        return None


def _utf16(raw: bytes) -> Encoding | None:
    """Detect UTF-16 by its byte order mark, else by the zero byte beside its first letter."""
    if raw.startswith(codecs.BOM_UTF16_LE) or (raw[1:2] == b"\0" != raw[:1]):
        return "utf-16le"
    if raw.startswith(codecs.BOM_UTF16_BE) or (raw[:1] == b"\0" != raw[1:2]):
        return "utf-16be"
    return None


def _strictly(raw: bytes, encoding: str, name: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode(encoding, "ignore")
        LINE.refuse(_line_of(before), f"the text is not {name}", reason="not_utf8")


def _line_of(before: str) -> int:
    return 1 + len(_LINE_END.findall(before))


def _parsed(
    text: str, detected: CsvFormat, columns: frozenset[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the physical line on which it starts."""
    found = _delimiter(text, columns)
    detected.delimiter = found
    reader = csv.reader(_lines(text), strict=True, delimiter=found)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            LINE.refuse(line, f"this is not CSV: {error}", reason="not_csv")
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        if cells not in ([], [""]):
            yield line, cells


def _lines(text: str) -> Iterator[str]:
    """Yield lines with their ends; `io.StringIO` would take four bytes a character."""
    return (found.group() for found in _LINE.finditer(text))


def _delimiter(text: str, columns: frozenset[str]) -> Delimiter:
    """Return the delimiter that yields the most known header names; a comma by default."""
    header = next((line for line in _lines(text) if line.strip()), "")

    def names(delimiter: Delimiter) -> int:
        cells = header[:_HEADER_MAX].split(delimiter)
        return sum(_name(cell.strip(' "\r\n\t'), columns) in columns for cell in cells)

    return max(_DELIMITERS, key=names)
