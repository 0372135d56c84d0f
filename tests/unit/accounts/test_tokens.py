"""Access tokens: nothing forged, foreign, mutated, late or retired is let in."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from boxoffice.accounts.tokens import TokenAuthority
from boxoffice.errors import TokenExpired, TokenInvalid, Unavailable
from boxoffice.platform.signing import SIGNED_CHARS_MAX, SigningKey
from boxoffice.settings import Settings
from tests.integration.accounts.conftest import who

NOW = 1_000_000_000.0  # 2001: by this machine's clock every token has expired
TTL_S = 3_600
SETTINGS = Settings.of(access_token_ttl_s=TTL_S, token_cache_max=4, token_key_refresh_s=15.0)
SECRET = b"s" * 32
PERSON = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


class Keys:
    """A key table and a clock that a test turns; counts how often the keys are read."""

    def __init__(self) -> None:
        self.keys: list[SigningKey] = [key("one")]
        self.at = NOW
        self.reads = 0
        self.reading = 0
        self.broken = False

    async def load(self) -> Sequence[SigningKey]:
        """Return the keys, or fail like a database that is away."""
        self.reads += 1
        self.reading += 1
        if self.reading > 1:
            raise RuntimeError("two reads at a time")
        await asyncio.sleep(0)
        self.reading -= 1
        if self.broken:
            raise Unavailable
        return list(self.keys)

    def now(self) -> float:
        """Return the time of the test."""
        return self.at


def key(
    kid: str,
    secret: bytes = SECRET,
    created_at: float = NOW - 1_000,
    verifies_until: float | None = None,
) -> SigningKey:
    return SigningKey(kid=kid, secret=secret, created_at=created_at, verifies_until=verifies_until)


@pytest.fixture
def table() -> Keys:
    return Keys()


@pytest.fixture
async def authority(table: Keys) -> TokenAuthority:
    made = TokenAuthority(SETTINGS.accounts, table.load, table.now)
    await made.refresh()
    return made


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# Our own spelling of a header is verified by hand, any other one by the library.
OURS, OTHER = (",", ":"), (", ", ": ")


def signed(
    header: dict[str, Any],
    claims: Any,
    secret: bytes = SECRET,
    digest: str = "sha256",
    spelling: tuple[str, str] = OTHER,
) -> str:
    head = json.dumps(header, separators=spelling)
    text = f"{b64(head.encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), digest).digest())}"


def claims(**changed: Any) -> dict[str, Any]:
    good = {
        "iss": "boxoffice",
        "aud": "boxoffice",
        "sub": str(PERSON),
        "role": "buyer",
        "iat": int(NOW),
        "exp": int(NOW) + TTL_S,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


HEADER = {"alg": "HS256", "kid": "one", "typ": "JWT"}


def refused(authority: TokenAuthority, token: str) -> bool:
    try:
        authority.verify(token)
    except TokenInvalid:
        return True
    return False


async def test_a_token_names_its_caller(authority: TokenAuthority) -> None:
    token = authority.mint(PERSON, "organizer")
    assert who(authority.verify(token)) == (PERSON, "organizer")
    assert authority.verify(token) is authority.verify(token)
    assert jwt.get_unverified_header(token) == HEADER


@pytest.mark.parametrize("spelling", [OURS, OTHER])
async def test_the_reference_encoding_is_accepted(
    authority: TokenAuthority, spelling: tuple[str, str]
) -> None:
    # The control of the refusals below: a token made by hand is right but for what a test breaks.
    token = signed(HEADER, claims(), spelling=spelling)
    assert who(authority.verify(token)) == (PERSON, "buyer")


async def test_our_own_spelling_is_verified_by_hand(
    authority: TokenAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: Any, **_options: Any) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(jwt, "decode", never)
    assert who(authority.verify(signed(HEADER, claims(), spelling=OURS))) == (PERSON, "buyer")
    with pytest.raises(AssertionError):
        authority.verify(signed(HEADER, claims(), spelling=OTHER))


@pytest.mark.parametrize(
    "header",
    [
        HEADER | {"alg": "none"},
        HEADER | {"alg": "None"},
        HEADER | {"alg": "HS512"},
        HEADER | {"alg": "RS256"},
        HEADER | {"alg": None},
        {"kid": "one"},
        {"alg": "HS256"},
        HEADER | {"kid": ""},
        HEADER | {"kid": "two"},
        HEADER | {"kid": 1},
        HEADER | {"kid": ["one"]},
        HEADER | {"crit": ["x"]},
    ],
)
async def test_other_headers_are_refused(authority: TokenAuthority, header: dict[str, Any]) -> None:
    for spelling in (OURS, OTHER):
        token = signed(header, claims(), spelling=spelling)
        assert refused(authority, token)
        assert refused(authority, signed(header, claims(), digest="sha512", spelling=spelling))
        assert refused(authority, token.rpartition(".")[0] + ".")


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "elsewhere"},
        {"iss": None},
        {"aud": "elsewhere"},
        {"aud": ["boxoffice"]},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"sub": "nobody"},
        {"role": None},
        {"role": "admin"},
        {"role": ["buyer"]},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": NOW + TTL_S + 0.5},
        {"exp": [int(NOW) + TTL_S]},
        {"iat": None},
        {"iat": True},
        {"ver": "0"},
        {"ver": True},
        {"jti": 7},
    ],
)
async def test_other_claims_are_refused(authority: TokenAuthority, changed: dict[str, Any]) -> None:
    for spelling in (OURS, OTHER):
        assert refused(authority, signed(HEADER, claims(**changed), spelling=spelling))


@pytest.mark.parametrize("payload", [[], "text", 7, None])
async def test_claims_that_are_no_object_are_refused(
    authority: TokenAuthority, payload: Any
) -> None:
    for spelling in (OURS, OTHER):
        assert refused(authority, signed(HEADER, payload, spelling=spelling))


async def test_a_foreign_key_is_refused(authority: TokenAuthority) -> None:
    assert refused(authority, signed(HEADER, claims(), secret=b"x" * 32))
    assert refused(authority, signed(HEADER, claims(), secret=b""))


def _garbage() -> Iterator[str]:
    yield from ("", ".", "..", "...", "a.b.c", "\x00", "좌석.좌석.좌석", "\ud800.a.b")
    deep = b64(b"[" * 1_400)
    yield f"{deep}.e30.e30"
    yield b64(b'{"kid":' + b"[" * 1_300) + ".e30."
    yield b64(b'{"alg":"HS256","kid":"one","b64":false,"crit":["b64"]}') + "..e30"
    yield b64(b'{"alg":"HS256","kid":"\\ud800"}') + ".e30.e30"


@pytest.mark.parametrize("token", list(_garbage()), ids=ascii)
async def test_garbage_is_refused(authority: TokenAuthority, token: str) -> None:
    assert refused(authority, token)


async def test_a_long_token_is_refused_before_it_is_read(authority: TokenAuthority) -> None:
    padded = signed(HEADER, claims(pad="x" * 1_300))
    assert len(padded) <= SIGNED_CHARS_MAX
    assert not refused(authority, padded)
    longer = signed(HEADER, claims(pad="x" * 1_500))
    assert len(longer) > SIGNED_CHARS_MAX
    assert refused(authority, longer)


@pytest.mark.parametrize("spelling", [OURS, OTHER])
async def test_every_mutated_byte_is_refused(
    authority: TokenAuthority, spelling: tuple[str, str]
) -> None:
    # Each byte becomes each other byte, as headers are read: among them all the spare bits of base64.
    token = signed(HEADER, claims(), spelling=spelling)
    authority.verify(token)
    bytes_of_headers = [chr(byte) for byte in range(256)]
    for at, char in enumerate(token):
        before, after = token[:at], token[at + 1 :]
        for other in bytes_of_headers:
            if other != char:
                assert refused(authority, before + other + after), (at, char, other)


async def test_another_spelling_of_the_signature_is_refused(authority: TokenAuthority) -> None:
    token = authority.mint(PERSON, "buyer")
    # Negative control: the library alone takes the padded one for the same token.
    jwt.decode(
        token + "=",
        SECRET,
        algorithms=["HS256"],
        audience="boxoffice",
        options={"verify_exp": False},
    )
    twin = token[:-1] + chr(ord(token[-1]) + 1)
    assert _signature(twin) == _signature(token)
    assert refused(authority, twin)
    for spelling in (
        token + "=",
        token + "\n",
        token + " ",
        token[:-9] + "\n" + token[-9:],
        "=" + token,
    ):
        assert refused(authority, spelling), spelling


def _signature(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.rpartition(".")[2] + "=")


@pytest.mark.parametrize("cut", range(1, 8))
async def test_a_cut_token_is_refused(authority: TokenAuthority, cut: int) -> None:
    token = authority.mint(PERSON, "buyer")
    assert refused(authority, token[:-cut])
    assert refused(authority, token[cut:])


async def test_time_is_the_clock_that_was_given(table: Keys, authority: TokenAuthority) -> None:
    token = authority.mint(PERSON, "buyer")
    # Negative control: by this machine's clock the token ended long ago.
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, SECRET, algorithms=["HS256"], audience="boxoffice")
    table.at = NOW + TTL_S - 0.001
    assert authority.verify(token).user_id == PERSON
    table.at = NOW - 86_400
    assert authority.verify(token).user_id == PERSON


@pytest.mark.parametrize("cached", [True, False])
async def test_a_token_ends(table: Keys, authority: TokenAuthority, cached: bool) -> None:
    token = authority.mint(PERSON, "buyer")
    if cached:
        authority.verify(token)
    table.at = NOW + TTL_S
    for _ in range(2):
        with pytest.raises(TokenExpired):
            authority.verify(token)


async def test_the_cache_is_bounded_and_forgets_the_least_used(
    table: Keys, authority: TokenAuthority
) -> None:
    tokens = [
        authority.mint(uuid4(), "buyer") for _ in range(SETTINGS.accounts.token_cache_max + 1)
    ]
    kept = [authority.verify(token) for token in tokens[:-1]]
    assert authority.verify(tokens[0]) is kept[0]
    authority.verify(tokens[-1])
    assert len(authority._verified) == SETTINGS.accounts.token_cache_max
    assert authority.verify(tokens[0]) is kept[0]
    assert authority.verify(tokens[1]) == kept[1]
    assert authority.verify(tokens[1]) is not kept[1]


async def test_a_retired_key_takes_cached_tokens_along(
    table: Keys, authority: TokenAuthority
) -> None:
    token = authority.mint(PERSON, "buyer")
    authority.verify(token)
    table.keys = [key("two", b"t" * 32)]
    await authority.refresh()
    assert refused(authority, token)


async def test_a_key_ends_on_time_without_a_refresh(table: Keys, authority: TokenAuthority) -> None:
    token = authority.mint(PERSON, "buyer")
    table.keys = [key("one", verifies_until=NOW + 60), key("two", b"t" * 32)]
    await authority.refresh()
    table.at = NOW + 59
    authority.verify(token)
    table.at = NOW + 60
    assert refused(authority, token)


async def test_a_new_key_signs_once_every_process_can_know_it(
    table: Keys, authority: TokenAuthority
) -> None:
    spread_s = 2 * SETTINGS.accounts.token_key_refresh_s
    table.keys = [
        key("one", verifies_until=NOW + TTL_S + spread_s),
        key("two", b"t" * 32, created_at=NOW),
    ]
    await authority.refresh()

    def kid() -> str:
        return str(jwt.get_unverified_header(authority.mint(PERSON, "buyer"))["kid"])

    assert kid() == "one"
    table.at = NOW + spread_s
    assert kid() == "two"


async def test_a_new_key_signs_at_once_where_the_old_one_would_end_before_its_tokens(
    table: Keys, authority: TokenAuthority
) -> None:
    table.keys = [
        key("one", verifies_until=NOW + TTL_S - 1),
        key("two", b"t" * 32, created_at=NOW),
    ]
    await authority.refresh()
    assert jwt.get_unverified_header(authority.mint(PERSON, "buyer"))["kid"] == "two"


async def test_without_keys_nothing_is_promised(table: Keys) -> None:
    authority = TokenAuthority(SETTINGS.accounts, table.load, table.now)
    with pytest.raises(Unavailable):
        authority.mint(PERSON, "buyer")
    with pytest.raises(Unavailable):
        authority.verify(signed(HEADER, claims()))


async def _until(condition: Any, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> float:
    """Shorten the pause between two early looks, and return it in seconds."""
    monkeypatch.setattr("boxoffice.platform.signing.EARLY_REFRESH_EVERY_S", 0.05)
    return 0.05


async def test_an_unknown_key_brings_an_early_look_and_no_more_than_one(
    table: Keys, authority: TokenAuthority, quick_looks: float
) -> None:
    started = asyncio.get_running_loop().time()
    fresh = asyncio.create_task(authority.keep_fresh())
    table.keys.append(key("two", b"t" * 32))
    token = signed(HEADER | {"kid": "two"}, claims(), b"t" * 32)
    assert refused(authority, token)
    before = table.reads
    await _until(lambda: not refused(authority, token))
    unknown = signed(HEADER | {"kid": "none"}, claims())
    while table.reads < before + 4:
        for _ in range(50):
            assert refused(authority, unknown)
        await asyncio.sleep(0.001)
    looks = table.reads - before
    elapsed = asyncio.get_running_loop().time() - started
    assert looks <= elapsed / quick_looks
    fresh.cancel()


async def test_known_keys_ask_for_no_early_look(
    table: Keys, authority: TokenAuthority, quick_looks: float
) -> None:
    fresh = asyncio.create_task(authority.keep_fresh())
    forged = signed(HEADER, claims(), secret=b"x" * 32)
    ends = asyncio.get_running_loop().time() + 4 * quick_looks
    while asyncio.get_running_loop().time() < ends:
        assert refused(authority, forged)
        await asyncio.sleep(0.005)
    assert table.reads == 1
    fresh.cancel()


async def test_the_last_keys_hold_while_the_database_is_away(
    table: Keys, quick_looks: float
) -> None:
    quick = Settings.of(token_key_refresh_s=0.06)
    authority = TokenAuthority(quick.accounts, table.load, table.now)
    await authority.refresh()
    token = authority.mint(PERSON, "buyer")
    table.broken = True
    fresh = asyncio.create_task(authority.keep_fresh())
    await _until(lambda: table.reads >= 3)
    assert authority.verify(token).user_id == PERSON
    table.keys = [key("two", b"t" * 32)]
    table.broken = False
    await _until(lambda: refused(authority, token))
    assert not fresh.done()
    fresh.cancel()


def test_the_reference_signer_is_what_the_standard_says() -> None:
    # RFC 7515, appendix A.1: the checker above is checked.
    secret = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    )
    made = b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())
    assert made == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
