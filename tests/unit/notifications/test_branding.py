"""Who sells is above both forms of a mail, and is text and nothing else."""

from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest

from boxoffice.notifications.mail.branding import put_seller
from boxoffice.notifications.mail.rules import Row, Shop, fill
from boxoffice.notifications.mail.store import SellerFacts

SHOP = Shop("Shop <shop@example.org>", "https://shop.example", ZoneInfo("Asia/Seoul"))
SELLER = SellerFacts(
    name="<Spring>\r\nBcc: x@example.org",
    accent="#ffe100",
    logo_hash="0" * 32,
    logo_width_px=640,
    logo_height_px=160,
)


def composed(shop: Shop = SHOP, seller: SellerFacts = SELLER) -> tuple[str, str, EmailMessage]:
    """Return both forms of a mail with an attachment and a seller."""
    message = EmailMessage()
    fill(message, "en", "Hello", [Row("Concert", ["Title"])], "", ["A note."])
    message.add_attachment(b"x", "image", "png", filename="ticket-1.png")
    put_seller(message, seller, shop)
    plain, page = message.get_body(("plain",)), message.get_body(("html",))
    assert isinstance(plain, EmailMessage)
    assert isinstance(page, EmailMessage)
    return plain.get_content(), page.get_content(), message


def test_the_seller_is_above_the_text() -> None:
    plain, page, message = composed()
    assert plain.startswith("<Spring> Bcc: x@example.org\n\nHello")
    assert "&lt;Spring&gt; Bcc: x@example.org" in page
    assert "<Spring>" not in page
    assert page.index("Spring") < page.index("Hello")
    assert 'width="160" height="40"' in page
    assert f'src="https://shop.example/posters/{"0" * 32}/logo.png"' in page
    # The yellow could not be read on white.
    assert "#ffe100" not in page
    assert [one.get_filename() for one in message.iter_attachments()] == ["ticket-1.png"]
    assert message.as_bytes()


@pytest.mark.parametrize("url", ["", "https://shop.example"])
def test_without_an_address_or_a_logo_the_name_stands_alone(url: str) -> None:
    seller = SellerFacts(
        name="Spring", accent=None, logo_hash=None, logo_width_px=None, logo_height_px=None
    )
    _, page, _ = composed(SHOP._replace(public_url=url), SELLER if not url else seller)
    assert "<img" not in page
    assert "Spring" in page
