"""Each setting is checked at the start: the variable, what it got without secrets, what it wants."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from asyncpg import connect_utils
from msgspec import inspect as types
from redis.asyncio import ConnectionPool

from boxoffice.errors import SettingsInvalid
from boxoffice.platform.valkey.address import parse as address_of_valkey
from boxoffice.platform.valkey.tls_files import check_tls_files
from boxoffice.settings import SECTION_OF, Settings, load, types_of_settings, variable, wanted
from drills.servers.certificates import certificates
from tests.programs import debian_program

HINTS = types_of_settings()
# None of the texts may be this.
NO_TEXT = "no such \x07 text"


def _wrong(kind: Any) -> list[str]:
    """Return values that a setting of a type must refuse."""
    found = types.type_info(kind)
    if isinstance(found, types.Metadata):
        found = found.type
    match found:
        case types.IntType() | types.FloatType():
            assert found.le is not None, "a limit on everything"
            low = found.ge if found.ge is not None else found.gt
            assert low is not None
            return ["abc", "", f"{low - 1}", f"{found.le + 1}", "nan", "1e400", "10 s"]
        case types.BoolType():
            return ["maybe", "", "2"]
        case types.LiteralType():
            return ["nonsense", "", str(found.values[0]).upper()]
        case _:
            return [NO_TEXT, " "]


WRONG = [(name, text) for name, kind in HINTS.items() for text in _wrong(kind)]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_refused_with_what_it_got_and_wants(name: str, text: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load({variable(name): text})
    sentence = str(refused.value)
    assert sentence.startswith(f"{variable(name)} is ")
    assert repr(text) in sentence or "***" in sentence
    if not name.endswith("_url"):
        assert sentence.endswith(f"it must be {wanted(HINTS[name])}")
    for internal in ("Expected", "`", "str", "Traceback", "regex"):
        assert internal not in sentence


def test_every_text_says_what_it_must_be() -> None:
    for name, kind in HINTS.items():
        assert wanted(kind) != "a text" or name.endswith("_url"), name


def test_the_defaults_are_good() -> None:
    assert load({}) == Settings()


def test_each_variable_is_a_field_of_one_section() -> None:
    sections = get_type_hints(Settings)
    fields = [name for kind in sections.values() for name in kind.__struct_fields__]
    assert len(fields) == len(set(fields)) == len(HINTS)
    for name, section in SECTION_OF.items():
        assert name in sections[section].__struct_fields__
    for name, kind in HINTS.items():
        given = load({variable(name): _right(kind, Settings().get(name))})
        assert given.get(name) == Settings().get(name)


def _right(kind: Any, value: object) -> str:
    found = types.type_info(kind)
    if isinstance(found, types.Metadata):
        found = found.type
    return str(value).lower() if isinstance(found, types.BoolType) else str(value)


def test_a_changed_setting_leaves_the_others_and_the_original() -> None:
    before = Settings()
    changed = before.replace(batch_max=3, port=9000)
    assert (changed.batching.batch_max, changed.server.port) == (3, 9000)
    assert changed == Settings.of(batch_max=3, port=9000)
    assert changed.batching.batch_queue_max == before.batching.batch_queue_max
    assert before == Settings()


@pytest.mark.parametrize("change", [Settings.of, Settings().replace])
def test_a_change_of_an_unknown_setting_is_refused(change: Callable[..., Settings]) -> None:
    with pytest.raises(TypeError, match="batch_maxx is not a setting"):
        change(batch_maxx=3)


def test_a_misspelt_setting_is_told_the_near_one() -> None:
    with pytest.raises(SettingsInvalid, match=r"BOXOFFICE_BATCH_MAXX .* BOXOFFICE_BATCH_MAX meant"):
        load({"BOXOFFICE_BATCH_MAXX": "1"})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"BOXOFFICE_DB_POOL_MAX": "2"},
            "BOXOFFICE_DB_POOL_MAX is 2: it must be above BOXOFFICE_BATCHES_IN_FLIGHT (2)",
        ),
        (
            {"BOXOFFICE_REQUEST_TIMEOUT_MS": "9000"},
            "BOXOFFICE_REQUEST_TIMEOUT_MS is 9000: it must be above",
        ),
        ({"BOXOFFICE_METRICS_PORT": "8000"}, "BOXOFFICE_METRICS_PORT is 8000"),
        ({"BOXOFFICE_CURRENCY": "XYZ"}, "BOXOFFICE_CURRENCY is XYZ: it must be a currency"),
        (
            {"BOXOFFICE_BATCH_ISOLATION_TIMEOUT_MS": "400"},
            "BOXOFFICE_BATCH_ISOLATION_TIMEOUT_MS is 400",
        ),
        ({"BOXOFFICE_QUEUE_LEASE_MS": "300"}, "BOXOFFICE_QUEUE_LEASE_MS is 300"),
        ({"BOXOFFICE_QUEUE_GRACE_DEFAULT_S": "601"}, "BOXOFFICE_QUEUE_GRACE_DEFAULT_S is 601"),
    ],
)
def test_settings_that_do_not_agree_name_each_other(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load(given)
    assert sentence in str(refused.value)


GOOD_POSTGRES = [
    "",
    "postgresql://boxoffice@db/boxoffice",
    "postgres://u:p%40ss%23@db.example.test:5432/boxoffice",
    "postgresql://u:p@one:5432,two:5433,three/boxoffice?target_session_attrs=read-write",
    "postgresql://u:p@[::1]:5432,[2001:db8::1]/boxoffice?sslmode=verify-full&sslrootcert=/ca.pem",
    "postgresql:///boxoffice?host=/var/run/postgresql&application_name=shop",
    "postgresql://u@%2Fvar%2Frun%2Fpostgresql/boxoffice",
    "postgresql://one/boxoffice?options=-c%20work_mem%3D64MB&port=5433",
    "postgresql://",
]
GOOD_VALKEY = [
    "",
    "redis://valkey",
    "redis://:secret@valkey:6379/0",
    "rediss://user:secret@valkey.example.test:6380/3?ssl_cert_reqs=required&ssl_ca_certs=/ca.pem",
    "unix://:secret@/run/valkey.sock?db=2",
    "redis://[::1]:6379",
    "redis://valkey?client_name=shop&socket_keepalive=true",
]
GOOD_VALKEY_GROUPS: dict[str, tuple[Any, dict[str, Any], dict[str, Any] | None]] = {
    "redis+sentinel://one,two:26380/mymaster": (
        ("sentinel", (("one", 26_379), ("two", 26_380)), "mymaster"),
        {},
        {},
    ),
    "rediss+sentinel://shop:a%40b@one/my-master.1/3?sentinel_username=us&sentinel_password=ap": (
        ("sentinel", (("one", 26_379),), "my-master.1"),
        {"username": "shop", "password": "a@b", "db": 3},
        {"username": "us", "password": "ap"},
    ),
    "redis+cluster://:secret@one:7000,two,three:7002": (
        ("cluster", (("one", 7_000), ("two", 6_379), ("three", 7_002)), ""),
        {"password": "secret"},
        None,
    ),
    "rediss+cluster://one/0?ssl_check_hostname=false": (
        ("cluster", (("one", 6_379),), ""),
        {},
        None,
    ),
}


@pytest.mark.parametrize("url", GOOD_POSTGRES)
def test_a_good_address_of_postgresql_is_taken_by_the_driver_too(url: str) -> None:
    assert load({"BOXOFFICE_DATABASE_URL": url}).database.database_url == url
    if url:
        # Independent judge: what the driver makes of it (it reads no file and connects to nothing).
        asked = url.partition("?")[0] if "sslrootcert" in url else url
        connect_utils._parse_connect_dsn_and_args(  # type: ignore[attr-defined]
            dsn=asked, **dict.fromkeys(_DRIVER_ARGUMENTS)
        )


_DRIVER_ARGUMENTS = (
    *("host", "port", "user", "password", "passfile", "database", "ssl", "service"),
    *("servicefile", "direct_tls", "server_settings", "target_session_attrs", "krbsrvname"),
    "gsslib",
)


@pytest.mark.parametrize("url", GOOD_VALKEY)
def test_a_good_address_of_valkey_makes_a_connection(url: str) -> None:
    assert load({"BOXOFFICE_VALKEY_URL": url}).valkey.valkey_url == url
    if url:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("url", GOOD_VALKEY_GROUPS)
def test_a_good_address_of_several_servers_is_read(url: str) -> None:
    (mode, hosts, master), server, sentinel = GOOD_VALKEY_GROUPS[url]
    address = address_of_valkey(load({"BOXOFFICE_VALKEY_URL": url}).valkey)
    assert (address.mode, address.hosts, address.master) == (mode, hosts, master)
    is_tls = url.startswith("rediss")
    for expected, parts in ((server, address.server), (sentinel, address.sentinel)):
        if expected is None:
            assert parts is None
            continue
        assert parts is not None
        assert ("connection_class" in parts) is is_tls
        assert expected.items() <= parts.items()
        assert ("password" in parts) is ("password" in expected)
        pool = ConnectionPool(**{**parts, "host": "one", "port": 1})
        pool.make_connection()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("given", "name", "sentence"),
    [
        ({"ca": "wrong"}, "CA", "certificates in PEM"),
        ({"ca": "/nowhere/ca.pem"}, "CA", "cannot be read: no such file"),
        ({"ca": "ca", "cert": "cert"}, "KEY", "set where BOXOFFICE_VALKEY_TLS_CERT_FILE is"),
        ({"ca": "ca", "key": "key"}, "KEY", "set where BOXOFFICE_VALKEY_TLS_CERT_FILE is"),
        ({"cert": "cert", "key": "other"}, "KEY", "must contain the key of"),
        ({"cert": "cert", "key": "locked"}, "KEY", "without a password"),
        ({"cert": "key", "key": "key"}, "CERT", "certificates in PEM"),
    ],
)
def test_a_file_for_tls_is_refused_at_the_start(
    tls_files: Mapping[str, str], given: dict[str, str], name: str, sentence: str
) -> None:
    environ = {"BOXOFFICE_VALKEY_URL": "rediss://valkey"}
    for kind, path in given.items():
        environ[f"BOXOFFICE_VALKEY_TLS_{kind.upper()}_FILE"] = tls_files.get(path, path)
    with pytest.raises(SettingsInvalid, match=f"^BOXOFFICE_VALKEY_TLS_{name}_FILE is .*{sentence}"):
        check_tls_files(load(environ).valkey)


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The files of a CA and a client, and unusable ones, by name."""
    debian_program("openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = certificates(folder)
    wrong = folder / "wrong.pem"
    wrong.write_text("-----BEGIN CERTIFICATE-----\nnothing\n", encoding="utf-8")
    return {
        "ca": str(made.ca),
        "cert": str(made.client.certificate),
        "key": str(made.client.key),
        "other": str(made.server.key),
        "locked": str(made.locked_key),
        "wrong": str(wrong),
    }


def test_files_for_tls_need_an_address_with_tls(tls_files: Mapping[str, str]) -> None:
    with pytest.raises(SettingsInvalid, match="begins with rediss"):
        load(
            {
                "BOXOFFICE_VALKEY_URL": "redis+cluster://one",
                "BOXOFFICE_VALKEY_TLS_CA_FILE": tls_files["ca"],
            }
        )


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("mysql://db/x", "must begin with postgresql://"),
        ("postgresql:/db/x", "must begin with postgresql://"),
        ("db:5432/x", "must begin with postgresql://"),
        ("postgresql://db:port/x", "its port is not a number"),
        ("postgresql://db:0/x", "its port is not a number"),
        ("postgresql://db:65536/x", "its port is not a number"),
        ("postgresql://one:5432,two:x/x", "its port is not a number"),
        ("postgresql://one,,two/x", "a host is missing"),
        ("postgresql://::1/x", "stands in square brackets"),
        ("postgresql://[::1/x", "square brackets"),
        ("postgresql://u:pa#ss@db/x", "%23"),
        ("postgresql://u:pa@ss@db/x", "%40"),
        ("postgresql://db/x/y", "has a / in its name"),
        ("postgresql://db/x?sslmod=require", "a parameter 'sslmod'"),
        ("postgresql://db/x?sslmode=on", "its parameter sslmode is none of"),
        ("postgresql://db/x?target_session_attrs=write", "target_session_attrs is none of"),
        ("postgresql://db/x?sslmode", "name=value"),
        ("postgresql://db/x?port=abc", "its port is not a number"),
        ("postgresql://db /x", "a blank"),
    ],
)
def test_a_wrong_address_of_postgresql_says_what_is_wrong(url: str, fault: str) -> None:
    _refused("BOXOFFICE_DATABASE_URL", url, fault)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://valkey", "must begin with redis://"),
        ("redis:valkey", "must begin with redis://"),
        ("redis://host:port/0", "its port is not a number"),
        ("redis://valkey:99999", "its port is not a number"),
        ("redis://valkey:6379/zero", "its database is not a number"),
        ("redis://valkey:6379/0/1", "its database is not a number"),
        ("redis://valkey:6379/-1", "its database is not a number"),
        ("redis://valkey?db=x", "its database is not a number"),
        ("redis://:6379/0", "a host is missing"),
        ("redis:///0", "it names no host"),
        ("redis://one,two", "several hosts are of"),
        ("redis://valkey:6379?ssl=true", "rediss://"),
        ("redis://valkey:6379?ssl_cert_reqs=none", "rediss://"),
        ("rediss://valkey?ssl_cert_reqs=maybe", "ssl_cert_reqs is none of"),
        ("redis://valkey?socket_timeout=60", "a parameter 'socket_timeout'"),
        ("redis://valkey?decode_responses=true", "a parameter 'decode_responses'"),
        ("unix://valkey.sock", "unix:// wants the path"),
        ("unix://", "unix:// wants the path"),
        ("redis://:a#b@valkey", "%23"),
        ("redis://[::1", "square brackets"),
        ("redis+sentinel://one,two", "it names no master"),
        ("redis+sentinel://one/my master", "a blank"),
        ("redis+sentinel://one/my$master", "a character that Sentinel does not take"),
        ("redis+sentinel://one/mymaster/x", "its database is not a number"),
        ("redis+sentinel://one,,two/mymaster", "a host is missing"),
        ("redis+sentinel:///mymaster", "it names no host"),
        ("redis://one?sentinel_password=secret", "a parameter 'sentinel_password'"),
        ("redis+cluster://one,two/1", "one database"),
        ("redis+cluster://one?db=2", "one database"),
        ("redis+cluster://one:x", "its port is not a number"),
        ("redis+cluster://one?ssl_ca_certs=/ca", "rediss://"),
        ("redis+other://one", "must begin with redis://"),
    ],
)
def test_a_wrong_address_of_valkey_says_what_is_wrong(url: str, fault: str) -> None:
    _refused("BOXOFFICE_VALKEY_URL", url, fault)


def _refused(name: str, url: str, fault: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load({name: url})
    sentence = str(refused.value)
    assert sentence.startswith(f"{name} is ")
    assert fault in sentence
    assert "it wants " in sentence


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hush@db:x/y",
        "postgresql://u:hu@sh@db/y",
        "postgresql://u:hu/hush@db:x/y",
        "postgresql://u:hush#@db/y",
        "postgresql://u:hu?sh=hush@db/y",
        "postgresql://u:hush/y",
        "postgresql://db/y?password=hush&sslmode=on",
        "postgresql://u:hush @db/y",
        "mysql://u:hush@db/y",
        "redis://:hush@host:port/0",
        "redis://:hush",
        "redis://user:hush@host/zero",
        "redis://host?password=hush&ssl=true",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    name = "BOXOFFICE_VALKEY_URL" if url.startswith("redis") else "BOXOFFICE_DATABASE_URL"
    with pytest.raises(SettingsInvalid) as refused:
        load({name: url})
    assert "hush" not in str(refused.value)
    assert "***" in str(refused.value)


SERVICE_LINKS = {
    "BOXOFFICE_SERVICE_HOST": "10.0.0.9",
    "BOXOFFICE_SERVICE_PORT": "80",
    "BOXOFFICE_SERVICE_PORT_HTTP": "80",
    "BOXOFFICE_PORT": "tcp://10.0.0.9:80",
    "BOXOFFICE_PORT_80_TCP": "tcp://10.0.0.9:80",
    "BOXOFFICE_PORT_80_TCP_PROTO": "tcp",
    "BOXOFFICE_PORT_80_TCP_PORT": "80",
    "BOXOFFICE_PORT_80_TCP_ADDR": "10.0.0.9",
    "BOXOFFICE_API_SERVICE_HOST": "fd00::9",
    "BOXOFFICE_API_SERVICE_PORT_HTTP_ALT": "8000",
    "BOXOFFICE_API_PORT": "tcp://[fd00::9]:8000",
    "BOXOFFICE_API_PORT_8000_TCP_ADDR": "fd00::9",
    "BOXOFFICE_DNS_PORT_53_UDP": "udp://10.0.0.9:53",
    "BOXOFFICE_DNS_PORT_53_SCTP_PROTO": "sctp",
    # A service `boxoffice-role-metrics`: its link has the name of a setting.
    "BOXOFFICE_ROLE_METRICS_PORT": "tcp://10.0.0.9:9100",
}


def test_service_links_of_kubernetes_are_no_settings() -> None:
    assert load(SERVICE_LINKS) == Settings()
    for name, text in SERVICE_LINKS.items():
        assert load({name: text}) == Settings(), name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BOXOFFICE_API_PORT", "8000"),
        ("BOXOFFICE_PORT_80", "x"),
        ("BOXOFFICE_SERVICE", "x"),
        ("BOXOFFICE_PORT_80_TCP_NAME", "x"),
        ("BOXOFFICE_HOSTS", "tcp://10.0.0.9:80"),
        ("BOXOFFICE_PORT", "http://10.0.0.9:80"),
    ],
)
def test_what_only_resembles_a_service_link_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        load({name: text})


@pytest.mark.parametrize(
    "command", ["serve", "sweep", "relay", "messenger", "auditor", "migrate", "seed", "up"]
)
def test_every_command_refuses_in_one_line(command: str, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOXOFFICE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "boxoffice", command],
        cwd=tmp_path,
        env={**clean, "BOXOFFICE_VALKEY_URL": "redis://host:port/0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith("boxoffice: BOXOFFICE_VALKEY_URL is 'redis://host:***/0'")
