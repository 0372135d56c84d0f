"""The rules for e-mail addresses, passwords and roles."""

import re
import unicodedata
from collections.abc import Container, Iterator

from boxoffice.errors import Invalid, PasswordCommon

BUYER = "buyer"
ORGANIZER = "organizer"
OPERATOR = "operator"
ROLES = (BUYER, ORGANIZER, OPERATOR)

EMAIL_CHARS_MAX = 254  # RFC 5321, section 4.5.3.1.3: a path of 256 octets, less its brackets
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 128
# As typed: normalization composes up to four characters into one (Unicode's UAX #15), so longer text
# cannot become 128 characters.
PASSWORD_TYPED_CHARS_MAX = 4 * PASSWORD_CHARS_MAX

# "Valid e-mail address" of the WHATWG HTML standard: what a browser's e-mail field accepts.
_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*"

# For schemas; surrounding spaces are allowed because they are trimmed.
EMAIL_PATTERN = rf"^ *{_EMAIL} *$"
PASSWORD_PATTERN = r"^[^\x00-\x1f\x7f]*$"  # noqa: S105 - a pattern, not a secret

_SHOP = "boxoffice"

# Two characters in sequence occur in every password.
_RUN_MIN = 3

_is_repeated = re.compile(r"(.{1,4})\1+", re.DOTALL).fullmatch
_is_email = re.compile(_EMAIL).fullmatch
_is_password = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*").fullmatch


def normal_email(text: str) -> str:
    """Return the normal form of an address, trimmed and in lower case; raise `Invalid`.

    The part before the @ is lowered as well: no major provider distinguishes case there.
    """
    # Checked before it is lowered, because the kelvin sign becomes the letter k.
    email = text.strip(" ")
    if len(email) > EMAIL_CHARS_MAX or not _is_email(email):
        raise Invalid("This is not an e-mail address.")
    return email.lower()


def accepted_password(text: str, path: str = "$.password") -> str:
    """Return a new password in the form that is hashed; raise `Invalid` for one that is not allowed.

    8 to 128 characters of any script in normal form, without control characters. `path` is the member
    of the request that has it.
    """
    password = normal_password(text[: PASSWORD_TYPED_CHARS_MAX + 1])
    is_of_length = PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX
    if not is_of_length or not _is_password(password):
        message = (
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
            " and no control characters."
        )
        raise Invalid(message, errors=[{"path": path, "message": message}])
    return password


def normal_password(text: str) -> str:
    """Return the normal form of a password: OpaqueString of RFC 8265, section 4.2.2.

    Spaces of every kind become U+0020 and the text becomes NFC, because keyboards differ invisibly in
    how they compose Hangul and accents and in which space they type.
    """
    spaced = "".join(" " if unicodedata.category(char) == "Zs" else char for char in text)
    return unicodedata.normalize("NFC", spaced)


def password_spellings(text: str) -> tuple[str, ...]:
    """Return the forms in which a typed password may have been hashed, the normal form first.

    Earlier releases and imported hashes used the other forms.
    """
    return tuple(dict.fromkeys((normal_password(text), unicodedata.normalize("NFC", text), text)))


def require_uncommon(
    password: str, email: str, name: str, common: Container[str], path: str = "$.password"
) -> None:
    """Raise `PasswordCommon` for a new password that would be among the first guesses.

    These are the `common` ones (in lower case), the name of this service, the person's e-mail address
    and name, and simple patterns. Case, width, spaces and invisible characters are ignored.
    """
    guess = _folded(password)
    own = {_folded(word) for word in (email, email.partition("@")[0], name, _SHOP)}
    if guess in common or guess in own or _is_pattern(guess):
        message = PasswordCommon.title
        raise PasswordCommon(message, errors=[{"path": path, "message": message}])


def _folded(text: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char) not in ("Zs", "Cf"))


def _is_pattern(guess: str) -> bool:
    """Return whether a password is a repetition of a few characters, or consists of runs.

    Runs are `aaa`, `abc` and `321`. The list of common passwords leaves patterns out.
    """
    return _is_repeated(guess) is not None or all(length >= _RUN_MIN for length in _runs(guess))


def _runs(guess: str) -> Iterator[int]:
    """Yield the lengths of the runs of a text, each as long as possible."""
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
    """Return the distance of two characters, None where it is no step of a run."""
    step = ord(char) - ord(before)
    if before + char in ("90", "09"):
        step = 1 if char == "0" else -1
    return step if abs(step) <= 1 else None


def known_role(text: str) -> str:
    """Return the role of this name; raise `Invalid` for an unknown one."""
    if text not in ROLES:
        raise Invalid(f"There is no role '{text}'; the roles are {', '.join(ROLES)}.")
    return text
