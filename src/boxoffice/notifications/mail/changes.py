"""Writes mails about performances: changes of them, and seats that a waiting list offers. Pure."""

from collections.abc import Iterator
from email.message import EmailMessage
from uuid import UUID
from zoneinfo import ZoneInfo

from boxoffice.notifications.mail.rules import (
    CalendarEntry,
    Row,
    Shop,
    attach_calendar,
    empty_message,
    fill,
    local_time,
    money,
    one_line,
    order_line,
    order_row,
    page_of,
    place_of,
)
from boxoffice.notifications.mail.store import ChangeFacts, ClaimedMail, SeatOfferFacts
from boxoffice.notifications.mail.texts import TEXTS
from boxoffice.platform.ids import ScopedId

_CANCELLED = "CANCELLED"


def schedule_change(mail: ClaimedMail, facts: ChangeFacts, shop: Shop) -> EmailMessage:
    """Return the mail about a change, for a buyer, a guest, or a person who holds seats."""
    texts, zone = TEXTS[mail.language], shop.zone_of(facts.time_zone)
    kind = f"schedule_{facts.kind.lower()}"
    message = empty_message(mail, shop, texts[f"{kind}_subject"].format(title=facts.title))
    intro = texts[f"{kind}_intro"].format(name=one_line(mail.name))
    link = ""
    # guard: guest_gets_no_page_of_an_account => if facts.reservation_id is not None:
    if facts.reservation_id is not None and not facts.is_guest:
        link = page_of(shop, ScopedId(mail.scope_id, facts.reservation_id))
    rows = list(_rows(facts, zone, mail.language))
    notes = [*_notes(facts, zone, mail.language), texts["sent_by"]]
    fill(message, mail.language, intro, rows, link, notes, label=texts["order"])
    if facts.is_paid and facts.reservation_id is not None:
        attach_calendar(message, _entry(mail, facts, zone, facts.reservation_id), shop)
    return message


def seat_offer(mail: ClaimedMail, facts: SeatOfferFacts, shop: Shop) -> EmailMessage:
    """Return the mail about an offer, with the page on which its hold is paid."""
    texts, zone = TEXTS[mail.language], shop.zone_of(facts.time_zone)
    until = local_time(facts.expires_at, zone, mail.language)
    subject = texts["waiting_list_subject"].format(title=facts.title, until=until)
    rows = [
        Row(texts["concert"], [facts.title]),
        Row(texts["venue"], [facts.venue]),
        Row(texts["starts_at"], [local_time(facts.starts_at, zone, mail.language)]),
        Row(texts["seats"], [place_of(seat, mail.language) for seat in facts.seats]),
        Row(texts["amount_due"], [money(facts.amount_minor, facts.currency)]),
        Row(texts["held_until"], [until]),
    ]
    message = empty_message(mail, shop, subject)
    intro = texts["waiting_list_intro"].format(name=one_line(mail.name))
    link = page_of(shop, ScopedId(mail.scope_id, mail.subject_id))
    notes = [texts["waiting_list_next"], texts["sent_by"]]
    fill(message, mail.language, intro, rows, link, notes, label=texts["pay_now"])
    return message


def _rows(facts: ChangeFacts, zone: ZoneInfo, language: str) -> Iterator[Row]:
    texts = TEXTS[language]
    before = local_time(facts.starts_before, zone, language)
    after = local_time(facts.starts_after, zone, language)
    yield from order_row(facts.order_number, language)
    yield Row(texts["concert"], [facts.title])
    yield Row(texts["venue"], list(_changed(facts.venue_before, facts.venue_after, language)))
    yield Row(texts["starts_at"], list(_changed(before, after, language)))
    if facts.reason:
        yield Row(texts["reason"], [facts.reason])


def _changed(before: str, after: str, language: str) -> Iterator[str]:
    yield after
    if before != after:
        yield TEXTS[language]["instead_of"].format(before=before)


def _notes(facts: ChangeFacts, zone: ZoneInfo, language: str) -> Iterator[str]:
    texts = TEXTS[language]
    # guard: guest_is_promised_no_money => if False:
    if facts.is_guest:
        yield texts["tickets_are_void" if facts.kind == _CANCELLED else "tickets_stay"]
        return
    if facts.kind == _CANCELLED:
        yield texts["all_comes_back" if facts.is_paid else "hold_is_released"]
        if facts.is_paid and facts.with_compensation:
            yield texts["compensation_too"]
        return
    yield texts["tickets_stay" if facts.is_paid else "hold_stays"]
    if facts.is_paid and facts.refundable_until is not None:
        until = local_time(facts.refundable_until, zone, language)
        yield texts["refundable_until"].format(until=until)


def _entry(
    mail: ClaimedMail, facts: ChangeFacts, zone: ZoneInfo, reservation_id: UUID
) -> CalendarEntry:
    return CalendarEntry(
        reservation_id=ScopedId(mail.scope_id, reservation_id),
        stamped_at=facts.created_at,
        starts_at=facts.starts_after,
        zone=zone,
        title=facts.title,
        place=facts.venue_after,
        description="\n".join(order_line(facts.order_number, mail.language)),
        sequence=facts.version,
        is_cancelled=facts.kind == _CANCELLED,
    )
