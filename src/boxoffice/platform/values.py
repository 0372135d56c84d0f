"""Values that every room speaks of: text that people type, moments, and money."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

# One line of visible text: control characters (NUL among them, which PostgreSQL cannot store) are out,
# and so is a line of nothing but spaces. Python's `$` also matches before a last line end, hence the
# look-ahead, which means nothing elsewhere.
_LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$(?!\n)"
# Several lines: tab and line ends are in.
_PARAGRAPH = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
# A label without blanks, such as a seat id.
_LABEL = r"^[^\x00-\x20\x7f]+$(?!\n)"

Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=_LINE)]
ShortLine = Annotated[str, Meta(min_length=1, max_length=40, pattern=_LINE)]
Paragraph = Annotated[str, Meta(max_length=10_000, pattern=_PARAGRAPH)]
Label = Annotated[str, Meta(min_length=1, max_length=128, pattern=_LABEL)]
# A time with its offset from UTC (RFC 3339).
Moment = Annotated[datetime, Meta(tz=True)]


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount: int
    currency: str
