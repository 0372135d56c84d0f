"""Seat maps as spreadsheets write them: bytes in, rows of cells out, and what was assumed. Pure.

Programs write CSV in several encodings and with several separators, and leave empty cells around what
was typed. None of that is said in the file, so it is found out here, and told.
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
# A header beyond that is none; how much of it is looked at does not depend on who sends it.
_HEADER_MAX = 10_000
_NAME_MAX = 40
_DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t")
# Three bytes and more of UTF-8: where some came before what is none, the rest is damaged UTF-8. Read as
# CP949 it would be other letters.
_LONG = re.compile("[\u0800-\U0010ffff]")


class Assumed(msgspec.Struct):
    """What a file does not say: how it is encoded, what separates its fields, what means nothing in it.

    `ignored_rows` are rows of nothing but separators, `ignored_columns` empty columns at the right.
    """

    encoding: Encoding = "utf-8"
    delimiter: Delimiter = ","
    ignored_rows: int = 0
    ignored_columns: int = 0


class Where:
    """A place in a seat map that errors name: a physical line of a CSV, or an index of a JSON list."""

    def __init__(self, member: str, word: str, first: int) -> None:
        self.member = member
        self.word = word
        self.first = first

    def refuse(self, at: int, complaint: str, **extra: object) -> NoReturn:
        """Raise `SeatMapInvalid` about the place `at`; a `reason` in `extra` is a stable word."""
        raise SeatMapInvalid(f"{self.word} {at}: {complaint}.", **{self.member: at}, **extra)


LINE = Where("line", "Line", 1)
INDEX = Where("index", "Seat at index", 0)


def rows_of(
    raw: bytes | str, columns: frozenset[str], assumed: Assumed
) -> Iterator[tuple[int, list[str]]]:
    """Yield the header and the rows with something in them, each with the line on which it starts.

    Cells have no blanks around them, and rows no empty cells right of the header's last name.
    `columns` are the names that a header may have. `assumed` is filled in on the way. Raises
    `SeatMapInvalid` with `line`.
    """
    text = _decoded(raw, assumed)
    found = _parsed(text, assumed, columns)
    line, header = next(found, (1, []))
    width = len(_without_empty_end(header, 0))
    assumed.ignored_columns = len(header) - width
    yield line, [_name(cell, columns) for cell in header[:width]]
    for line, cells in found:
        if not any(cells):
            assumed.ignored_rows += 1
            continue
        kept = _without_empty_end(cells, width)
        assumed.ignored_columns = max(assumed.ignored_columns, len(cells) - len(kept))
        yield line, kept


def _name(cell: str, columns: frozenset[str]) -> str:
    """Return the column that people mean, as in "Section" or "Seat ID", else the cell as it is."""
    if len(cell) > _NAME_MAX:
        return cell
    name = same_to_people(cell).replace(" ", "_")
    return name if name in columns else cell


def _without_empty_end(cells: list[str], least: int) -> list[str]:
    end = len(cells)
    while end > least and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _decoded(raw: bytes | str, assumed: Assumed) -> str:
    text = raw if isinstance(raw, str) else _from_bytes(raw, assumed)
    text = text.lstrip("\ufeff")
    head, nul, _ = text.partition("\x00")
    if nul:
        LINE.refuse(_line_of(head), "there is a NUL character", reason="control")
    return text


def _from_bytes(raw: bytes, assumed: Assumed) -> str:
    wide = _utf16(raw)
    if wide is not None:
        assumed.encoding = wide
        return _strictly(raw, wide, "UTF-16")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8")
    # Excel writes Korean as CP949 unless it is told otherwise.
    text = None if _LONG.search(before) else _from_cp949(raw)
    if text is None:
        LINE.refuse(_line_of(before), "the text is neither UTF-8 nor CP949", reason="not_utf8")
    assumed.encoding = "cp949"
    return text


def _from_cp949(raw: bytes) -> str | None:
    try:
        return raw.decode("cp949")
    except UnicodeDecodeError:
        return None


def _utf16(raw: bytes) -> Encoding | None:
    """Return which UTF-16 a file is in: by its mark, else by the zero beside its first letter."""
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
    text: str, assumed: Assumed, columns: frozenset[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the physical line on which it starts."""
    found = _delimiter(text, columns)
    assumed.delimiter = found
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
    """Yield the lines with their ends, as io.StringIO does, which takes four bytes a character."""
    return (found.group() for found in _LINE.finditer(text))


def _delimiter(text: str, columns: frozenset[str]) -> Delimiter:
    """Return what separates the names of the header; a comma where that cannot be said."""
    header = next((line for line in _lines(text) if line.strip()), "")

    def names(delimiter: Delimiter) -> int:
        cells = header[:_HEADER_MAX].split(delimiter)
        return sum(_name(cell.strip(' "\r\n\t'), columns) in columns for cell in cells)

    return max(_DELIMITERS, key=names)
