"""Posters of the demo's concerts, drawn here: shapes and two or three colours, no picture of others."""

import random
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

WIDTH_PX, HEIGHT_PX = 540, 720


class Palette(NamedTuple):
    """The colours of a poster: the ground above and below, and what is drawn on it."""

    above: str
    below: str
    bright: str
    dim: str


def draw(title: str, artist: str, style: str, palette: Palette) -> bytes:
    """Return a poster as PNG; the same words give the same picture."""
    from PIL import Image, ImageDraw, ImageFilter  # noqa: PLC0415 — costs time

    picture = Image.composite(
        Image.new("RGB", (WIDTH_PX, HEIGHT_PX), palette.below),
        Image.new("RGB", (WIDTH_PX, HEIGHT_PX), palette.above),
        Image.linear_gradient("L").resize((WIDTH_PX, HEIGHT_PX)),
    )
    glow = Image.new("L", picture.size, 0)
    ImageDraw.Draw(glow).ellipse((90, 190, 450, 550), fill=150)
    glow = glow.filter(ImageFilter.GaussianBlur(70))
    picture.paste(Image.new("RGB", picture.size, palette.dim), mask=glow)
    chance = random.Random(title)  # noqa: S311 — a picture
    _STYLES[style](ImageDraw.Draw(picture), palette, chance)
    # The artist's name stands on a quiet ground.
    fade = Image.linear_gradient("L").resize((WIDTH_PX, 220))
    picture.paste(Image.new("RGB", fade.size, palette.below), (0, HEIGHT_PX - 220), fade)
    _write(picture, title, artist, palette)
    out = BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _write(picture: "Image", title: str, artist: str, palette: Palette) -> None:
    from PIL import ImageDraw, ImageFont  # noqa: PLC0415 — costs time

    pen = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(64), ImageFont.load_default(26)
    y = 40.0
    for word in title.upper().split():
        pen.text((36, y), word, fill="white", font=large, stroke_width=1, stroke_fill="white")
        y += 62
    pen.text((38, HEIGHT_PX - 66), artist, fill="white", font=small)
    pen.rectangle((38, HEIGHT_PX - 82, 98, HEIGHT_PX - 78), fill=palette.bright)


def _rings(pen: "ImageDraw", palette: Palette, _chance: random.Random) -> None:
    for at in range(11):
        radius = 34 + at * 30
        box = (270 - radius, 520 - radius, 270 + radius, 520 + radius)
        pen.arc(box, 180 + at * 4, 360 - at * 5, fill=palette.bright, width=3 + at % 3 * 5)
    pen.ellipse((246, 496, 294, 544), fill="white")


def _waves(pen: "ImageDraw", palette: Palette, _chance: random.Random) -> None:
    from math import sin  # noqa: PLC0415 — of this drawing alone

    for at in range(16):
        y = 360 + at * 22
        points = [(x, y + 26 * sin(x / (52 + 4 * at) + at)) for x in range(-20, 570, 10)]
        pen.line(points, fill=palette.bright if at % 3 else "white", width=2 + at // 4)


def _city(pen: "ImageDraw", palette: Palette, chance: random.Random) -> None:
    pen.ellipse((300, 250, 470, 420), fill=palette.bright)
    for x in range(0, 540, 45):
        top = chance.randint(400, 580)
        pen.rectangle((x, top, x + 41, 720), fill=palette.below)
        for y in range(top + 14, 640, 24):
            for at in (8, 24):
                if chance.random() < 0.55:
                    pen.rectangle((x + at, y, x + at + 8, y + 10), fill=palette.bright)


def _strings(pen: "ImageDraw", palette: Palette, _chance: random.Random) -> None:
    for at in range(26):
        pen.line((60 + at * 17, 250, 540 - at * 19, 640), fill=palette.bright, width=2)
    pen.ellipse((210, 380, 330, 500), outline="white", width=4)


def _petals(pen: "ImageDraw", palette: Palette, chance: random.Random) -> None:
    for _ in range(70):
        x, y, radius = chance.randint(0, 540), chance.randint(230, 640), chance.randint(6, 34)
        colour = chance.choice((palette.bright, palette.dim, "white"))
        pen.pieslice(
            (x - radius, y - radius, x + radius, y + radius),
            chance.randint(0, 90),
            230,
            fill=colour,
        )


def _bars(pen: "ImageDraw", palette: Palette, chance: random.Random) -> None:
    for at, x in enumerate(range(36, 510, 30)):
        height = chance.randint(60, 330)
        colour = "white" if at % 5 == 2 else palette.bright
        pen.rounded_rectangle((x, 620 - height, x + 18, 620), 9, fill=colour)


def _moon(pen: "ImageDraw", palette: Palette, chance: random.Random) -> None:
    for _ in range(90):
        x, y = chance.randint(0, 540), chance.randint(0, 620)
        pen.ellipse((x, y, x + 3, y + 3), fill="white")
    pen.ellipse((150, 280, 430, 560), fill=palette.bright)
    pen.ellipse((215, 255, 470, 510), fill=palette.below)


def _blocks(pen: "ImageDraw", palette: Palette, chance: random.Random) -> None:
    for x in range(0, 540, 90):
        for y in range(270, 630, 90):
            colour = chance.choice((palette.bright, palette.dim, palette.below, "white"))
            if chance.random() < 0.5:
                pen.rectangle((x, y, x + 88, y + 88), fill=colour)
            else:
                pen.pieslice((x, y, x + 176, y + 176), 180, 270, fill=colour)


_STYLES: dict[str, Callable[["ImageDraw", Palette, random.Random], None]] = {
    "rings": _rings,
    "waves": _waves,
    "city": _city,
    "strings": _strings,
    "petals": _petals,
    "bars": _bars,
    "moon": _moon,
    "blocks": _blocks,
}
