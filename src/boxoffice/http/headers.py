"""Headers of answers, and how they stand in one."""

from collections.abc import Mapping


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
