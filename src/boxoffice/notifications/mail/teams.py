"""Writes mails about invitations and applications of organizations. Pure, with texts of its own."""

from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage

import msgspec

from boxoffice.notifications.mail.rules import Row, Shop, empty_message, fill, local_time, one_line
from boxoffice.notifications.mail.store import ClaimedMail, DecisionFacts, InvitationFacts
from boxoffice.notifications.mail.texts import TEXTS

_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "invitation_subject": "{organization} invites you to its team",
        "invitation_intro": "Hello, {inviter} invites you to join {organization}.",
        "organization": "Organization",
        "role": "Role",
        "until": "Valid until",
        "accept": "Accept the invitation",
        "once": "The link is valid once, for an account with this address.",
        "not_you": "If you expect no invitation, ignore this mail.",
        "approved_subject": "{organization} can sell tickets now",
        "approved_intro": "Hello {name}, your application was approved. You own {organization}.",
        "console": "Open the console",
        "rejected_subject": "Your application for {organization}",
        "rejected_intro": "Hello {name}, your application was not approved. You may apply again.",
        "reason": "Reason",
        "owner": "Owner",
        "manager": "Manager",
        "box_office": "Box office",
        "door": "Door",
        "read_only": "Read-only",
    },
    "ko": {
        "invitation_subject": "{organization} 팀 초대",
        "invitation_intro": "{inviter} 님이 {organization} 팀에 초대했습니다.",
        "organization": "단체",
        "role": "역할",
        "until": "유효 기간",
        "accept": "초대 수락하기",
        "once": "이 주소로 가입한 계정으로 한 번만 사용할 수 있는 링크입니다.",
        "not_you": "초대를 예상하지 않으셨다면 이 메일을 무시해 주세요.",
        "approved_subject": "{organization} 티켓 판매가 승인되었습니다",
        "approved_intro": "{name} 님, 신청이 승인되었습니다. {organization}의 소유자가 되셨습니다.",
        "console": "관리 화면 열기",
        "rejected_subject": "{organization} 판매자 신청 결과",
        "rejected_intro": "{name} 님, 신청이 승인되지 않았습니다. 다시 신청하실 수 있습니다.",
        "reason": "사유",
        "owner": "소유자",
        "manager": "관리자",
        "box_office": "매표소",
        "door": "입장 확인",
        "read_only": "조회 전용",
    },
}


def invitation(mail: ClaimedMail, facts: InvitationFacts, token: str, shop: Shop) -> EmailMessage:
    """Return an invitation, to its address and in its language; the link has the token."""
    mail = msgspec.structs.replace(mail, to_address=facts.email, name="", language=facts.language)
    texts = _TEXTS[mail.language]
    organization = one_line(facts.organization_name)
    lines = [
        Row(texts["organization"], [organization]),
        Row(texts["role"], [texts[facts.role]]),
        Row(texts["until"], [_moment(facts.expires_at, shop, mail.language)]),
    ]
    # A fragment is in no server's log.
    link = f"{shop.public_url}/organizer/invitation#{token}" if shop.public_url else token
    intro = texts["invitation_intro"].format(
        inviter=one_line(facts.inviter_name), organization=organization
    )
    message = empty_message(
        mail, shop, texts["invitation_subject"].format(organization=organization)
    )
    notes = [texts["once"], texts["not_you"], TEXTS[mail.language]["sent_by"]]
    fill(message, mail.language, intro, lines, link, notes, label=texts["accept"])
    return message


def decision(mail: ClaimedMail, facts: DecisionFacts, shop: Shop) -> EmailMessage:
    """Return the mail about a decided application."""
    texts, is_approved = _TEXTS[mail.language], facts.state == "APPROVED"
    kind = "approved" if is_approved else "rejected"
    organization = one_line(facts.organization_name)
    lines = [Row(texts["organization"], [organization])]
    if not is_approved:
        lines.append(Row(texts["reason"], [one_line(facts.reason)]))
    link = f"{shop.public_url}/organizer" if is_approved and shop.public_url else ""
    intro = texts[f"{kind}_intro"].format(name=one_line(mail.name), organization=organization)
    message = empty_message(mail, shop, texts[f"{kind}_subject"].format(organization=organization))
    notes = [TEXTS[mail.language]["sent_by"]]
    fill(message, mail.language, intro, lines, link, notes, label=texts["console"])
    return message


def _moment(at: datetime, shop: Shop, language: str) -> str:
    return local_time(at, shop.zone, language)
