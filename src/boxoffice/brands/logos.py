"""Encodes a logo anew: its pixels on an opaque ground, so that it can be seen in light and dark."""

from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from boxoffice.brands.errors import LogoInvalid
from boxoffice.errors import PosterInvalid
from boxoffice.posters.images import opened

if TYPE_CHECKING:
    from PIL.Image import Image

LOGO = "logo.webp"
# Programs that read mail know no WebP.
LOGO_OF_MAIL = "logo.png"
SIDE_MIN_PX = 32
SIDES_RATIO_MAX = 10
SIZE_MAX_PX = (640, 256)

_LIGHT, _DARK = "#ffffff", "#16181d"
# A transparent logo whose pixels are lighter than this is for dark grounds.
_LIGHTNESS_OF_DARK_GROUND = 170
_OPAQUE = 255


class EncodedLogo(NamedTuple):
    """The files of a logo by name, its size in pixels, and the colour around it."""

    width_px: int
    height_px: int
    ground: str
    files: dict[str, bytes]


def encode_logo(raw: bytes, pixels_max: int) -> EncodedLogo:
    """Return the files of an uploaded JPEG, PNG or WebP.

    Raises `LogoInvalid` with a `reason`, as a poster is refused, or `empty` for one without pixels.
    """
    try:
        picture = opened(raw, pixels_max, side_min_px=SIDE_MIN_PX, ratio_max=SIDES_RATIO_MAX)
    except PosterInvalid as error:
        raise LogoInvalid(error.detail, **error.extra) from error
    drawn = _drawn(picture)
    ground = _ground(drawn)
    flat = _on(drawn, ground)
    return EncodedLogo(
        flat.width,
        flat.height,
        ground,
        {LOGO: _file(flat, "WEBP"), LOGO_OF_MAIL: _file(flat, "PNG")},
    )


def _drawn(picture: "Image") -> "Image":
    """Return the part of a picture that is not transparent, as its EXIF orientation shows it."""
    from PIL import ImageOps  # noqa: PLC0415 — costs time

    drawn = ImageOps.exif_transpose(picture).convert("RGBA")
    box = drawn.getchannel("A").getbbox()
    if box is None:
        raise LogoInvalid("The picture is transparent.", reason="empty")
    drawn = drawn.crop(box)
    drawn.thumbnail(SIZE_MAX_PX)
    return drawn


def _ground(drawn: "Image") -> str:
    from PIL import ImageStat  # noqa: PLC0415 — costs time

    alpha = drawn.getchannel("A")
    if alpha.getextrema()[0] == _OPAQUE:
        return "#" + drawn.convert("RGB").crop((0, 0, 1, 1)).tobytes().hex()
    seen = alpha.point([_OPAQUE if value > _OPAQUE // 2 else 0 for value in range(_OPAQUE + 1)])
    if seen.getbbox() is None:
        return _LIGHT
    lightness = ImageStat.Stat(drawn.convert("L"), seen).mean[0]
    return _DARK if lightness > _LIGHTNESS_OF_DARK_GROUND else _LIGHT


def _on(drawn: "Image", ground: str) -> "Image":
    from PIL import Image  # noqa: PLC0415 — costs time

    return Image.alpha_composite(Image.new("RGBA", drawn.size, ground), drawn).convert("RGB")


def _file(picture: "Image", kind: str) -> bytes:
    out = BytesIO()
    if kind == "PNG":
        picture.save(out, kind, optimize=True)
    else:
        picture.save(out, kind, quality=90, method=4, exif=b"", icc_profile=b"")
    return out.getvalue()
