"""A logo is encoded anew on a ground on which it can be seen."""

from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from boxoffice.brands.errors import LogoInvalid
from boxoffice.brands.logos import LOGO, LOGO_OF_MAIL, encode_logo
from tests.unit.posters.pictures import SVG, animated, bomb, picture

PIXELS_MAX = 24_000_000


def drawn(colour: str, size: tuple[int, int] = (400, 200)) -> bytes:
    """Return a transparent picture with an ellipse in its middle."""
    made = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(made).ellipse((100, 80, 299, 119), fill=colour)
    out = BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("colour", "ground"), [("#101010", "#ffffff"), ("#fafafa", "#16181d"), ("#b00020", "#ffffff")]
)
def test_a_transparent_logo_gets_a_ground_and_loses_its_margins(colour: str, ground: str) -> None:
    logo = encode_logo(drawn(colour), PIXELS_MAX)
    assert (logo.width_px, logo.height_px, logo.ground) == (200, 40, ground)
    for name, kind in ((LOGO, "WEBP"), (LOGO_OF_MAIL, "PNG")):
        opened = Image.open(BytesIO(logo.files[name]))
        assert (opened.format, opened.mode, opened.size) == (kind, "RGB", (200, 40))


def test_an_opaque_logo_keeps_the_colour_of_its_corner() -> None:
    out = BytesIO()
    Image.new("RGB", (64, 64), "#123456").save(out, "PNG")
    assert encode_logo(out.getvalue(), PIXELS_MAX).ground == "#123456"


def test_a_large_logo_is_made_smaller_and_loses_what_it_says_of_its_camera() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    logo = encode_logo(picture(2000, 500, exif=exif.tobytes()), PIXELS_MAX)
    assert (logo.width_px, logo.height_px) == (640, 160)
    assert not any(b"Secret" in content for content in logo.files.values())


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (SVG, "not_a_picture"),
        (bomb(), "too_many_pixels"),
        (animated("WEBP"), "animated"),
        (picture(31, 64), "too_small"),
        (picture(400, 39), "too_narrow"),
        (drawn("#00000000"), "empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_logo_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(LogoInvalid) as refused:
        encode_logo(raw, PIXELS_MAX)
    assert refused.value.extra == {"reason": reason}
