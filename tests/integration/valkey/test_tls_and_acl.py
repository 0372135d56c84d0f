"""TLS with an own CA and client certificates, and a user who may do what the product does, no more."""

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError, RedisError

from boxoffice.app import open_services
from boxoffice.outbox.service import Relay
from boxoffice.platform.postgres.database import Database
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from drills.servers.certificates import Certificates, certificates
from drills.servers.valkey_process import PASSWORD, ValkeyProcess
from tests.e2e.api.conftest import running
from tests.integration.guards.waiting_room.scripts.stand import Stand
from tests.integration.valkey.every_use import PRODUCT, SCRIPTS, use_everything
from tests.journey import set_up, walk
from tests.programs import debian_program

_SHIPPED = Path(__file__).parents[3] / "deploy/valkey/users.acl"
_PLACEHOLDER = "REPLACE-WITH-THE-SHA256-OF-THE-PASSWORD"
_OF_A_SCRIPT = re.compile(r"redis\.call\(\s*'([A-Z]+)'")
_OF_A_MODULE = re.compile(
    r'(?:command|_send|_publish|execute_command)\(\s*"([A-Z]+)"(?:, "([A-Z]+)")?'
)
# What redis-py sends by itself for a subscription and a new connection.
_OF_THE_DRIVER = {
    *("subscribe", "ssubscribe", "sunsubscribe", "select"),
    "client|setname",
}
_OF_SENTINELS = {"sentinel|get-master-addr-by-name"}


@dataclass(frozen=True)
class Secured:
    """A server of Debian behind TLS and an ACL, and the files of the CA."""

    server: ValkeyProcess
    files: Certificates

    def settings(self, **changed: object) -> Settings:
        """Settings of the product's user."""
        return Settings.of(
            **{
                "valkey_url": f"rediss://boxoffice:{PASSWORD}@{self.server.at}/0?client_name=shop",
                "valkey_tls_ca_file": str(self.files.ca),
                "valkey_tls_cert_file": str(self.files.client.certificate),
                "valkey_tls_key_file": str(self.files.client.key),
                "valkey_timeout_ms": 2_000,
                **changed,
            }
        )

    def refusals(self) -> list[str]:
        """What the ACL has refused."""
        return [str(one) for one in self.server.command("ACL", "LOG")]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The server, with the shipped users and an administrator."""
    debian_program("openssl")
    folder = tmp_path_factory.mktemp("secured")
    files = certificates(folder)
    users = folder / "users.acl"
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    shipped = _SHIPPED.read_text(encoding="utf-8").replace(_PLACEHOLDER, digest)
    users.write_text(f"{shipped}user admin on #{digest} ~* &* +@all\n", encoding="utf-8")
    server = ValkeyProcess(
        folder,
        {"aclfile": str(users), "requirepass": "", "masterauth": ""},
        program=debian_program("redis-server"),
        tls=files,
        username="admin",
    )
    server.start()
    yield Secured(server, files)
    server.kill()


@pytest.fixture
async def valkey(secured: Secured) -> AsyncIterator[Valkey]:
    """The product's client."""
    client = Valkey(secured.settings().valkey)
    yield client
    await client.close()


def test_the_shipped_user_may_run_what_the_product_runs_and_no_more() -> None:
    scripts, modules = (
        "\n".join(path.read_text(encoding="utf-8") for path in PRODUCT.rglob(f"*.{kind}"))
        for kind in ("lua", "py")
    )
    sent = set(_OF_A_SCRIPT.findall(scripts))
    pairs = _OF_A_MODULE.findall(modules)
    sent |= {
        f"{first}|{second}" if first in ("CLUSTER", "SENTINEL") else first
        for first, second in pairs
    }
    users = dict(line.split(maxsplit=2)[1:] for line in _SHIPPED.read_text().splitlines())
    allowed = {word[1:] for word in users["boxoffice"].split() if word.startswith("+")}
    used = {name.lower() for name in sent} | _OF_THE_DRIVER
    used = {name for name in used if not name.startswith("sentinel|")}
    assert allowed == used


def test_the_shipped_file_is_refused_until_it_has_a_password(tmp_path: Path) -> None:
    server = ValkeyProcess(
        tmp_path,
        {"aclfile": str(_SHIPPED), "requirepass": "", "masterauth": ""},
        program=debian_program("redis-server"),
    )
    with pytest.raises(RuntimeError, match=r"users\.acl:2"):
        server.start()


async def test_every_use_is_allowed(
    secured: Secured, valkey: Valkey, make_stand: Callable[[Valkey], Stand]
) -> None:
    secured.server.command("ACL", "LOG", "RESET")
    await use_everything(valkey, Settings.of(), make_stand(valkey))
    async with valkey.subscribed("boxoffice:seats", 5.0) as messages:
        await valkey.command("PUBLISH", "boxoffice:seats", "a change")
        assert await anext(messages) == b"a change"
    loaded = secured.server.command("SCRIPT", "EXISTS", *SCRIPTS)
    assert [bool(one) for one in loaded] == [True] * len(SCRIPTS)
    assert secured.refusals() == []


@pytest.mark.parametrize(
    "words",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("KEYS", "*"),
        ("CONFIG", "GET", "*"),
        ("SCRIPT", "FLUSH"),
        ("SHUTDOWN",),
        ("ACL", "LIST"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("REPLICAOF", "NO", "ONE"),
        ("MONITOR",),
        ("GET", "of-another-program"),
        ("EVAL", "return redis.call('GET', KEYS[1])", "1", "of-another-program"),
        ("EVAL", "return redis.call('FLUSHALL')", "0"),
        ("PUBLISH", "of-another-program", "x"),
    ],
)
def test_the_user_may_do_nothing_else(secured: Secured, words: tuple[str, ...]) -> None:
    with (
        secured.server.client(username="boxoffice") as client,
        pytest.raises(RedisError) as refused,
    ):
        client.execute_command(*words)
    refusal = str(refused.value)
    is_refused = isinstance(refused.value, NoPermissionError)
    said = ("can't run this command", "can't access", "has no permissions")
    assert is_refused or any(text in refusal for text in said), refusal


async def test_the_whole_product_runs_under_tls_and_the_acl(
    secured: Secured, database_url: str, tmp_path: Path
) -> None:
    secured.server.command("ACL", "LOG", "RESET")
    before = _executed(secured)
    one = secured.settings().valkey
    files = {
        name: str(getattr(one, name))
        for name in ("valkey_tls_ca_file", "valkey_tls_cert_file", "valkey_tls_key_file")
    }
    log = tmp_path / "serve.log"
    with running(database_url, one.valkey_url, log, seat_lock="always", **files) as server:

        async def grant(email: str) -> None:
            settings = Settings.of(database_url=database_url, valkey_url="redis://127.0.0.1:1")
            async with open_services(settings) as application:
                await application.services.accounts.grant_role(email, "organizer")

        await walk(server.api.url, await set_up(server.api.url, grant))
        await _relay(secured.settings(database_url=database_url))
    assert secured.refusals() == []
    assert _executed(secured) > before, "the product has used this server"


def _executed(secured: Secured) -> int:
    stats = secured.server.command("INFO", "commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def _relay(settings: Settings) -> None:
    db, valkey = Database(settings), Valkey(settings.valkey)
    await db.open()
    relay = Relay(db, valkey, settings.outbox)
    try:
        assert await relay.relay_once() > 0
    finally:
        await relay.release()
        await valkey.close()
        await db.close()


@pytest.mark.parametrize("missing", ["ca", "certificate"])
async def test_without_the_ca_or_a_certificate_there_is_no_connection(
    secured: Secured, missing: str
) -> None:
    files = (
        {"valkey_tls_ca_file": ""}
        if missing == "ca"
        else {"valkey_tls_cert_file": "", "valkey_tls_key_file": ""}
    )
    valkey = Valkey(secured.settings(**files).valkey)
    try:
        with pytest.raises(ValkeyUnavailable):
            await valkey.command("EXISTS", "boxoffice:x")
    finally:
        await valkey.close()
