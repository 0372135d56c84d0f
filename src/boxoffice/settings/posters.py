"""Settings of posters and of the object store that may keep them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.settings.providers import WebUrl
from boxoffice.settings.values import Bytes

BucketName = Annotated[
    str,
    Meta(
        pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$",
        description="the name of a bucket, or empty",
    ),
]
RegionName = Annotated[
    str, Meta(pattern=r"^[a-z0-9-]{1,40}$", description="the name of a region, as us-east-1")
]
AccessKeyId = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9_.-]{1,128})?$",
        description="an access key of letters and digits, or empty for none",
    ),
]
SecretKey = Annotated[
    str,
    Meta(
        pattern=r"^([!-~]{1,256})?$",
        description="a secret key of ASCII without blanks, or empty for none",
    ),
]


class PosterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of uploads, and where the files are."""

    poster_max_bytes: Bytes = 10 * 1024 * 1024
    poster_pixels_max: Annotated[int, Meta(ge=1_000_000, le=200_000_000)] = 24_000_000
    poster_uploads_max: Annotated[int, Meta(ge=1, le=64)] = 1
    posters_cached_max_bytes: Bytes = 32 * 1024 * 1024
    poster_storage: Literal["postgres", "s3"] = "postgres"
    s3_url: WebUrl = ""
    s3_region: RegionName = "us-east-1"
    s3_bucket: BucketName = ""
    s3_access_key: AccessKeyId = ""
    s3_secret_key: SecretKey = ""
    s3_timeout_ms: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
