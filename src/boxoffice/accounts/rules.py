"""What an e-mail address, a password and a role must look like."""

import re
import unicodedata

from boxoffice.errors import Invalid

BUYER = "buyer"
ORGANIZER = "organizer"
ROLES = (BUYER, ORGANIZER)

EMAIL_CHARS_MAX = 254  # RFC 5321, section 4.5.3.1.3: a path of 256 octets, less its brackets
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 128

# "Valid e-mail address" of the WHATWG HTML standard: what a browser's e-mail field accepts.
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*"

# For schemas, where blanks around an address are allowed because they will be trimmed.
EMAIL_PATTERN = rf"^ *{_EMAIL} *$"
PASSWORD_PATTERN = r"^[^\x00-\x1f\x7f]*$"  # noqa: S105 - a pattern, not a secret

_is_email = re.compile(_EMAIL).fullmatch
_is_password = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*").fullmatch


def normal_email(text: str) -> str:
    """Return the one spelling of an address, trimmed and in lower case; raise `Invalid`.

    The part before the @ is lowered too: no provider of note tells case apart there, and people do
    not remember how they typed it.
    """
    email = text.strip(" ").lower()
    if len(email) > EMAIL_CHARS_MAX or not _is_email(email):
        raise Invalid("This is not an e-mail address.")
    return email


def accepted_password(text: str) -> str:
    """Return a new password as it is to be hashed; raise `Invalid` for one that is not acceptable.

    8 to 128 characters of any script, without control characters.
    """
    if not PASSWORD_CHARS_MIN <= len(text) <= PASSWORD_CHARS_MAX or not _is_password(text):
        raise Invalid(
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
            " and no control characters."
        )
    return normal_password(text)


def normal_password(text: str) -> str:
    """Return the one spelling of a password (RFC 8265, section 4.2: Unicode form NFC).

    Keyboards differ in how they compose Hangul and accents, and people cannot see it.
    """
    return unicodedata.normalize("NFC", text)


def known_role(text: str) -> str:
    """Return the role of that name; raise `Invalid` where there is none."""
    if text not in ROLES:
        raise Invalid(f"There is no role '{text}'; the roles are {' and '.join(ROLES)}.")
    return text
