"""What an e-mail address, a password and a role must look like."""

import re
import unicodedata
from collections.abc import Container, Iterator
from typing import Protocol
from uuid import UUID

from boxoffice.errors import Invalid, PasswordCommon

BUYER = "buyer"
ORGANIZER = "organizer"
OPERATOR = "operator"
ROLES = (BUYER, ORGANIZER, OPERATOR)
# Who may look at what organizers have; only organizers change it.
SELLERS = (ORGANIZER, OPERATOR)

EMAIL_CHARS_MAX = 254  # RFC 5321, section 4.5.3.1.3: a path of 256 octets, less its brackets
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 128
# As it is typed: normalization composes up to four characters into one (Unicode's UAX #15), and what
# is longer than this cannot come to 128.
PASSWORD_TYPED_CHARS_MAX = 4 * PASSWORD_CHARS_MAX

# "Valid e-mail address" of the WHATWG HTML standard: what a browser's e-mail field accepts.
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*"

# For schemas, where blanks around an address are allowed because they will be trimmed.
EMAIL_PATTERN = rf"^ *{_EMAIL} *$"
PASSWORD_PATTERN = r"^[^\x00-\x1f\x7f]*$"  # noqa: S105 - a pattern, not a secret

_SHOP = "boxoffice"

# Of two characters some follow each other in every password.
_RUN_MIN = 3

_is_repeated = re.compile(r"(.{1,4})\1+", re.DOTALL).fullmatch
_is_email = re.compile(_EMAIL).fullmatch
_is_password = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*").fullmatch


class Person(Protocol):
    """Who calls, and as what."""

    @property
    def user_id(self) -> UUID: ...
    @property
    def role(self) -> str: ...


def readable_by(caller: Person) -> UUID | None:
    """Return whose concerts a caller may look at: their own, or None for everybody's."""
    return None if caller.role == OPERATOR else caller.user_id


def normal_email(text: str) -> str:
    """Return the one spelling of an address, trimmed and in lower case; raise `Invalid`.

    The part before the @ is lowered too: no provider of note tells case apart there, and people do
    not remember how they typed it.
    """
    # Before it is lowered: the sign of the kelvin becomes the letter k.
    email = text.strip(" ")
    if len(email) > EMAIL_CHARS_MAX or not _is_email(email):
        raise Invalid("This is not an e-mail address.")
    return email.lower()


def accepted_password(text: str) -> str:
    """Return a new password as it is to be hashed; raise `Invalid` for one that is not acceptable.

    8 to 128 characters of any script in normal form, without control characters.
    """
    password = normal_password(text[: PASSWORD_TYPED_CHARS_MAX + 1])
    is_of_length = PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX
    if not is_of_length or not _is_password(password):
        message = (
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
            " and no control characters."
        )
        raise Invalid(message, errors=[{"path": "$.password", "message": message}])
    return password


def normal_password(text: str) -> str:
    """Return the one spelling of a password: OpaqueString of RFC 8265, section 4.2.2.

    Spaces of every kind become U+0020, and the text takes Unicode form NFC: keyboards differ in how
    they compose Hangul and accents and in which space they type, and people cannot see it.
    """
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    return unicodedata.normalize("NFC", spaced)


def password_spellings(text: str) -> tuple[str, ...]:
    """Return what a typed password may have been hashed as, the normal form first.

    The others are what earlier releases, and imports of hashes from elsewhere, made of the same keys.
    """
    return tuple(dict.fromkeys((normal_password(text), unicodedata.normalize("NFC", text), text)))


def require_uncommon(password: str, email: str, name: str, common: Container[str]) -> None:
    """Raise `PasswordCommon` for a new password that would be among the first guesses.

    Those are the `common` ones (in lower case), this shop's name, the person's own e-mail address and
    name, and plain patterns; case, width, spaces and what cannot be seen make no difference.
    """
    guess = _folded(password)
    own = {_folded(word) for word in (email, email.partition("@")[0], name, _SHOP)}
    if guess in common or guess in own or _is_pattern(guess):
        message = PasswordCommon.title
        raise PasswordCommon(message, errors=[{"path": "$.password", "message": message}])


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char) not in ("Zs", "Cf"))


def _is_pattern(guess: str) -> bool:
    """Say whether nothing is left of a password but a few characters over and over, or runs.

    Runs are `aaa`, `abc` and `321`. The list does not have those: its makers recognize them so too.
    """
    return _is_repeated(guess) is not None or all(length >= _RUN_MIN for length in _runs(guess))


def _runs(guess: str) -> Iterator[int]:
    """Yield the lengths of the runs that a text falls into, each as long as it can be."""
    length, step = 0, None
    for before, char in zip(" " + guess, guess, strict=False):
        now = _step(before, char)
        if length == 1 and now is not None:
            step = now
        elif length and (now is None or now != step):
            yield length
            length, step = 0, None
        length += 1
    if length:
        yield length


def _step(before: str, char: str) -> int | None:
    """Return how far a character is behind the one before, None where that is no step of a run."""
    step = ord(char) - ord(before)
    if before + char in ("90", "09"):
        step = 1 if char == "0" else -1
    return step if abs(step) <= 1 else None


def known_role(text: str) -> str:
    """Return the role of that name; raise `Invalid` where there is none."""
    if text not in ROLES:
        raise Invalid(f"There is no role '{text}'; the roles are {', '.join(ROLES)}.")
    return text
