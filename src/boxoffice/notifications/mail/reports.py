"""Writes mails with the totals of a report. Pure, with texts of its own; no personal data of buyers."""

from collections.abc import Mapping
from datetime import date
from email.message import EmailMessage
from urllib.parse import urlencode

from boxoffice.notifications.mail.rules import Row, Shop, empty_message, fill, money, one_line
from boxoffice.notifications.mail.store import ClaimedMail, ReportFacts
from boxoffice.notifications.mail.texts import TEXTS

# The figures of a mail in their order; counts of seats have no currency.
_FIGURES = {
    "sales": (
        "seats_sold", "gross", "discounts", "booking_fees", "seats_returned", "refunds",
        "cancellation_fees", "compensation", "disputes_lost", "net", "complimentary",
    ),
    "settlement": (
        "opening", "sales", "booking_fees", "refunds", "cancellation_fees", "compensation",
        "disputes_withdrawn", "disputes_returned", "collected_at_box_office", "closing",
    ),
}  # fmt: skip
_COUNTS = {"seats_sold", "seats_returned", "complimentary"}
# What is said also when it is zero.
_ALWAYS = {"seats_sold", "gross", "net", "opening", "closing"}

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "sales_subject": "Sales of {organization}, {period}",
        "settlement_subject": "Settlement of {organization}, {period}",
        "sales_intro": "Hello {name}, these are the sales of {organization}.",
        "settlement_intro": "Hello {name}, this is what is owed to {organization}.",
        "organization": "Organization",
        "period": "Period",
        "nothing": "Nothing was sold or returned.",
        "open": "Open the report",
        "stop": "You chose this mail on the page of the report, and can end it there.",
        "day": "{year}-{month:02}-{day:02}",
        "seats_sold": "Seats sold",
        "gross": "Gross",
        "discounts": "Discounts",
        "booking_fees": "Booking fees",
        "seats_returned": "Seats returned",
        "refunds": "Refunds",
        "cancellation_fees": "Cancellation fees kept",
        "compensation": "Compensation",
        "disputes_lost": "Disputes lost",
        "net": "Net",
        "complimentary": "Complimentary tickets",
        "opening": "Owed before",
        "sales": "Sales",
        "disputes_withdrawn": "Withdrawn for disputes",
        "disputes_returned": "Returned from disputes",
        "collected_at_box_office": "Collected at the box office",
        "closing": "Owed now",
    },
    "ko": {
        "sales_subject": "{organization} 판매 보고, {period}",
        "settlement_subject": "{organization} 정산 보고, {period}",
        "sales_intro": "{name} 님, {organization}의 판매 현황입니다.",
        "settlement_intro": "{name} 님, {organization}에 정산할 금액입니다.",
        "organization": "단체",
        "period": "기간",
        "nothing": "판매되거나 환불된 좌석이 없습니다.",
        "open": "보고서 열기",
        "stop": "보고서 화면에서 신청하신 메일이며, 그곳에서 해지하실 수 있습니다.",
        "day": "{year}년 {month}월 {day}일",
        "seats_sold": "판매 좌석",
        "gross": "총 판매액",
        "discounts": "할인",
        "booking_fees": "예매 수수료",
        "seats_returned": "환불 좌석",
        "refunds": "환불액",
        "cancellation_fees": "취소 수수료",
        "compensation": "배상금",
        "disputes_lost": "패소한 이의 제기",
        "net": "순 판매액",
        "complimentary": "초대권",
        "opening": "이전 정산 잔액",
        "sales": "판매",
        "disputes_withdrawn": "이의 제기로 출금",
        "disputes_returned": "이의 제기에서 반환",
        "collected_at_box_office": "매표소 수령액",
        "closing": "현재 정산 잔액",
    },
}


def report_mail(mail: ClaimedMail, facts: ReportFacts, shop: Shop) -> EmailMessage:
    """Return the mail about a period of a report."""
    texts = _TEXTS[mail.language]
    names = {
        "organization": one_line(facts.organization_name),
        "period": _period(facts, mail.language),
        "name": one_line(mail.name),
    }
    lines = [
        Row(texts["organization"], [names["organization"]]),
        Row(texts["period"], [names["period"]]),
        *_figures(facts, mail.language),
    ]
    message = empty_message(mail, shop, texts[f"{facts.report}_subject"].format(**names))
    notes = [*([] if facts.totals else [texts["nothing"]]), texts["stop"]]
    intro = texts[f"{facts.report}_intro"].format(**names)
    notes.append(TEXTS[mail.language]["sent_by"])
    fill(message, mail.language, intro, lines, _link(mail, facts, shop), notes, label=texts["open"])
    return message


def _figures(facts: ReportFacts, language: str) -> list[Row]:
    texts, rows = _TEXTS[language], []
    for total in facts.totals:
        for name in _FIGURES[facts.report]:
            value = total[name]
            if value or name in _ALWAYS:
                shown = f"{value:,}" if name in _COUNTS else money(value, total["currency"])
                rows.append(Row(texts[name], [shown]))
    return rows


def _period(facts: ReportFacts, language: str) -> str:
    days = [_day(one, language) for one in (facts.first_day, facts.last_day)]
    return days[0] if days[0] == days[1] else " – ".join(days)


def _day(one: date, language: str) -> str:
    return _TEXTS[language]["day"].format(year=one.year, month=one.month, day=one.day)


def _link(mail: ClaimedMail, facts: ReportFacts, shop: Shop) -> str:
    """Return the address of the report's page; `scope_id` of the mail is the organization."""
    if not shop.public_url:
        return ""
    query = {
        "report": facts.report,
        "since": facts.first_day.isoformat(),
        "until": facts.last_day.isoformat(),
        "organization_id": str(mail.scope_id),
    }
    return f"{shop.public_url}/organizer/reports?{urlencode(query)}"
