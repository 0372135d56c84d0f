"""Access tokens: signed by this service, verified by each process without a query.

JSON Web Tokens (RFC 7519) with HMAC-SHA256. The library encodes them, and verifies tokens with another
spelling of the header. Times are checked here, by the database's clock.

Tokens with exactly the header that this service writes are verified without the library: the header is
compared as a whole, so there is one algorithm; the signature is HMAC-SHA256 of the text before it; and
the claims are decoded into one type. This takes a tenth of the library's time.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import jwt
import msgspec

from boxoffice.accounts import rules
from boxoffice.accounts.revocations import MinimumVersion, Revocations, RevokedToken
from boxoffice.errors import TokenExpired, TokenInvalid, Unavailable
from boxoffice.observability.logs import log
from boxoffice.platform.ids import decode_base64url, encode_base64url, fast_uuid
from boxoffice.platform.signing import SIGNED_CHARS_MAX, KeyRing, SigningKey
from boxoffice.settings import AccountSettings

REVOKED = "The access token was revoked by a log-out or a change of the account: log in again."
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
    """The person of a verified token, and which token it is.

    `version` is that of the person's tokens at log-in; `expires_at` is in seconds since the Unix epoch.
    `organization_ids` are those in which the person has the permission of an operation, once this was
    read from the database; None: all.
    """

    user_id: UUID
    role: str
    version: int = 0
    token_id: str = ""
    expires_at: int = 0
    organization_ids: tuple[UUID, ...] | None = ()


class IssuedToken(NamedTuple):
    """A new token, its id, and when it expires in seconds since the Unix epoch."""

    text: str
    token_id: str
    expires_at: int


class _Header(msgspec.Struct, frozen=True):
    kid: str


class _Claims(msgspec.Struct, frozen=True, gc=False):
    iss: str
    aud: str
    sub: str
    role: str
    iat: int
    exp: int
    # Tokens of earlier releases have neither of these.
    ver: int = 0
    jti: str = ""


_decode_claims = msgspec.json.Decoder(_Claims).decode


class _OwnKey(NamedTuple):
    """A key, and its HMAC-SHA256 before any text: a copy costs less than a new one."""

    key: SigningKey
    mac: hmac.HMAC


class _Verified(NamedTuple):
    caller: Caller
    good_until: float


class TokenAuthority:
    """Mints and verifies tokens with the keys of a `KeyRing`.

    A new or removed key takes effect within `token_key_refresh_s` while the database answers, and so
    does a revocation of another process; one of this process takes effect at once. A token of a key
    that this process has not read yet is accepted at most one second and one query after its first
    refusal.
    """

    def __init__(
        self,
        settings: AccountSettings,
        load_keys: Callable[[], Awaitable[Sequence[SigningKey]]],
        now: Callable[[], float],
        revocations: Revocations | None = None,
    ) -> None:
        self._revocations = revocations or Revocations(now)
        self._ttl_s = settings.access_token_ttl_s
        self._cache_max = settings.token_cache_max
        self._now = now
        self.keys = KeyRing(load_keys, now, settings.token_key_refresh_s)
        # The keys by the header segment of the tokens that they sign here.
        self._by_header: dict[str, _OwnKey] = {}
        self._verified: OrderedDict[str, _Verified] = OrderedDict()

    @property
    def ttl_s(self) -> int:
        """The lifetime of a token in seconds."""
        return self._ttl_s

    def verify(self, token: str) -> Caller:
        """Return the caller of a token; raise `TokenInvalid`, `TokenExpired` or `Unavailable`."""
        known = self._verified.get(token)
        # guard: token_what_was_verified_ends_with_its_time => if known is not None:
        if known is not None and self._now() < known.good_until:
            self._verified.move_to_end(token)
            return known.caller
        verified = self._verify_uncached(token)
        self._verified[token] = verified
        # guard: token_cache_is_bounded => if False:
        if len(self._verified) > self._cache_max:
            self._verified.popitem(last=False)
        return verified.caller

    def mint(self, user_id: UUID, role: str, version: int = 0) -> str:
        """Return the text of a token that `issue` makes."""
        return self.issue(user_id, role, version).text

    def issue(self, user_id: UUID, role: str, version: int) -> IssuedToken:
        """Return a token for a person whose tokens have this version.

        Raises `Unavailable` while no key is loaded.
        """
        now = self._now()
        key = self.keys.signing_key(self._ttl_s)
        issued_at = int(now)
        token_id, expires_at = secrets.token_urlsafe(_TOKEN_ID_BYTES), issued_at + self._ttl_s
        claims = {
            "iss": _NAME,
            "aud": _NAME,
            "sub": str(user_id),
            "role": role,
            "iat": issued_at,
            "exp": expires_at,
            "ver": version,
            "jti": token_id,
        }
        text = jwt.encode(claims, key.secret, _ALGORITHM, headers={"kid": key.kid})
        return IssuedToken(text, token_id, expires_at)

    def revoke_token(self, token: RevokedToken) -> None:
        """Refuse a token from now on, in this process."""
        self._revocations.revoke(token)
        self._forget_revoked()

    def revoke_below(self, user_id: UUID, version: int) -> None:
        """Refuse the tokens of a person below a version from now on, in this process."""
        self._revocations.revoke_below(MinimumVersion(user_id, version, self._now()))
        self._forget_revoked()

    async def refresh(self) -> None:
        """Read the keys and the revocations; after an error the last ones stay in force."""
        if await self.keys.refresh():
            # Tokens of a key that was removed or got an end must be verified again.
            # guard: token_key_that_is_gone_takes_its_tokens_along
            self._verified.clear()
            self._by_header = {
                _header_of(key): _OwnKey(key, hmac.new(key.secret, digestmod="sha256"))
                for key in self.keys.keys.values()
            }
        if await self._revocations.refresh():
            self._forget_revoked()

    async def keep_fresh(self) -> None:
        """Read the keys when due, until cancelled; while that fails, the last keys stay in force."""
        while True:
            await self.keys.wait_until_due()
            try:
                await self.refresh()
            except Exception as error:  # the last keys stay in force
                log.warning("token_keys_not_refreshed", error=repr(error))

    def _verify_uncached(self, token: str) -> _Verified:
        self._verified.pop(token, None)
        # guard: token_long_one_is_not_read => if not token.isascii():
        # guard: token_only_ascii: or not token.isascii() =>
        if len(token) > SIGNED_CHARS_MAX or not token.isascii():
            raise TokenInvalid
        now = self._now()
        header, _, rest = token.partition(".")
        own = self._by_header.get(header)
        if own is None:
            key = self._key_of(token, now)
            claims = _decode(token, key.secret)
        else:
            key = own.key
            # guard: token_expired_key_verifies_nothing_cached => if False:
            if not key.verifies_at(now):
                raise TokenInvalid
            claims = _decode_own(token, rest, own.mac.copy())
        caller = _read(claims, token)
        expires_at = caller.expires_at
        # guard: token_it_ends => if False:
        if now >= expires_at:
            raise TokenExpired
        # guard: token_it_may_end_before_its_time => if False:
        if self._is_revoked(caller) or self._revocations.covers_log_in(claims.iat):
            raise TokenInvalid(REVOKED)
        # A token is invalid once its key is retired.
        # guard: token_it_ends_with_its_key => until = expires_at
        until = expires_at if key.verifies_until is None else min(expires_at, key.verifies_until)
        return _Verified(caller, until)

    def _is_revoked(self, caller: Caller) -> bool:
        return self._revocations.covers(caller.user_id, caller.version, caller.token_id)

    def _forget_revoked(self) -> None:
        """Remove revoked tokens from the cache."""
        known = self._verified.items()
        for token in [token for token, one in known if self._is_revoked(one.caller)]:
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


def _decode_own(token: str, rest: str, mac: hmac.HMAC) -> _Claims:
    """Return the claims of a token whose header is our own; `rest` is what follows it."""
    payload, dot, signature = rest.partition(".")
    mac.update(token[: len(token) - len(dot) - len(signature)].encode("ascii"))
    spelt = encode_base64url(mac.digest())
    # Compared as text, because base64url has several spellings of one signature.
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
    return claims


def _kid(token: str) -> str:
    """Return the key id that a token claims; it is unverified."""
    head = token.partition(".")[0]
    try:
        return msgspec.json.decode(decode_base64url(head), type=_Header).kid
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise TokenInvalid from None


def _decode(token: str, secret: bytes) -> _Claims:
    # guard: token_canonical_spelling_of_signature => if False:
    if not _is_canonical(token.rpartition(".")[2]):
        raise TokenInvalid
    try:
        claims = jwt.decode(
            token,
            secret,
            # guard: token_one_algorithm: _ALGORITHM => _ALGORITHM, "HS384", "HS512"
            algorithms=[_ALGORITHM],
            # guard: token_audience { => issuer=_NAME, options={**_OPTIONS, "verify_aud": False},
            audience=_NAME,
            # guard: token_issuer
            issuer=_NAME,
            # no guard: The type below requires every claim, too.
            options=_OPTIONS,
            # guard: }
        )
        # guard: token_claims_have_their_types => return _Claims(**claims)
        return msgspec.convert(claims, _Claims)
    except (jwt.PyJWTError, msgspec.MsgspecError, ValueError, RecursionError):
        raise TokenInvalid from None


def _is_canonical(segment: str) -> bool:
    """Return whether base64url text (RFC 4648, section 5) is spelt as an encoder writes it.

    The last character has spare bits, and decoders accept padding and skip unknown characters. Without
    this check one token, whose signature is not itself signed, would have many spellings.
    """
    try:
        spelt = encode_base64url(decode_base64url(segment))
    except ValueError:
        return False
    return spelt.decode("ascii") == segment


def _read(claims: _Claims, token: str) -> Caller:
    role = claims.role
    # guard: token_role_that_exists => if False:
    if role not in rules.ROLES:
        raise TokenInvalid
    try:
        user_id = fast_uuid(claims.sub)
    except ValueError:
        raise TokenInvalid from None
    return Caller(user_id, role, claims.ver, claims.jti or _digest(token), claims.exp)


def _digest(token: str) -> str:
    """Return an id for a token without a `jti`; two tokens of one second may share it."""
    return sha256(token.encode("ascii")).hexdigest()[:32]
