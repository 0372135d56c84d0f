"""What is kept of a notice, whether it concerns this shop, and when it is tried again. Pure."""

import hashlib
import re
from datetime import datetime, timedelta

from boxoffice.payments.providers.port import ProviderNotice
from boxoffice.platform.ids import parse_scoped

# What a provider's keys consist of; anything else would not be found and may not be text of PostgreSQL.
_KEY = re.compile(r"[!-~]{1,200}")
_KIND_UNKNOWN = "unknown"
_RETRY_FIRST = timedelta(seconds=5)
_RETRY_MAX = timedelta(minutes=30)


def key_of(text: str | None) -> str | None:
    """Return a key as it is; None for text that is no key of a provider."""
    return text if text is not None and _KEY.fullmatch(text) else None


def kind_of(notice: ProviderNotice) -> str:
    """Return the kind of a notice as text that can be kept."""
    return notice.kind if _KEY.fullmatch(notice.kind) else _KIND_UNKNOWN


def notice_id_of(notice: ProviderNotice, body: bytes) -> str:
    """Return the id of a notice; that of its content where the provider's is no key."""
    return key_of(notice.notice_id) or hashlib.sha256(body).hexdigest()


def is_ours(notice: ProviderNotice) -> bool:
    """Say whether a notice may concern this shop.

    An order id of another form is another shop's. A notice without an order is taken from the provider
    itself only: it names a payment, a refund or a dispute.
    """
    if notice.order_id is not None:
        return parse_scoped(notice.order_id) is not None
    named = key_of(notice.payment_key) or key_of(notice.dispute_key)
    return notice.grade == "signed" and named is not None


def retry_after(tries: int) -> timedelta:
    """Return the wait after a failed try, which grows from 5 s to 30 min."""
    factor: int = 2 ** min(tries, 12)
    return min(_RETRY_FIRST * factor, _RETRY_MAX)


def is_given_up(received_at: datetime, now: datetime, unknown_for_s: float) -> bool:
    """Say whether the order of a notice has been unknown for too long to appear any more."""
    return now - received_at >= timedelta(seconds=unknown_for_s)
