"""Headers of answers, and how they stand in one."""

from collections.abc import Mapping
from functools import lru_cache


class FixedHeaders(dict[str, str]):
    """Headers that many answers have in common; `raw` is how they stand in an answer."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.raw = raw_headers(dict(headers))


def raw_headers(headers: Mapping[str, str] | None) -> bytes:
    """Return header lines, each with its line end; the values are our own and have none."""
    if not headers:
        return b""
    if isinstance(headers, FixedHeaders):
        return headers.raw
    lines = [f"{name.lower()}: {value}\r\n" for name, value in headers.items()]
    return "".join(lines).encode("latin-1")


NO_STORE = FixedHeaders({"Cache-Control": "no-store"})


@lru_cache(maxsize=256)
def accepts_gzip(header: str | None) -> bool:
    """Say whether an Accept-Encoding header (RFC 9110, section 12.5.3) allows gzip."""
    weights: dict[str, str] = {}
    for item in (header or "").lower().split(","):
        coding, _, parameter = item.partition(";")
        weights[coding.strip()] = parameter.replace(" ", "").removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != "" or weight == ""
