"""Encodes an uploaded picture anew: what is served consists of its pixels only, never of its bytes.

That drops metadata (EXIF with places and devices), and whatever else a file may carry behind or between
its pixels.
"""

from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from boxoffice.errors import PosterInvalid

if TYPE_CHECKING:
    from PIL.Image import Image

# Widths that are offered to browsers; a smaller upload has fewer, as nothing is enlarged.
WIDTHS_PX = (320, 480, 720, 1080)
WIDTH_MIN_PX = 320
# How many times longer than its other side a side may be.
SIDES_RATIO_MAX = 3
# The picture in a preview of a shared link (Open Graph).
SHARED = "shared.jpg"
_SHARED_SIZE_PX = (1200, 630)
_WEBP_QUALITY = 80
_JPEG_QUALITY = 82


class EncodedPoster(NamedTuple):
    """The files of a picture by name, the size of the largest in pixels, and its mean colour."""

    width_px: int
    height_px: int
    widths_px: list[int]
    colour: str
    files: dict[str, bytes]


def webp_name(width_px: int) -> str:
    """Return the name of the file that is so wide."""
    return f"{width_px}.webp"


def encode(raw: bytes, pixels_max: int) -> EncodedPoster:
    """Return the files of an uploaded JPEG, PNG or WebP; takes up to a second.

    Raises `PosterInvalid` with a `reason` where the file is no such picture, has more than `pixels_max`
    pixels (a small file can have billions), moves, is too small or too narrow.
    """
    picture = _upright(opened(raw, pixels_max))
    widths = sorted({min(width, picture.width) for width in WIDTHS_PX})
    largest = _narrowed(picture, widths[-1])
    files = {webp_name(width): _webp(_narrowed(largest, width)) for width in widths}
    files[SHARED] = _shared(largest)
    return EncodedPoster(largest.width, largest.height, widths, _mean_colour(largest), files)


def opened(
    raw: bytes,
    pixels_max: int,
    *,
    side_min_px: int = WIDTH_MIN_PX,
    ratio_max: int = SIDES_RATIO_MAX,
) -> "Image":
    """Return the pixels of an acceptable file; those of a JPEG may be fewer, where it has very many.

    Raises `PosterInvalid` with a `reason`.
    """
    from PIL import Image  # noqa: PLC0415 — costs time

    # The check below is stricter and comes before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    try:
        picture = Image.open(BytesIO(raw), formats=("JPEG", "PNG", "WEBP"))
        _check_kind(picture, pixels_max)
        _check_sides(picture, side_min_px, ratio_max)
        # A JPEG can be decoded at a half or a quarter of its size.
        picture.draft("RGB", (2 * WIDTHS_PX[-1], 2 * WIDTHS_PX[-1]))
        picture.load()
    except PosterInvalid:
        raise
    except Exception as error:  # decoders raise many kinds for broken files
        raise PosterInvalid(reason="not_a_picture") from error
    return picture


def _check_kind(picture: "Image", pixels_max: int) -> None:
    width, height = picture.size
    if width * height > pixels_max:
        raise PosterInvalid(
            f"The picture has {width} × {height} pixels; {pixels_max} are allowed.",
            reason="too_many_pixels",
        )
    # A phone's JPEG may have a second picture (MPO), which is not shown.
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise PosterInvalid("An animated picture is not a poster.", reason="animated")


def _check_sides(picture: "Image", side_min_px: int, ratio_max: int) -> None:
    width, height = picture.size
    if min(width, height) < side_min_px:
        raise PosterInvalid(
            f"Each side of the picture must have {side_min_px} pixels at least.",
            reason="too_small",
        )
    if max(width, height) > ratio_max * min(width, height):
        raise PosterInvalid(
            f"A side may be {ratio_max} times as long as the other at most.",
            reason="too_narrow",
        )


def _upright(picture: "Image") -> "Image":
    """Return the picture as its EXIF orientation shows it, without transparency."""
    from PIL import Image, ImageOps  # noqa: PLC0415 — costs time

    if max(picture.size) > 2 * WIDTHS_PX[-1]:
        picture.thumbnail((2 * WIDTHS_PX[-1], 2 * WIDTHS_PX[-1] * SIDES_RATIO_MAX))
    turned = ImageOps.exif_transpose(picture)
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        with_alpha = turned.convert("RGBA")
        ground = Image.new("RGBA", with_alpha.size, "white")
        turned = Image.alpha_composite(ground, with_alpha)
    return turned.convert("RGB")


def _narrowed(picture: "Image", width_px: int) -> "Image":
    if picture.width == width_px:
        return picture
    return picture.resize((width_px, max(1, round(picture.height * width_px / picture.width))))


def _webp(picture: "Image") -> bytes:
    out = BytesIO()
    picture.save(out, "WEBP", quality=_WEBP_QUALITY, method=4, exif=b"", icc_profile=b"")
    return out.getvalue()


def _shared(picture: "Image") -> bytes:
    """Return a wide picture for previews: the poster in front of itself, blurred and darkened."""
    from PIL import ImageEnhance, ImageFilter, ImageOps  # noqa: PLC0415 — costs time

    width, height = _SHARED_SIZE_PX
    # Blurred while it is small, which costs little.
    ground = ImageOps.fit(picture, (width // 10, height // 10)).filter(ImageFilter.GaussianBlur(4))
    ground = ImageEnhance.Brightness(ground.resize(_SHARED_SIZE_PX)).enhance(0.55)
    front = ImageOps.contain(picture, (width, height))
    ground.paste(front, ((width - front.width) // 2, (height - front.height) // 2))
    out = BytesIO()
    ground.save(out, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return out.getvalue()


def _mean_colour(picture: "Image") -> str:
    return "#" + picture.resize((1, 1)).tobytes().hex()
