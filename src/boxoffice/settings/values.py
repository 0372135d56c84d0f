"""The types of settings: each states its range, and a text what it must be."""

from typing import Annotated

from msgspec import Meta

PREFIX = "BOXOFFICE_"
# The client's deadline for a statement exceeds the server's, whose error is more specific.
CLIENT_GRACE_MS = 1_000

Port = Annotated[int, Meta(ge=1, le=65535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=1, le=3_600_000)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
PerSecond = Annotated[float, Meta(gt=0, le=10_000)]
Bytes = Annotated[int, Meta(ge=1, le=1 << 30)]
Minor = Annotated[int, Meta(ge=1, le=9_000_000_000_000)]
# The description of a text states what it must be.
Host = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.:%_-]+$",
        description="an address or a name of this machine, without a port",
    ),
]
StreamName = Annotated[
    str, Meta(pattern=r"^[!-~]{1,200}$", description="a name of up to 200 letters without blanks")
]
Token = Annotated[
    str,
    Meta(
        pattern="^([!-~]{16,256})?$",
        description="16 to 256 signs of ASCII without blanks, or empty for none",
    ),
]
Role = Annotated[
    str,
    Meta(
        pattern="^([a-z_][a-z0-9_]{0,62})?$",
        description="a name of PostgreSQL in small letters, or empty for none",
    ),
]
Commit = Annotated[
    str,
    Meta(
        pattern="^([0-9a-f]{7,64})?$",
        description="7 to 64 hexadecimal digits in small letters, or empty for none",
    ),
]
CollectorUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[^\s/?#@]+/[!-~]*)?$",
        description="an address with its path, as http://collector:4318/v1/traces, or empty for none",
    ),
]
Currency = Annotated[
    str, Meta(pattern="^[A-Z]{3}$", description="three capital letters of ISO 4217, as KRW")
]
TimeZone = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z][A-Za-z0-9_+/-]{0,63}$",
        description="a time zone of the IANA database, as Asia/Seoul",
    ),
]


FilePath = Annotated[
    str,
    Meta(
        pattern=r"^(/[^\x00-\x20\x7f]{1,1000})?$",
        description="the absolute path of a file, without blanks, or empty for none",
    ),
]


def variable(name: str) -> str:
    """Return the environment's name of a setting."""
    return PREFIX + name.upper()
