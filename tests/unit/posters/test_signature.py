"""Signatures are those of Amazon's documentation (S3 API Reference, Signature Version 4, examples)."""

from datetime import UTC, datetime

from boxoffice.platform.storage.signature import AccessKey, signed_headers

KEY = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
AT = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "examplebucket.s3.amazonaws.com"


def signature(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> str:
    """Return the signature alone."""
    signed = signed_headers(KEY, method, HOST, path, headers, body, AT)
    return signed["authorization"].rpartition("Signature=")[2]


def test_a_get_is_signed_as_documented() -> None:
    wanted = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signature("GET", "/test.txt", {"Range": "bytes=0-9"}) == wanted


def test_a_put_is_signed_as_documented() -> None:
    headers = {
        "Date": "Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    wanted = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    assert signature("PUT", "/test$file.text", headers, b"Welcome to Amazon S3.") == wanted
