"""Access tokens: signed by this service, verified by each process without asking anybody.

JSON Web Tokens (RFC 7519) with HMAC-SHA256. The library mints them, and verifies what it did not spell
itself; time is checked here, because it comes from the database's clock and not from this machine's.

Nearly every token has the very header that this service writes. Those are verified by hand, which
leaves nothing to interpret: the header is compared as a whole, so there is one algorithm; the signature
is that of HMAC-SHA256 over the text before it; and the claims are decoded into one type. It takes a
tenth of the library's time, which everybody who has just come costs each process once.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import jwt
import msgspec

from boxoffice.accounts import rules
from boxoffice.accounts.revocations import EndedToken, Endings, Version
from boxoffice.errors import TokenExpired, TokenInvalid, Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.signing import SIGNED_CHARS_MAX, KeyRing, SigningKey, decode_base64url
from boxoffice.settings import AccountSettings

ENDED = "The access token was ended by a log-out or by another role: log in again."
_TOKEN_ID_BYTES = 12

_ALGORITHM = "HS256"
_NAME = "boxoffice"
_OPTIONS: Any = {
    "require": ["sub", "role", "iat", "exp", "iss", "aud"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "strict_aud": True,
    "enforce_minimum_key_length": True,
}


class Caller(msgspec.Struct, frozen=True):
    """The person a verified token stands for, and which token it is.

    `version` is that of the person's tokens at its log-in, `expires_at` seconds since the Unix epoch.
    """

    user_id: UUID
    role: str
    version: int = 0
    token_id: str = ""
    expires_at: int = 0


class _Header(msgspec.Struct, frozen=True):
    kid: str


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    sub: str
    role: str
    iat: int
    exp: int
    # Tokens of earlier releases have neither.
    ver: int = 0
    jti: str = ""


_decode_claims = msgspec.json.Decoder(_Claims).decode


class _Verified(NamedTuple):
    caller: Caller
    good_until: float


class TokenAuthority:
    """Mints and verifies tokens with the keys of a `KeyRing`.

    A new or removed key takes effect within `token_key_refresh_s` while the database answers. A token
    of a key that this process does not know yet is accepted at most one second and one query after
    its first refusal.

    Tokens that end before their time (see `Endings`) are read at the same times, and refused from then
    on; those that end in this process, at once.
    """

    def __init__(
        self,
        settings: AccountSettings,
        load_keys: Callable[[], Awaitable[Sequence[SigningKey]]],
        now: Callable[[], float],
        endings: Endings | None = None,
    ) -> None:
        self._endings = endings or Endings(now)
        self._ttl_s = settings.access_token_ttl_s
        self._cache_max = settings.token_cache_max
        self._now = now
        self.keys = KeyRing(load_keys, now, settings.token_key_refresh_s)
        # The keys by the header segment of the tokens that they sign here.
        self._by_header: dict[str, SigningKey] = {}
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    @property
    def ttl_s(self) -> int:
        """The life of a token in seconds."""
        return self._ttl_s

    def verify(self, token: str) -> Caller:
        """Return who a token stands for; raise `TokenInvalid`, `TokenExpired` or `Unavailable`."""
        known = self._verified.get(token)
        # guard: token_what_was_verified_ends_with_its_time => if known is not None:
        if known is not None and self._now() < known.good_until:
            self._verified.move_to_end(token)
            return known.caller
        verified = self._verify_cold(token)
        self._verified[token] = verified
        # guard: token_cache_is_bounded => if False:
        if len(self._verified) > self._cache_max:
            self._verified.popitem(last=False)
        return verified.caller

    def mint(self, user_id: UUID, role: str, version: int = 0) -> str:
        """Return a token for a person whose tokens have this version.

        Raises `Unavailable` while no key is loaded.
        """
        now = self._now()
        key = self.keys.signing_key(self._ttl_s)
        issued_at = int(now)
        claims = {
            "iss": _NAME,
            "aud": _NAME,
            "sub": str(user_id),
            "role": role,
            "iat": issued_at,
            "exp": issued_at + self._ttl_s,
            "ver": version,
            "jti": secrets.token_urlsafe(_TOKEN_ID_BYTES),
        }
        return jwt.encode(claims, key.secret, _ALGORITHM, headers={"kid": key.kid})

    def end_token(self, caller: Caller) -> None:
        """Refuse a token from now on, in this process."""
        self._endings.end(EndedToken(caller.token_id, caller.expires_at))
        self._forget_ended()

    def end_below(self, user_id: UUID, version: int) -> None:
        """Refuse the tokens of a person below a version from now on, in this process."""
        self._endings.end_below(Version(user_id, version, self._now()))
        self._forget_ended()

    async def refresh(self) -> None:
        """Read the keys and what has ended now.

        An error passes through and leaves in force what was read last.
        """
        if await self.keys.refresh():
            # What was verified with a key that is gone, or has got an end, must be verified again.
            # guard: token_key_that_is_gone_takes_its_tokens_along
            self._verified.clear()
            self._by_header = {_header_of(key): key for key in self.keys.keys.values()}
        if await self._endings.refresh():
            self._forget_ended()

    async def keep_fresh(self) -> None:
        """Read the keys again and again until cancelled; while that fails, the last keys hold."""
        while True:
            await self.keys.wait_until_due()
            try:
                await self.refresh()
            except Exception as error:
                log.warning("token_keys_not_refreshed", error=repr(error))

    def _verify_cold(self, token: str) -> _Verified:
        self._verified.pop(token, None)
        # guard: token_long_one_is_not_read => if not token.isascii():
        # guard: token_only_ascii: or not token.isascii() =>
        if len(token) > SIGNED_CHARS_MAX or not token.isascii():
            raise TokenInvalid
        now = self._now()
        header, _, rest = token.partition(".")
        key = self._by_header.get(header)
        if key is None:
            key = self._key_of(token, now)
            claims = _decode(token, key.secret)
        # guard: token_expired_key_verifies_nothing_cached => elif True:
        elif key.verifies_at(now):
            claims = _decode_own(token, rest, key.secret)
        else:
            raise TokenInvalid
        caller = _read(claims, token)
        expires_at = caller.expires_at
        # guard: token_it_ends => if False:
        if now >= expires_at:
            raise TokenExpired
        # guard: token_it_may_end_before_its_time => if False:
        if self._has_ended(caller):
            raise TokenInvalid(ENDED)
        # A key that is being retired takes its tokens along.
        # guard: token_it_ends_with_its_key => until = expires_at
        until = expires_at if key.verifies_until is None else min(expires_at, key.verifies_until)
        return _Verified(caller, until)

    def _has_ended(self, caller: Caller) -> bool:
        return self._endings.has(caller.user_id, caller.version, caller.token_id)

    def _forget_ended(self) -> None:
        """Have the tokens verified again that have ended."""
        known = self._verified.items()
        for token in [token for token, one in known if self._has_ended(one.caller)]:
            # guard: token_ended_token_is_not_cached => pass
            del self._verified[token]

    def _key_of(self, token: str, now: float) -> SigningKey:
        if not self.keys.keys:
            raise Unavailable("The keys of the access tokens are not loaded yet.")
        key = self.keys.find(_kid(token))
        # guard: token_key_that_is_over_verifies_nothing => if False:
        if not key.verifies_at(now):
            raise TokenInvalid
        return key


def _header_of(key: SigningKey) -> str:
    """Return the header segment of the tokens that `mint` makes with `key`."""
    return jwt.encode({}, key.secret, _ALGORITHM, headers={"kid": key.kid}).partition(".")[0]


def _decode_own(token: str, rest: str, secret: bytes) -> Mapping[str, Any]:
    """Return the claims of a token whose header is our own; `rest` is what follows it."""
    payload, dot, signature = rest.partition(".")
    signed = token[: len(token) - len(dot) - len(signature)]
    expected = hmac.digest(secret, signed.encode("ascii"), "sha256")
    spelt = urlsafe_b64encode(expected).rstrip(b"=")
    # Compared as text, so that there is one spelling of a signature.
    # guard: token_signature_is_canonical => if False:
    if not hmac.compare_digest(spelt, signature.encode("ascii")):
        raise TokenInvalid
    try:
        claims = _decode_claims(decode_base64url(payload))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise TokenInvalid from None
    # guard: token_issuer_and_audience_are_canonical => if False:
    if claims.iss != _NAME or claims.aud != _NAME:
        raise TokenInvalid
    return msgspec.structs.asdict(claims)


def _kid(token: str) -> str:
    """Return the name of the key that a token claims; nothing is believed before its signature."""
    head = token.partition(".")[0]
    try:
        return msgspec.json.decode(decode_base64url(head), type=_Header).kid
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise TokenInvalid from None


def _decode(token: str, secret: bytes) -> Mapping[str, Any]:
    # guard: token_canonical_spelling_of_signature => if False:
    if not _is_canonical(token.rpartition(".")[2]):
        raise TokenInvalid
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            secret,
            # guard: token_one_algorithm: _ALGORITHM => _ALGORITHM, "HS384", "HS512"
            algorithms=[_ALGORITHM],
            # guard: token_audience { => issuer=_NAME, options={**_OPTIONS, "verify_aud": False},
            audience=_NAME,
            # guard: token_issuer
            issuer=_NAME,
            # guard: token_every_claim_is_there => options={**_OPTIONS, "require": []},
            options=_OPTIONS,
            # guard: }
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise TokenInvalid from None
    return claims


def _is_canonical(segment: str) -> bool:
    """Whether base64url text (RFC 4648, section 5) is the spelling that an encoder writes.

    The last character has spare bits, and decoders allow for padding or skip what they do not know:
    without this the signature, the one part that is not itself signed, would have many spellings.
    """
    try:
        spelt = urlsafe_b64encode(decode_base64url(segment))
    except ValueError:
        return False
    return spelt.rstrip(b"=").decode("ascii") == segment


def _read(claims: Mapping[str, Any], token: str) -> Caller:
    role, expires_at = claims["role"], claims["exp"]
    version, token_id = claims.get("ver", 0), claims.get("jti", "")
    # guard: token_role_that_exists: role not in rules.ROLES or =>
    # guard: token_end_that_is_number => if role not in rules.ROLES:
    if role not in rules.ROLES or not isinstance(expires_at, int):
        raise TokenInvalid
    if not isinstance(version, int) or not isinstance(token_id, str):
        raise TokenInvalid
    try:
        return Caller(UUID(claims["sub"]), role, version, token_id or _digest(token), expires_at)
    except ValueError:
        raise TokenInvalid from None


def _digest(token: str) -> str:
    """Return what names a token without a name of its own: two of one second may be the same."""
    return sha256(token.encode("ascii")).hexdigest()[:32]
