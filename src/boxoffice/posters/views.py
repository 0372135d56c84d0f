"""Posters as the API shows them."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from boxoffice.posters.images import SHARED, webp_name

# `{PREFIX}/{image_hash}/{name}`; outside the API, as it is a file.
PREFIX = "/posters"


class Poster(msgspec.Struct, frozen=True, kw_only=True):
    """A concert's picture; its addresses never change their content.

    `srcset` lists its widths as HTML has it, `url` is the largest, `shared_url` a wide JPEG for
    previews of a link. `colour` fills the frame until it is loaded. `alt_en` and `alt_ko` replace
    `alt` for readers of that language.
    """

    url: str
    srcset: str
    shared_url: str
    width: int
    height: int
    colour: str
    alt: str
    alt_en: str | None = None
    alt_ko: str | None = None


class OwnPoster(Poster, frozen=True, kw_only=True):
    """The poster of a concert, for its organizer."""

    concert_id: UUID

    @property
    def shown(self) -> Poster:
        """The poster as buyers see it."""
        members = msgspec.structs.asdict(self)
        members.pop("concert_id")
        return Poster(**members)


class PosterOfConcert(msgspec.Struct, frozen=True, kw_only=True):
    """The poster of a concert; null where it has none."""

    poster: OwnPoster | None


def addresses(image_hash: str, widths_px: Sequence[int]) -> dict[str, str]:
    """Return the fields of a `Poster` that are addresses."""
    paths = {width: f"{PREFIX}/{image_hash}/{webp_name(width)}" for width in widths_px}
    return {
        "url": paths[max(paths)],
        "srcset": ", ".join(f"{path} {width}w" for width, path in sorted(paths.items())),
        "shared_url": f"{PREFIX}/{image_hash}/{SHARED}",
    }
