"""An uploaded picture is encoded anew; what is no still picture of a fair size is refused."""

from io import BytesIO

import pytest
from PIL import Image

from boxoffice.errors import PosterInvalid
from boxoffice.posters.images import SHARED, EncodedPoster, encode

from .pictures import SVG, animated, bomb, picture

PIXELS_MAX = 24_000_000


def opened(poster: EncodedPoster, name: str) -> Image.Image:
    """Return the decoded file."""
    return Image.open(BytesIO(poster.files[name]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_gets_each_size_up_to_its_own(kind: str) -> None:
    poster = encode(picture(600, 800, kind), PIXELS_MAX)
    assert (poster.width_px, poster.height_px, poster.widths_px) == (600, 800, [320, 480, 600])
    assert set(poster.files) == {"320.webp", "480.webp", "600.webp", SHARED}
    assert {opened(poster, name).size for name in poster.files} == {
        (320, 427), (480, 640), (600, 800), (1200, 630),
    }  # fmt: skip
    assert opened(poster, SHARED).format == "JPEG"
    assert opened(poster, "480.webp").format == "WEBP"


def test_a_large_picture_is_made_smaller() -> None:
    poster = encode(picture(3000, 4000), PIXELS_MAX)
    assert (poster.width_px, poster.height_px) == (1080, 1440)
    assert poster.widths_px == [320, 480, 720, 1080]


def test_places_and_devices_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    raw = picture(exif=exif.tobytes(), icc_profile=b"secret profile", comment=b"secret comment")
    assert b"Secret Camera" in raw
    for content in encode(raw, PIXELS_MAX).files.values():
        assert b"ecret" not in content
        assert b"Exif" not in content


def test_a_picture_that_lies_on_its_side_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    poster = encode(picture(800, 600, exif=exif.tobytes()), PIXELS_MAX)
    assert (poster.width_px, poster.height_px) == (600, 800)


def test_transparency_becomes_white() -> None:
    raw = BytesIO()
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(raw, "PNG")
    assert encode(raw.getvalue(), PIXELS_MAX).colour == "#ffffff"


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04 an archive", SVG])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_is_hidden_behind_a_picture_is_dropped(kind: str, tail: bytes) -> None:
    for content in encode(picture(kind=kind) + tail, PIXELS_MAX).files.values():
        assert tail not in content


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_a_picture"),
        (b"GIF89a" + b"\0" * 64, "not_a_picture"),
        (SVG, "not_a_picture"),
        (b"%PDF-1.7", "not_a_picture"),
        (b"<!doctype html><script>alert(1)</script>", "not_a_picture"),
        (picture()[:2_000], "not_a_picture"),
        (picture(kind="PNG")[:200], "not_a_picture"),
        (picture(kind="GIF", mode="P"), "not_a_picture"),
        (picture(kind="TIFF"), "not_a_picture"),
        (bomb(), "too_many_pixels"),
        (bomb(65_000, 400), "too_many_pixels"),
        (animated("PNG"), "animated"),
        (animated("WEBP"), "animated"),
        (picture(319, 800), "too_small"),
        (picture(320, 961), "too_narrow"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_poster_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(PosterInvalid) as refused:
        encode(raw, PIXELS_MAX)
    assert refused.value.extra == {"reason": reason}


def test_the_limit_of_pixels_is_the_settings() -> None:
    assert encode(picture(1000, 1000), 1_000_000)
    with pytest.raises(PosterInvalid):
        encode(picture(1000, 1001), 1_000_000)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    """A decoder would fill 11 GB; the peak of this process must not notice."""
    import resource  # noqa: PLC0415 — of this test alone

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PosterInvalid):
        encode(bomb(), PIXELS_MAX)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000
