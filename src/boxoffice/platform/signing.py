"""Signs short texts with keys that are rotated while several processes run (HMAC-SHA256)."""

import asyncio
import contextlib
import hmac
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from boxoffice.errors import TokenInvalid, Unavailable
from boxoffice.platform.ids import decode_base64url, encode_base64url

SIGNED_CHARS_MAX = 2_048
EARLY_REFRESH_EVERY_S = 1.0
_CHOSEN_FOR_S = 1.0


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A secret; times are seconds since the Unix epoch by the database's clock."""

    kid: str
    secret: bytes
    created_at: float
    verifies_until: float | None

    def verifies_at(self, now: float) -> bool:
        """Whether signatures of this key count at `now`."""
        # guard: token_retired_key_ends => return True
        return self.verifies_until is None or now < self.verifies_until

    def derive(self, purpose: bytes) -> bytes:
        """Return 32 bytes for one purpose, which tell nothing of the secret or of another purpose.

        HKDF-Expand of one block (RFC 5869, section 2.3): the secret is random, so there is nothing to
        extract.
        """
        # A sealed text and a JSON Web Token end with base64url, so no seal has this input.
        return hmac.digest(self.secret, purpose + b"\x01", "sha256")


class KeyRing:
    """The signing keys of a process, re-read from the database.

    A new key does not sign before every process has had two refreshes to learn it, as long as an older
    key can still sign, so a planned rotation refuses no token. A text with an unknown key requests an
    early refresh: at most one per second, however many such texts come.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Sequence[SigningKey]]],
        now: Callable[[], float],
        refresh_s: float,
    ) -> None:
        self._load = load
        self._now = now
        self._refresh_s = refresh_s
        self._keys: dict[str, SigningKey] = {}
        # How often the keys have changed: what was verified before the last change may count no more.
        self.changes = 0
        self._refresh_early = asyncio.Event()
        # The key that seals, and until when the choice holds.
        self._sealing: tuple[SigningKey | None, float] = (None, 0.0)
        # The HMAC before any text, per key and purpose: a copy costs half as much as a new one.
        self._macs: dict[tuple[str, bytes], hmac.HMAC] = {}

    @property
    def keys(self) -> Mapping[str, SigningKey]:
        """The keys by their ids."""
        return self._keys

    def verifying(self) -> list[SigningKey]:
        """Return the keys that verify now, the newest first."""
        now = self._now()
        # guard: published_keys_still_verify => able = list(self._keys.values())
        able = [key for key in self._keys.values() if key.verifies_at(now)]
        return sorted(able, key=_age, reverse=True)

    async def refresh(self) -> bool:
        """Read the keys, and return whether they have changed; an error leaves them as they were."""
        keys = {key.kid: key for key in await self._load()}
        has_changed = keys != self._keys
        if has_changed:
            self.changes += 1
            self._sealing = (None, 0.0)
            self._macs.clear()
        self._keys = keys
        return has_changed

    async def wait_until_due(self) -> None:
        """Return when the next refresh is due, regular or early."""
        await asyncio.sleep(min(EARLY_REFRESH_EVERY_S, self._refresh_s))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._refresh_s - EARLY_REFRESH_EVERY_S)):
                await self._refresh_early.wait()
        self._refresh_early.clear()

    def find(self, kid: str) -> SigningKey:
        """Return a key; raise `TokenInvalid` and request an early refresh if it is unknown."""
        key = self._keys.get(kid)
        # guard: token_unknown_key_is_refused: if => or next(iter(self._keys.values())) if
        if key is None:
            self._refresh_early.set()
            raise TokenInvalid
        return key

    def signing_key(self, ttl_s: float) -> SigningKey:
        """Return the key for a signature that is to count for `ttl_s`; raise `Unavailable`."""
        now = self._now()
        until = now + ttl_s
        # guard: token_key_that_ends_too_soon_signs_nothing: until => now
        able = [key for key in self._keys.values() if key.verifies_at(until)]
        if not able:
            raise Unavailable("There is no key to sign access tokens with.")
        # guard: token_new_key_waits_until_known_everywhere => spread = [key for key in able ]
        spread = [key for key in able if key.created_at <= now - 2 * self._refresh_s]
        if spread:
            return max(spread, key=_age)
        return min(able, key=_age)

    def seal(self, purpose: bytes, payload: bytes, ttl_s: float) -> str:
        """Return `payload` as text, signed for one purpose and readable; raise `Unavailable`.

        The key is one that lasts for `ttl_s` if there is one.
        """
        now = self._now()
        key, until = self._sealing
        if key is None or now >= until:
            key = self._sealing_key(ttl_s)
            self._sealing = key, now + _CHOSEN_FOR_S
        signed = f"{key.kid}.{encode_base64url(payload).decode('ascii')}"
        return f"{signed}.{self._seal_of(key, purpose, signed)}"

    def _sealing_key(self, ttl_s: float) -> SigningKey:
        try:
            return self.signing_key(ttl_s)
        except Unavailable:
            return self.signing_key(0.0)

    def unseal(self, purpose: bytes, text: str) -> tuple[bytes, float]:
        """Return the payload sealed for this purpose, and the end of its key (may be infinite).

        Raises `TokenInvalid` for anything else.
        """
        if len(text) > SIGNED_CHARS_MAX or not text.isascii():
            raise TokenInvalid
        signed, _, seal = text.rpartition(".")
        kid, _, payload = signed.partition(".")
        key = self.find(kid)
        spelt = self._seal_of(key, purpose, signed)
        # The signature covers the text before the seal as it is spelt, so there is one spelling.
        if not hmac.compare_digest(spelt, seal) or not key.verifies_at(self._now()):
            raise TokenInvalid
        return decode_base64url(
            payload
        ), math.inf if key.verifies_until is None else key.verifies_until

    def _seal_of(self, key: SigningKey, purpose: bytes, signed: str) -> str:
        found = self._macs.get((key.kid, purpose))
        if found is None:
            # No purpose ends with the beginning of a sealed text, and no JSON Web Token begins with a
            # purpose.
            found = hmac.new(key.secret, purpose + b":", "sha256")
            self._macs[key.kid, purpose] = found
        mac = found.copy()
        mac.update(signed.encode("ascii"))
        return encode_base64url(mac.digest()).decode("ascii")


def _age(key: SigningKey) -> tuple[float, str]:
    return key.created_at, key.kid
