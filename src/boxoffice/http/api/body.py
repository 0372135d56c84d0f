"""Request bodies: decoded and validated in one pass."""

import codecs
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar, get_args, get_origin

import msgspec

from boxoffice.errors import BadRequest, Invalid, MediaTypeUnsupported, Problem
from boxoffice.platform.text import (
    TYPED_PER_CHAR_MAX,
    TextFault,
    normal_line,
    normal_paragraph,
)

B = TypeVar("B")

JSON_TYPE = "application/json"

# What makes the normal form of a text, by the name that its type gives it (`platform/values.py`).
_NORMAL = {"line": normal_line, "paragraph": normal_paragraph}


class Headed(Protocol):
    """A request, as far as its headers go."""

    def get_header(self, name: str, /) -> str | None: ...


def media_type(req: Headed) -> str:
    """Return the media type of the body without its parameters, lower case."""
    return (req.get_header("Content-Type") or "").partition(";")[0].strip().lower()


def require_type(req: Headed, media_types: tuple[str, ...]) -> None:
    """Raise `MediaTypeUnsupported` unless the body is declared as one of `media_types`."""
    if media_type(req) not in media_types:
        raise MediaTypeUnsupported(f"This call takes {' or '.join(media_types)}.")


class _Text(NamedTuple):
    """A typed text member, and the maximum length of its normal form."""

    name: str
    normal: Callable[[str], str]
    chars_max: int
    default: object

    def settle(self, body: object, typed: str) -> None:
        """Normalize what was typed; raise `Invalid` for text without a normal form."""
        try:
            # Longer text is refused below, so only the part that may be valid is normalized.
            text = self.normal(typed[: self.chars_max * TYPED_PER_CHAR_MAX + 1])
        except TextFault as fault:
            raise self._refusal(fault.complaint) from fault
        if len(text) > self.chars_max or len(typed) > self.chars_max * TYPED_PER_CHAR_MAX:
            raise self._refusal(f"has more than {self.chars_max} characters")
        if text != typed:
            msgspec.structs.force_setattr(body, self.name, text)  # type: ignore[arg-type]

    def _refusal(self, complaint: str) -> Invalid:
        message = f"{self.name} {complaint}"
        return Invalid(f"{message}.", errors=[{"path": f"$.{self.name}", "message": message}])


class Reader(Generic[B]):
    """Reads bodies of one kind; `invalid` names the problem of a member that has one of its own."""

    def __init__(self, kind: Any, invalid: Mapping[str, type[Problem]] | None = None) -> None:
        self._decode: Callable[[bytes], B] = msgspec.json.Decoder(kind).decode
        self._invalid = invalid or {}
        self._defaults = _defaults(kind)
        self._texts = _texts(kind)

    def read(self, raw: bytes) -> B:
        """Decode and validate `raw`; lines and paragraphs get their normal form.

        Raises `BadRequest` for a body that is not JSON (RFC 8259) or repeats a member. For JSON of
        another shape it raises `Invalid`, or the problem that `invalid` names for the member.
        """
        try:
            body = self._decode(raw)
        except msgspec.ValidationError as error:
            _require_well_formed(raw)
            raise _invalid(error, self._invalid) from error
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise BadRequest(f"The body is not acceptable JSON: {error}.") from error
        # The decoder keeps the last of two members with one name. Every member brings a colon, so a
        # body with one colon, or no more colons than members that were set, has no repetition; the
        # others are read again.
        colons = raw.count(b":")
        if colons > 1 and colons > self._members_set(body):
            json.loads(raw, object_pairs_hook=_unrepeated)
        for text in self._texts:
            typed = getattr(body, text.name)
            # None and UNSET are no text; a default was not typed.
            if isinstance(typed, str) and typed != text.default:
                text.settle(body, typed)
        return body

    def _members_set(self, body: B) -> int:
        """Return how many members were set at the least: one that is its default may not have been."""
        members_set = 0
        for name, default in self._defaults:
            if getattr(body, name) is not default:
                members_set += 1
        return members_set


_look_through = msgspec.json.Decoder(msgspec.Raw).decode
# Strings are passed over unread.
_Utf8 = codecs.getincrementaldecoder("utf-8")
_LOOKED_AT_BYTES = 65_536


def _require_well_formed(raw: bytes) -> None:
    # The decoder stops at the first thing that it does not expect; what comes after may be no JSON.
    # It is looked through and not made: 16 MiB of `[],` would be 340 MiB of lists.
    try:
        _look_through(raw)
        utf8 = _Utf8()
        for at in range(0, len(raw), _LOOKED_AT_BYTES):
            utf8.decode(raw[at : at + _LOOKED_AT_BYTES])
        utf8.decode(b"", final=True)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadRequest(f"The body is not acceptable JSON: {error}.") from error


def _invalid(error: msgspec.ValidationError, named: Mapping[str, type[Problem]]) -> Problem:
    message, _, path = str(error).partition(" - at `")
    path = path.rstrip("`")
    member = path.removeprefix("$.").partition(".")[0].partition("[")[0]
    problem = named.get(member, Invalid)
    # A missing member has no path of its own: the decoder names it in the message.
    for name, kind in named.items():
        if f"missing required field `{name}`" in message:
            problem = kind
    return problem(f"{message}.", errors=[{"path": path or "$", "message": message}])


def _defaults(kind: Any) -> tuple[tuple[str, object], ...]:
    """Return the members of a type with their defaults, none for a type that has no members."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if not (isinstance(plain, type) and issubclass(plain, msgspec.Struct)):
        return ()
    members = msgspec.structs.fields(plain)
    made_anew = msgspec.NODEFAULT
    return tuple((one.name, one.default) for one in members if one.default_factory is made_anew)


def _texts(kind: Any) -> tuple[_Text, ...]:
    """Return the members of a type that people type."""
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if not (isinstance(plain, type) and issubclass(plain, msgspec.Struct)):
        return ()
    found = []
    for member in msgspec.structs.fields(plain):
        for one in (member.type, *get_args(member.type)):
            metas = getattr(one, "__metadata__", ())
            found += [
                _Text(
                    member.name,
                    _NORMAL[meta.extra["text"]],
                    meta.extra["chars_max"],
                    member.default,
                )
                for meta in metas
                if isinstance(meta, msgspec.Meta) and meta.extra and "text" in meta.extra
            ]
    return tuple(found)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest("A JSON object repeats a member.")
    return members
