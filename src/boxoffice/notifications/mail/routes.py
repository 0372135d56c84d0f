"""The language of a person's mail, and the demo's mailbox."""

import asyncio
import contextlib
import hashlib
import html
from base64 import b64encode
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from boxoffice.errors import NotFound, OutcomeUnknown
from boxoffice.http.api.health import is_from_here
from boxoffice.http.api.operation import Call, Reply, RouteDependencies, operation
from boxoffice.notifications.mail.store import MailLanguages
from boxoffice.notifications.mail.transports import kept_mails

_SHOWN_MAX = 50
_BYTES_MAX = 1_048_576
_STYLE = (
    "body{max-width:44rem;margin:1rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}"
    "pre{font:inherit;white-space:pre-wrap;overflow-wrap:anywhere}"
)
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{_STYLE_HASH}'",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_TEXTS = {
    "en": {
        "title": "Mailbox of the demo",
        "intro": "Mail that this demo would have sent, the newest first. It stays on this machine.",
        "none": "There is no mail yet: buy a ticket.",
        "to": "To",
        "attached": "Attached",
    },
    "ko": {
        "title": "데모 메일함",
        "intro": "이 데모가 보냈을 메일입니다. 최신순이며, 이 컴퓨터에만 저장됩니다.",
        "none": "아직 메일이 없습니다. 티켓을 예매해 보세요.",
        "to": "받는 사람",
        "attached": "첨부 파일",
    },
}


class MailLanguage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The language of mail."""

    language: Literal["ko", "en"]


class OwnMailLanguage:
    """`/v1/me/mail-language`."""

    def __init__(self, languages: MailLanguages, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._languages = languages

    @operation("Get the language of my mail", role="any", returns=MailLanguage)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """The chosen language, or that of the system."""
        return Reply({"language": await self._languages.get(call.caller.user_id)})

    @operation(
        "Choose the language of my mail",
        role="any",
        body=MailLanguage,
        returns=MailLanguage,
        problems=[OutcomeUnknown],
    )
    async def on_put(self, call: Call[MailLanguage, None]) -> Reply:
        """Mail from now on is in this language; one that was tried before keeps its own."""
        await self._languages.choose(call.caller.user_id, call.body.language)
        return Reply(call.body)


class KeptMail(NamedTuple):
    """What the mailbox shows of a mail."""

    subject: str
    recipient: str
    text: str
    attachments: tuple[str, ...]


class DemoMailbox:
    """`/demo/mailbox`: what the demo would have sent; for this machine only."""

    def __init__(self, directory: Path, dependencies: RouteDependencies) -> None:
        self.dependencies = dependencies
        self._directory = directory

    @operation("The demo's mailbox", cached=True)
    async def on_get(self, call: Call[None, None]) -> Reply:
        """Show the newest mails as text; 404 from other machines."""
        client = call.req.client
        # guard: mailbox_is_for_this_machine => if False:
        if not is_from_here(client[0] if client else None, call.req.get_header):
            raise NotFound
        mails = await asyncio.to_thread(_read, self._directory)
        language = _language(call.req.get_header("Accept-Language") or "")
        return Reply(
            encoded=_page(mails, language).encode(),
            media_type="text/html; charset=utf-8",
            headers=_HEADERS,
        )


def _language(accepted: str) -> str:
    first = accepted.strip().lower()[:2]
    return first if first in _TEXTS else "en"


def _read(directory: Path) -> list[KeptMail]:
    mails = []
    for path in kept_mails(directory)[:_SHOWN_MAX]:
        # The messenger may delete an old one meanwhile.
        with contextlib.suppress(FileNotFoundError):
            parsed = message_from_bytes(path.read_bytes()[:_BYTES_MAX], policy=policy.default)
            mails.append(_shown(parsed))
    return mails


def _shown(mail: EmailMessage) -> KeptMail:
    body = mail.get_body(("plain",))
    names = tuple(part.get_filename() or "" for part in mail.iter_attachments())
    text = "" if body is None else str(body.get_content())
    return KeptMail(str(mail["Subject"]), str(mail["To"]), text, names)


def _page(mails: list[KeptMail], language: str) -> str:
    texts = _TEXTS[language]
    shown = "".join(_article(mail, language) for mail in mails)
    return (
        f'<!DOCTYPE html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<title>{texts['title']}</title><h1>{texts['title']}</h1><p>{texts['intro']}</p>"
        f"{shown or '<p>' + texts['none'] + '</p>'}</html>"
    )


def _article(mail: KeptMail, language: str) -> str:
    texts = _TEXTS[language]
    attached = f"<p>{texts['attached']}: {_escape(', '.join(mail.attachments))}</p>"
    return (
        f"<article><h2>{_escape(mail.subject)}</h2><p>{texts['to']}: {_escape(mail.recipient)}</p>"
        f"<pre>{_escape(mail.text)}</pre>{attached if mail.attachments else ''}</article><hr>"
    )


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def routes(languages: MailLanguages, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the resources of this module by URI template."""
    return [("/v1/me/mail-language", OwnMailLanguage(languages, dependencies))]


def demo_routes(directory: str, dependencies: RouteDependencies) -> list[tuple[str, object]]:
    """Return the mailbox, where there is one."""
    if not directory:
        return []
    return [("/demo/mailbox", DemoMailbox(Path(directory), dependencies))]
