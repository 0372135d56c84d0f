"""Conditional requests (RFC 9110, section 13): a change names the version that it was made from."""

import re
from hashlib import blake2b

from boxoffice.errors import BadRequest

_TAG = re.compile(r'"([0-9]{1,9})"')


class PreconditionRequired(BadRequest):
    """A change without `If-Match` (RFC 6585)."""

    code = "precondition_required"
    title = "This call needs an If-Match header with the ETag of what is changed."


class PreconditionInvalid(BadRequest):
    """An `If-Match` whose tag no answer of this service has."""

    code = "precondition_invalid"
    title = "If-Match has to be the ETag of an answer, with its quotes."


class PreconditionFailed(BadRequest):
    """A change that was made from an older version."""

    code = "precondition_failed"
    title = "It was changed meanwhile; read it again."


def entity_tag(version: int) -> str:
    """Return the strong entity tag of a version."""
    return f'"{version}"'


def content_tag(body: bytes) -> str:
    """Return the strong entity tag of bytes that are sent."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def expected_version(if_match: str | None) -> int:
    """Return the version that an `If-Match` header names.

    Raises `PreconditionRequired` without one, and `PreconditionInvalid` for what is no tag of ours.
    """
    if not if_match:
        raise PreconditionRequired
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise PreconditionInvalid
    return int(found[1])


def require_version(expected: int, current: int) -> None:
    """Raise `PreconditionFailed` unless the version is the expected one."""
    # guard: edit_of_an_older_version_is_refused => if False:
    if expected != current:
        raise PreconditionFailed
