"""Headers of answers, and the headers of requests that choose between forms of an answer."""

from collections.abc import Mapping
from functools import lru_cache


class FixedHeaders(dict[str, str]):
    """Headers that many answers have in common; `raw` are their lines."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers)
        self.raw = raw_headers(headers)


def raw_headers(headers: Mapping[str, str]) -> bytes:
    """Return header lines, each with its line end; the values must contain none."""
    lines = [f"{name.lower()}: {value}\r\n" for name, value in headers.items()]
    return "".join(lines).encode("latin-1")


NO_STORE = FixedHeaders({"Cache-Control": "no-store"})


@lru_cache(maxsize=256)
def accepts_gzip(header: str | None) -> bool:
    """Say whether an Accept-Encoding header (RFC 9110, section 12.5.3) allows gzip."""
    weights = _weights(header)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


@lru_cache(maxsize=256)
def prefers_html(header: str | None) -> bool:
    """Say whether an Accept header (RFC 9110, section 12.5.1) wants a page rather than JSON.

    Browsers name `text/html` where they go somewhere; programs that take anything get JSON.
    """
    weights = _weights(header)
    json = max((weight for name, weight in weights.items() if name.endswith("json")), default=0.0)
    return weights.get("text/html", 0.0) > json


def _weights(header: str | None) -> dict[str, float]:
    """Return the values of a header with their `q`; other parameters are ignored."""
    weights: dict[str, float] = {}
    for item in (header or "").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weights[name] = next(map(_weight, parameters), 1.0)
    return weights


def _weight(parameter: str) -> float:
    name, _, value = parameter.replace(" ", "").partition("=")
    try:
        return float(value) if name == "q" else 1.0
    except ValueError:
        return 0.0
