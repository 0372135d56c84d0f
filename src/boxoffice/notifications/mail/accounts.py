"""Writes mails about accounts: links that verify, reset or change, and what has changed. Pure."""

from collections.abc import Mapping
from email.message import EmailMessage

import msgspec

from boxoffice.notifications.mail.rules import Row, Shop, empty_message, fill, one_line
from boxoffice.notifications.mail.store import ClaimedMail, LinkFacts
from boxoffice.notifications.mail.texts import TEXTS

# The page of each kind of link.
_PAGES = {
    "verify_email": "/account/confirm",
    "change_email": "/account/confirm",
    "reset_password": "/account/reset",
}
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "verify_email_subject": "Confirm your e-mail address",
        "verify_email_intro": "Confirm that this address is yours.",
        "verify_email_label": "Confirm the address",
        "change_email_subject": "Confirm your new e-mail address",
        "change_email_intro": "Confirm that this is the new address of your account.",
        "change_email_label": "Use this address",
        "reset_password_subject": "Set a new password",
        "reset_password_intro": "You can set a new password for your account here.",
        "reset_password_label": "Set a new password",
        "password_changed_subject": "Your password was changed",
        "password_changed_intro": "Hello {name}, the password of your account was changed. "
        "All other devices are logged out.",
        "email_changed_subject": "The e-mail address of your account was changed",
        "email_changed_intro": "Hello {name}, your account has another e-mail address now. "
        "Mail no longer comes to this one.",
        "account": "Account",
        "valid": "The link is valid once, for {minutes} minutes.",
        "not_you": "If you did not ask for this, ignore this mail. Nothing changes.",
        "was_not_you": "If this was not you, set a new password at once: {link}",
        "address_was_not_you": "If this was not you, contact us at once.",
    },
    "ko": {
        "verify_email_subject": "이메일 주소를 확인해 주세요",
        "verify_email_intro": "본인의 이메일 주소인지 확인해 주세요.",
        "verify_email_label": "이메일 주소 확인하기",
        "change_email_subject": "새 이메일 주소를 확인해 주세요",
        "change_email_intro": "계정의 새 이메일 주소인지 확인해 주세요.",
        "change_email_label": "이 주소로 변경하기",
        "reset_password_subject": "비밀번호 재설정",
        "reset_password_intro": "아래 링크에서 새 비밀번호를 설정해 주세요.",
        "reset_password_label": "새 비밀번호 설정하기",
        "password_changed_subject": "비밀번호가 변경되었습니다",
        "password_changed_intro": "{name} 님, 계정의 비밀번호가 변경되었습니다. "
        "다른 기기에서는 모두 로그아웃되었습니다.",
        "email_changed_subject": "계정의 이메일 주소가 변경되었습니다",
        "email_changed_intro": "{name} 님, 계정의 이메일 주소가 변경되었습니다. "
        "이제 이 주소로는 메일이 발송되지 않습니다.",
        "account": "계정",
        "valid": "링크는 {minutes}분 동안 한 번만 사용할 수 있습니다.",
        "not_you": "요청하지 않으셨다면 이 메일을 무시해 주세요. 변경되는 것은 없습니다.",
        "was_not_you": "본인이 변경하지 않았다면 바로 새 비밀번호를 설정해 주세요: {link}",
        "address_was_not_you": "본인이 변경하지 않았다면 바로 고객센터로 문의해 주세요.",
    },
}


def link(mail: ClaimedMail, facts: LinkFacts, token: str, shop: Shop) -> EmailMessage:
    """Return a mail with a link, to the address that it is about; the fragment has the token."""
    language = facts.language or mail.language
    # Without the name: a sign-up could send a text of its own to any address.
    mail = msgspec.structs.replace(mail, to_address=facts.email, name="", language=language)
    texts, kind = _TEXTS[language], facts.purpose
    # A fragment is in no server's log.
    address = f"{shop.public_url}{_PAGES[kind]}#{token}" if shop.public_url else token
    minutes = max(1, facts.ttl_s // 60)
    notes = [texts["valid"].format(minutes=minutes), texts["not_you"], TEXTS[language]["sent_by"]]
    return _written(mail, shop, kind, address, notes, texts[f"{kind}_label"])


def password_changed(mail: ClaimedMail, shop: Shop) -> EmailMessage:
    """Return the mail that a password was changed."""
    texts = _TEXTS[mail.language]
    notes = [TEXTS[mail.language]["sent_by"]]
    if shop.public_url:
        notes.insert(0, texts["was_not_you"].format(link=f"{shop.public_url}/account/forgot"))
    return _written(mail, shop, "password_changed", "", notes)


def email_changed(mail: ClaimedMail, address_before: str, shop: Shop) -> EmailMessage:
    """Return the mail to an old address that another one has taken its place."""
    mail = msgspec.structs.replace(mail, to_address=address_before)
    texts = _TEXTS[mail.language]
    notes = [texts["address_was_not_you"], TEXTS[mail.language]["sent_by"]]
    return _written(mail, shop, "email_changed", "", notes)


def _written(
    mail: ClaimedMail, shop: Shop, kind: str, address: str, notes: list[str], label: str = ""
) -> EmailMessage:
    texts = _TEXTS[mail.language]
    message = empty_message(mail, shop, texts[f"{kind}_subject"])
    intro = texts[f"{kind}_intro"].format(name=one_line(mail.name))
    lines = [Row(texts["account"], [mail.to_address])]
    fill(message, mail.language, intro, lines, address, notes, label=label)
    return message
