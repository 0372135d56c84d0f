"""Writes mails from facts: texts, HTML, calendar entries, and headers that hold one line. Pure."""

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import NamedTuple
from zoneinfo import ZoneInfo

from boxoffice.notifications.mail.store import (
    ClaimedMail,
    GuestFacts,
    ReceiptFacts,
    RefundFacts,
    SoldSeat,
)
from boxoffice.notifications.mail.texts import TEXTS
from boxoffice.order_numbers import rules as order_number
from boxoffice.platform.currencies import DECIMALS
from boxoffice.platform.ids import ScopedId

REFUND_FAILED = "refund_failed"
_PRODUCT = "-//boxoffice//tickets//EN"
# RFC 5545, section 3.1: lines of at most 75 octets.
_ICS_LINE_OCTETS = 75
_NOT_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Shop(NamedTuple):
    """The sender, the address of the pages (empty: no links), and the zone where a venue names none."""

    sender: str
    public_url: str
    zone: ZoneInfo

    @property
    def domain(self) -> str:
        """The domain of the sender."""
        return parseaddr(self.sender)[1].rpartition("@")[2]

    def zone_of(self, name: str | None) -> ZoneInfo:
        """Return the time zone of a venue."""
        return self.zone if name is None else ZoneInfo(name)


class Row(NamedTuple):
    """A line of a mail's table."""

    label: str
    values: Sequence[str]


def one_line(text: str) -> str:
    """Return a text without line ends and other controls, which would begin another header."""
    return " ".join(_NOT_A_LINE.sub(" ", text).split())


def money(amount_minor: int, currency: str) -> str:
    """Return an amount with the decimals of ISO 4217, as `KRW 165,000`."""
    decimals = DECIMALS.get(currency, 2)
    return f"{currency} {Decimal(amount_minor).scaleb(-decimals):,.{decimals}f}"


def local_time(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Return a time in the venue's zone."""
    texts, local = TEXTS[language], at.astimezone(zone)
    return texts["time"].format(
        weekday=texts["weekdays"].split()[local.weekday()],
        year=local.year,
        month=local.month,
        day=local.day,
        hour=local.hour,
        minute=local.minute,
        zone=zone_name(local),
    )


def zone_name(local: datetime) -> str:
    """Return the name of a time's zone as people write it: KST, or UTC+03 where it has no letters."""
    name = local.tzname() or ""
    return name if name.isalpha() else f"UTC{name}"


def receipt(mail: ClaimedMail, facts: ReceiptFacts, shop: Shop) -> EmailMessage:
    """Return the receipt of a payment with its tickets and a calendar entry."""
    texts, zone = TEXTS[mail.language], shop.zone_of(facts.time_zone)
    subject = texts["receipt_subject"].format(title=facts.title)
    seats = [_seat(seat, facts.currency, mail.language) for seat in facts.seats]
    fee_minor = sum(seat.fee_minor for seat in facts.seats)
    fee = [Row(texts["booking_fee"], [money(fee_minor, facts.currency)])] if fee_minor else []
    lines = [
        *order_row(facts.order_number, mail.language),
        *_performance(facts, zone, mail.language),
        Row(texts["seats"], seats),
        *fee,
        Row(texts["total"], [money(facts.amount_minor, facts.currency)]),
        Row(texts["paid_at"], [local_time(facts.paid_at, zone, mail.language)]),
    ]
    link = page_of(shop, ScopedId(mail.scope_id, facts.reservation_id))
    intro = texts["receipt_intro"].format(name=one_line(mail.name))
    message = empty_message(mail, shop, subject)
    fill(message, mail.language, intro, lines, link, [texts["calendar"], texts["sent_by"]])
    attach_calendar(message, _entry(mail, facts, zone, seats), shop)
    return message


def guest(mail: ClaimedMail, facts: GuestFacts, shop: Shop, codes: Sequence[bytes]) -> EmailMessage:
    """Return the mail with complimentary tickets; `codes` are their QR codes as PNG pictures."""
    texts, zone = TEXTS[mail.language], shop.zone_of(facts.time_zone)
    places = [place_of(seat, mail.language) for seat in facts.seats]
    lines = [
        *order_row(facts.order_number, mail.language),
        *_performance(facts, zone, mail.language),
        Row(texts["seats"], places),
    ]
    message = empty_message(mail, shop, texts["guest_subject"].format(title=facts.title))
    intro = texts["guest_intro"].format(name=one_line(mail.name))
    notes = [texts["guest_codes"], texts["calendar"], texts["sent_by"]]
    fill(message, mail.language, intro, lines, "", notes)
    for at, code in enumerate(codes, 1):
        message.add_attachment(code, "image", "png", filename=f"ticket-{at}.png")
    attach_calendar(message, _entry(mail, facts, zone, places), shop)
    return message


def _entry(
    mail: ClaimedMail, facts: ReceiptFacts, zone: ZoneInfo, seats: Sequence[str]
) -> "CalendarEntry":
    return CalendarEntry(
        reservation_id=ScopedId(mail.scope_id, facts.reservation_id),
        stamped_at=facts.paid_at,
        starts_at=facts.starts_at,
        zone=zone,
        title=facts.title,
        place=", ".join(filter(None, (facts.venue, facts.address))),
        description="\n".join([*order_line(facts.order_number, mail.language), *seats]),
    )


def order_row(number: str | None, language: str) -> list[Row]:
    """Return the line with the number of an order, none where nothing was confirmed."""
    text = order_number.shown(number)
    return [] if text is None else [Row(TEXTS[language]["order_number"], [text])]


def order_line(number: str | None, language: str) -> list[str]:
    """Return the same for a calendar."""
    return [f"{row.label}: {row.values[0]}" for row in order_row(number, language)]


def place_of(seat: SoldSeat, language: str) -> str:
    """Return a seat as people read it."""
    return TEXTS[language]["seat"].format(
        section=seat.section, row=seat.row, number=seat.number, grade=seat.grade
    )


def _performance(facts: ReceiptFacts, zone: ZoneInfo, language: str) -> list[Row]:
    texts = TEXTS[language]
    return [
        Row(texts["concert"], [facts.title]),
        Row(texts["artist"], [facts.artist]),
        Row(texts["venue"], [facts.venue, *([facts.address] if facts.address else [])]),
        *_doors(facts, zone, language),
        Row(texts["starts_at"], [local_time(facts.starts_at, zone, language)]),
    ]


def _doors(facts: ReceiptFacts, zone: ZoneInfo, language: str) -> list[Row]:
    if facts.doors_at is None:
        return []
    return [Row(TEXTS[language]["doors_at"], [local_time(facts.doors_at, zone, language)])]


def _seat(seat: SoldSeat, currency: str, language: str) -> str:
    text = place_of(seat, language)
    kind = seat.price_type_ko if language == "ko" else seat.price_type
    named = f"{text}, {one_line(kind)}" if kind else text
    return f"{named}: {money(seat.price_minor, currency)}"


def refund(mail: ClaimedMail, facts: RefundFacts, shop: Shop) -> EmailMessage:
    """Return the mail about a refund that was made, or that its provider has refused."""
    texts = TEXTS[mail.language]
    is_refused = mail.kind == REFUND_FAILED
    amount = money(facts.amount_minor, facts.currency)
    lines = [*order_row(facts.order_number, mail.language), Row(texts["amount"], [amount])]
    if facts.fee_minor:
        lines.append(Row(texts["fee"], [money(facts.fee_minor, facts.currency)]))
    if facts.title is not None:
        lines.append(Row(texts["concert"], [facts.title]))
        lines.append(Row(texts["tickets"], [str(facts.tickets)]))
    way = "to_wallet" if facts.destination == "wallet" else "to_provider"
    note = texts["by_operator" if is_refused else way]
    link = ""
    if facts.schedule_id is not None and facts.reservation_id is not None:
        link = page_of(shop, ScopedId(facts.schedule_id, facts.reservation_id))
    about = REFUND_FAILED if is_refused else "refund"
    intro = texts[f"{about}_intro"].format(name=one_line(mail.name))
    message = empty_message(mail, shop, texts[f"{about}_subject"].format(amount=amount))
    fill(message, mail.language, intro, lines, link, [note, texts["sent_by"]])
    return message


class CalendarEntry(NamedTuple):
    """A performance in a calendar; `sequence` orders the entries of one reservation."""

    reservation_id: ScopedId
    stamped_at: datetime
    starts_at: datetime
    zone: ZoneInfo
    title: str
    place: str
    description: str = ""
    sequence: int = 0
    is_cancelled: bool = False


def attach_calendar(message: EmailMessage, entry: CalendarEntry, shop: Shop) -> None:
    """Attach a calendar entry to a mail."""
    message.add_attachment(
        calendar(entry, shop),
        subtype="calendar",
        filename="performance.ics",
        params={"method": _method(entry)},
    )


def _method(entry: CalendarEntry) -> str:
    return "CANCEL" if entry.is_cancelled else "PUBLISH"


def calendar(entry: CalendarEntry, shop: Shop) -> str:
    """Return a calendar entry (RFC 5545) of the performance, in the time zone of the venue."""
    local = entry.starts_at.astimezone(entry.zone)
    offset = local.utcoffset() or timedelta()
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{_PRODUCT}",
        f"METHOD:{_method(entry)}",
        "BEGIN:VTIMEZONE",
        f"TZID:{entry.zone.key}",
        # The offset at this performance; the entry has no other time.
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        f"TZOFFSETFROM:{_offset(offset)}",
        f"TZOFFSETTO:{_offset(offset)}",
        "END:STANDARD",
        "END:VTIMEZONE",
        "BEGIN:VEVENT",
        f"UID:{entry.reservation_id}@{shop.domain}",
        f"SEQUENCE:{entry.sequence}",
        f"DTSTAMP:{entry.stamped_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART;TZID={entry.zone.key}:{local:%Y%m%dT%H%M%S}",
        f"SUMMARY:{_escaped(entry.title)}",
        f"LOCATION:{_escaped(entry.place)}",
        f"DESCRIPTION:{_escaped(entry.description)}",
        *(["STATUS:CANCELLED"] if entry.is_cancelled else []),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def empty_message(mail: ClaimedMail, shop: Shop, subject: str) -> EmailMessage:
    """Return a mail with its headers."""
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(shop.sender)
    message["From"] = Address(one_line(name), addr_spec=address)
    # guard: mail_name_is_one_line => message["To"] = f"{mail.name} <{mail.to_address}>"
    message["To"] = Address(one_line(mail.name), addr_spec=mail.to_address)
    # guard: mail_subject_is_one_line => message["Subject"] = subject
    message["Subject"] = one_line(subject)
    # The time of the cause: a repetition is the same mail.
    message["Date"] = format_datetime(mail.queued_at.astimezone(UTC))
    message["Message-ID"] = f"<{mail.message_id}>"
    message["Content-Language"] = mail.language
    message["Auto-Submitted"] = "auto-generated"
    return message


def fill(
    message: EmailMessage,
    language: str,
    intro: str,
    lines: Sequence[Row],
    link: str,
    notes: Sequence[str],
    label: str = "",
) -> None:
    """Write the text and its twin in HTML; `label` is that of the link."""
    label = label or TEXTS[language]["link"]
    table = "\n".join(f"{one.label}: " + "\n  ".join(one.values) for one in lines)
    parts = [intro, table, *([f"{label}:\n{link}"] if link else []), *notes]
    message.set_content("\n\n".join(parts) + "\n", charset="utf-8")
    rows = "".join(
        f"<tr><th align=left valign=top>{_html(one.label)}</th>"
        f"<td>{'<br>'.join(map(_html, one.values))}</td></tr>"
        for one in lines
    )
    anchor = f'<p><a href="{_html(link)}">{_html(label)}</a></p>' if link else ""
    page = (
        f'<!DOCTYPE html><html lang="{language}"><meta charset="utf-8"><body>'
        f"<p>{_html(intro)}</p><table cellpadding=4>{rows}</table>{anchor}"
        + "".join(f"<p>{_html(note)}</p>" for note in notes)
        + "</body></html>"
    )
    message.add_alternative(page, subtype="html", charset="utf-8")


def _html(text: str) -> str:
    return html.escape(text, quote=True)


def page_of(shop: Shop, reservation_id: ScopedId) -> str:
    """Return the address of a reservation's page, empty for a shop without pages."""
    return f"{shop.public_url}/reservations/{reservation_id}" if shop.public_url else ""


def _offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _escaped(text: str) -> str:
    """Return a text value (RFC 5545, section 3.3.11)."""
    lines = [one_line(line) for line in text.split("\n")]
    text = "\n".join(lines)
    for sign in ("\\", ";", ","):
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    """Return a line broken at 75 octets, and never within a character."""
    parts, octets = [""], 0
    for char in line:
        width = len(char.encode())
        if octets + width > _ICS_LINE_OCTETS:
            parts.append("")
            octets = 1
        parts[-1] += char
        octets += width
    return "\r\n ".join(parts)
