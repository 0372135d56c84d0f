"""Puts who sells on a mail about a performance: name, logo and colour above its text. Pure."""

import html
from email.message import EmailMessage

from boxoffice.brands.logos import LOGO_OF_MAIL
from boxoffice.brands.rules import light_shade
from boxoffice.notifications.mail.rules import Shop, one_line
from boxoffice.notifications.mail.store import SellerFacts
from boxoffice.posters.views import PREFIX

_BODY = "<body>"
_LOGO_HEIGHT_MAX_PX = 40
_LOGO_WIDTH_MAX_PX = 160
_NEUTRAL = "#565c64"


def put_seller(message: EmailMessage, seller: SellerFacts, shop: Shop) -> None:
    """Put the seller above both forms of a mail."""
    name = one_line(seller.name)
    plain, page = message.get_body(("plain",)), message.get_body(("html",))
    if isinstance(plain, EmailMessage):
        plain.set_content(f"{name}\n\n{plain.get_content()}", charset="utf-8")
    if isinstance(page, EmailMessage):
        text = page.get_content().replace(_BODY, _BODY + _head(name, seller, shop), 1)
        page.set_content(text, subtype="html", charset="utf-8")


def _head(name: str, seller: SellerFacts, shop: Shop) -> str:
    colour = light_shade(seller.accent) if seller.accent else _NEUTRAL
    # guard: mail_seller_is_escaped => escaped = name
    escaped = html.escape(name, quote=True)
    return (
        f'<p style="border-top:4px solid {colour};padding-top:12px">'
        f"{_logo(seller, shop)}<b>{escaped}</b></p>"
    )


def _logo(seller: SellerFacts, shop: Shop) -> str:
    if not (
        shop.public_url and seller.logo_hash and seller.logo_width_px and seller.logo_height_px
    ):
        return ""
    scale = min(
        _LOGO_WIDTH_MAX_PX / seller.logo_width_px, _LOGO_HEIGHT_MAX_PX / seller.logo_height_px, 1
    )
    width, height = (
        max(1, round(side * scale)) for side in (seller.logo_width_px, seller.logo_height_px)
    )
    source = html.escape(f"{shop.public_url}{PREFIX}/{seller.logo_hash}/{LOGO_OF_MAIL}", quote=True)
    return f'<img src="{source}" width="{width}" height="{height}" alt=""><br>'
