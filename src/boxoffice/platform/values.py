"""Value types that every module uses: typed text, times, and money."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from boxoffice.platform.text import LINE_PATTERN, PARAGRAPH_PATTERN

# A label without blanks, such as a seat id. Python's `$` also matches before a last line end, hence the
# look-ahead, which means nothing elsewhere.
_LABEL = r"^[^\x00-\x20\x7f]+$(?!\n)"


def _text(kind: str, chars_max: int, pattern: str, chars_min: int) -> Meta:
    """Describe a text that `http/api/body.py` normalizes.

    The lengths are those of the normal form. They and the pattern are for the OpenAPI document; the
    problem of a wrong text names the fault.
    """
    return Meta(
        extra={"text": kind, "chars_max": chars_max},
        extra_json_schema={"minLength": chars_min, "maxLength": chars_max, "pattern": pattern},
    )


Line = Annotated[str, _text("line", 200, LINE_PATTERN, 1)]
ShortLine = Annotated[str, _text("line", 40, LINE_PATTERN, 1)]
# Several lines.
Paragraph = Annotated[str, _text("paragraph", 10_000, PARAGRAPH_PATTERN, 0)]
Label = Annotated[str, Meta(min_length=1, max_length=128, pattern=_LABEL)]
# A time with its offset from UTC (RFC 3339).
Moment = Annotated[datetime, Meta(tz=True)]


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of an ISO 4217 currency."""

    amount: int
    currency: str
