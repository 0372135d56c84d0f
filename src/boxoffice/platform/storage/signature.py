"""Signatures of requests to an S3-compatible store (AWS Signature Version 4). Pure.

Source: "Signature Calculations for the Authorization Header", Amazon S3 API Reference.
"""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY: Mapping[str, str] = {}


class AccessKey(NamedTuple):
    """An access key with its secret, and the region of the store."""

    key_id: str
    secret: str
    region: str


def signed_headers(
    key: AccessKey,
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
    query: Mapping[str, str] = _EMPTY,
) -> dict[str, str]:
    """Return the headers of a signed request; `path` and `query` are unquoted, `at` in UTC."""
    digest = sha256(body).hexdigest()
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    signed = {name.lower(): value.strip() for name, value in headers.items()}
    signed |= {"host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(signed))
    lines = [f"{name}:{signed[name]}\n" for name in sorted(signed)]
    parts = [method, quote(path), quoted_query(query), "".join(lines), names, digest]
    request = "\n".join(parts)
    scope = f"{stamp[:8]}/{key.region}/s3/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, sha256(request.encode()).hexdigest()])
    signature = hmac.new(_derived(key, stamp[:8]), text.encode(), sha256).hexdigest()
    credential = f"Credential={key.key_id}/{scope}"
    authorization = f"{_ALGORITHM} {credential},SignedHeaders={names},Signature={signature}"
    return {**signed, "authorization": authorization}


def quoted_query(query: Mapping[str, str]) -> str:
    """Return a query as it is signed and sent: names in order, all but unreserved signs quoted."""
    return "&".join(f"{quote(name, '')}={quote(query[name], '')}" for name in sorted(query))


def _derived(key: AccessKey, day: str) -> bytes:
    derived = f"AWS4{key.secret}".encode()
    for part in (day, key.region, "s3", "aws4_request"):
        derived = hmac.new(derived, part.encode(), sha256).digest()
    return derived
