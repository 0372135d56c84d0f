"""Pictures to upload: good ones, and those that must be refused."""

import struct
import zlib
from io import BytesIO

from PIL import Image


def picture(
    width: int = 600, height: int = 800, kind: str = "JPEG", mode: str = "RGB", **options: object
) -> bytes:
    """Return a file with a slope of colours, so that sides and corners differ."""
    slope = Image.linear_gradient("L").resize((width, height))
    made = Image.merge("RGB", (slope, slope.rotate(180), slope)).convert(mode)
    out = BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a few kilobytes whose header promises billions of pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def animated(kind: str) -> bytes:
    """Return a file with two frames."""
    frames = [Image.new("RGB", (400, 400), colour) for colour in ("red", "blue")]
    out = BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


SVG = b"""<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="400" height="400">
<script>alert(1)</script><rect width="400" height="400"/></svg>"""
