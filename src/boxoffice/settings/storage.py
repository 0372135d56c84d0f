"""Settings of posters, of backups, and of the object stores that may keep either."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from boxoffice.settings.providers import WebUrl
from boxoffice.settings.values import Bytes, Count

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


BackupLocation = Annotated[
    str,
    Meta(
        pattern=r"^(/[^\0]*|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?)?$",
        description="the absolute path of a folder, s3://bucket/prefix, or empty for no backups",
    ),
]
FolderPath = Annotated[
    str, Meta(pattern=r"^(/[^\0]*)?$", description="the absolute path of a folder, or empty")
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


class BackupSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where backups are, and how many are kept. No serving process needs them."""

    backup_location: BackupLocation = ""
    # A role that may replicate; the one of the other settings where it is empty.
    backup_database_url: str = ""
    backup_programs_dir: FolderPath = ""
    backup_work_dir: FolderPath = ""
    backup_chain_max: Annotated[int, Meta(ge=1, le=100)] = 8
    backup_full_kept_min: Annotated[int, Meta(ge=1, le=1_000)] = 2
    backup_s3_url: WebUrl = ""
    backup_s3_region: RegionName = "us-east-1"
    backup_s3_access_key: AccessKeyId = ""
    backup_s3_secret_key: SecretKey = ""
    backup_s3_timeout_ms: Annotated[int, Meta(ge=100, le=600_000)] = 60_000
    # What may have been issued of each waiting room in the time that a restore loses.
    restore_queue_numbers: Count = 200_000
