"""Settings of webhooks and mail."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.settings.values import Count, Milliseconds

Sender = Annotated[
    str,
    Meta(
        pattern=r"^([^<>@\x00-\x1f\x7f]{0,100}<[!-;=?-~]+@[A-Za-z0-9.-]+>|[!-;=?-~]+@[A-Za-z0-9.-]+)?$",
        description="an address as tickets@example.com, or Name <tickets@example.com>",
    ),
]
PublicUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[A-Za-z0-9.:\[\]_-]+(/[!-~]*)?)?$",
        description="the address of the pages as https://tickets.example.com, or empty",
    ),
]
Directory = Annotated[
    str,
    Meta(
        pattern=r"^(/[^\x00-\x1f\x7f]*)?$",
        description="the path of a directory from the root, or empty for none",
    ),
]


class NotificationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The messenger, outbound webhooks and mail."""

    messenger_interval_ms: Milliseconds = 200
    messenger_lease_ms: Milliseconds = 5_000
    webhook_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 10_000
    webhook_connections_max: Annotated[int, Meta(ge=1, le=10_000)] = 256
    webhook_connections_per_endpoint_max: Annotated[int, Meta(ge=1, le=100)] = 4
    webhook_answer_max_bytes: Annotated[int, Meta(ge=1, le=4_096)] = 1_024
    webhook_endpoints_per_organizer_max: Annotated[int, Meta(ge=1, le=1_000)] = 10
    webhook_rotation_s: Annotated[int, Meta(ge=60, le=2_592_000)] = 86_400
    webhook_history_s: Annotated[int, Meta(ge=604_800, le=31_536_000)] = 2_592_000
    # For tests and the demo: endpoints on this machine, also without TLS.
    webhook_loopback_allowed: bool = False
    # The address of the pages, for links in mail; empty: no links.
    public_url: PublicUrl = ""
    # Empty: mails stay queued, or go to the mailbox.
    smtp_url: str = ""
    smtp_starttls: Literal["required", "offered", "off"] = "required"
    smtp_timeout_ms: Annotated[int, Meta(ge=100, le=300_000)] = 30_000
    smtp_connections_max: Annotated[int, Meta(ge=1, le=100)] = 4
    mail_from: Sender = ""
    mail_language: Literal["ko", "en"] = "ko"
    mail_history_s: Annotated[int, Meta(ge=604_800, le=315_360_000)] = 7_776_000
    # A directory that keeps sent mail instead of an SMTP server; `boxoffice up` sets it for the demo.
    mailbox_dir: Directory = ""
    mailbox_mails_max: Count = 200
