"""Read the settings from the environment; state what a wrong one must be."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec
from msgspec import inspect as types

from boxoffice.errors import SettingsInvalid
from boxoffice.platform import server_addresses
from boxoffice.settings.agreements import check_together
from boxoffice.settings.settings import SECTION_OF, Settings
from boxoffice.settings.values import PREFIX, variable

# Kubernetes sets variables for every service of the namespace. For one named boxoffice or boxoffice-…:
# BOXOFFICE_SERVICE_HOST, BOXOFFICE_SERVICE_PORT_HTTP, BOXOFFICE_PORT, BOXOFFICE_PORT_80_TCP_ADDR.
_SERVICE_LINK = re.compile(
    r"BOXOFFICE(_[A-Z0-9_]+)?"
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_PROTO|_PORT|_ADDR)?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def load(environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings from the environment, changed by `overrides` (options of a command).

    Raises `SettingsInvalid` that names the variable, its value and what it must be.
    """
    source = os.environ if environ is None else environ
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in source.items()
        if name.startswith(PREFIX) and not _is_foreign(name, value)
    }
    given |= {name: str(value) for name, value in overrides.items()}
    settings = Settings.of(**_read_all(given))
    check_together(settings)
    return settings


def read_value(name: str, text: str) -> object:
    """Return the value that the text of a variable means; raise `SettingsInvalid`."""
    [value] = _read_all({name.removeprefix(PREFIX).lower(): text}).values()
    return value


def _read_all(given: Mapping[str, str]) -> dict[str, object]:
    unknown = sorted(set(given) - set(SECTION_OF))
    if unknown:
        raise SettingsInvalid(_unknown(unknown[0]))
    kinds = types_of_settings()
    return {name: _read(name, text, kinds[name]) for name, text in given.items()}


def _is_foreign(name: str, value: str) -> bool:
    """Say whether a variable is not a setting: the tests', or a service link of Kubernetes."""
    if name.startswith(PREFIX + "TEST_") or _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_ADDRESS.match(value) is not None


def _unknown(name: str) -> str:
    near = get_close_matches(name, SECTION_OF, n=1)
    meant = f"; is {variable(near[0])} meant?" if near else ""
    return f"{variable(name)} is not a setting of boxoffice{meant}"


def types_of_settings() -> dict[str, Any]:
    """Return the annotated type of each setting, by flat name."""
    return {
        name: hint
        for kind in get_type_hints(Settings).values()
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }


def _read(name: str, text: str, kind: Any) -> object:
    """Return a setting's value; raise `SettingsInvalid` that states what it must be."""
    fault = None
    if name in ("database_url", "backup_database_url") and text:
        fault, form = server_addresses.postgres_fault(text), server_addresses.POSTGRES_FORM
    elif name == "valkey_url" and text:
        fault, form = server_addresses.valkey_fault(text), server_addresses.VALKEY_FORM
    elif name == "smtp_url" and text:
        fault, form = server_addresses.smtp_fault(text), server_addresses.SMTP_FORM
    if fault is not None:
        raise SettingsInvalid(
            f"{variable(name)} is {shown(name, text)!r}: {fault}; it wants {form}"
        )
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(
            f"{variable(name)} is {shown(name, text)!r}: it must be {wanted(kind)}"
        ) from error


def shown(name: str, text: str) -> str:
    """Return a setting's value as an error may show it: without passwords, and shortened."""
    if name.endswith("_url"):
        return server_addresses.shown(text)
    if re.search(r"(^|_)(secrets?|password|token|key)$", name):
        return "***"
    return text if len(text) <= 100 else f"{text[:100]}…"


def wanted(kind: Any) -> str:
    """Return a description of the values of a type."""
    found = types.type_info(kind)
    description = ""
    if isinstance(found, types.Metadata):
        description = (found.extra_json_schema or {}).get("description", "")
        found = found.type
    match found:
        case types.IntType():
            return f"a whole number {_range(found)}"
        case types.FloatType():
            return f"a number {_range(found)}"
        case types.BoolType():
            return "true or false"
        case types.LiteralType():
            return "one of " + ", ".join(str(one) for one in found.values)
        case _:
            return description or "a text"


def _range(found: types.IntType | types.FloatType) -> str:
    below = f"above {found.gt:g}" if found.gt is not None else f"from {found.ge}"
    return f"{below} to {found.le}" if found.gt is None else f"{below}, at most {found.le}"
