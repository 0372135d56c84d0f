"""What is read of the other servers and of this machine; a failure is a fact, not an error."""

import asyncio
import os
import resource
import shutil
import ssl
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from boxoffice.doctor.facts import AlertFacts, CertificateFacts, MachineFacts, ValkeyFacts
from boxoffice.errors import BoxofficeError
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings

_PINGS = 5
_TIMEOUT_S = 5
_BACKLOG = Path("/proc/sys/net/core/somaxconn")


async def valkey(settings: Settings) -> ValkeyFacts:
    """Ask Valkey a few times."""
    url = settings.valkey.valkey_url
    if not url:
        return ValkeyFacts(failure="BOXOFFICE_VALKEY_URL is not set")
    try:
        client = Valkey(settings.valkey)
    except BoxofficeError as error:
        return ValkeyFacts(failure=str(error))
    times_ms = []
    try:
        for _ in range(_PINGS):
            started_at = time.perf_counter()
            await client.command("PING", key="{doctor}")
            times_ms.append(1_000 * (time.perf_counter() - started_at))
    except ValkeyUnavailable as error:
        return ValkeyFacts(failure=f"Valkey does not answer: {error}")
    finally:
        await client.close()
    return ValkeyFacts("", median(times_ms), url.startswith("rediss"))


async def certificate(public_url: str) -> CertificateFacts | None:
    """Connect to the public address as a browser does; None where it is not an https address."""
    address = urlsplit(public_url)
    if address.scheme != "https" or not address.hostname:
        return None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                address.hostname, address.port or 443, ssl=ssl.create_default_context()
            )
    except (OSError, TimeoutError) as error:
        return CertificateFacts(failure=f"{address.hostname}: {error or 'no answer'}")
    shown: dict[str, Any] = writer.get_extra_info("peercert") or {}
    writer.close()
    ends_s = ssl.cert_time_to_seconds(shown["notAfter"]) if "notAfter" in shown else None
    return CertificateFacts("", datetime.fromtimestamp(ends_s, UTC) if ends_s else None)


async def alerts(prometheus_url: str) -> AlertFacts | None:
    """Return the alerts that a Prometheus has loaded; None without an address."""
    if not prometheus_url:
        return None
    url = f"{prometheus_url.rstrip('/')}/api/v1/rules?type=alert"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
            session.get(url) as answer,
        ):
            document = await answer.json(content_type=None)
            groups = document["data"]["groups"]
            return AlertFacts("", [rule["name"] for one in groups for rule in one["rules"]])
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return AlertFacts(failure=f"Prometheus does not answer: {error or 'no answer'}")
    except (ValueError, KeyError, TypeError):
        return AlertFacts(failure=f"{prometheus_url} is not the address of a Prometheus")


def machine(folders: Sequence[str]) -> MachineFacts:
    """Return the limits of this machine, and the free space of the folders that exist."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = 1 << 30 if hard == resource.RLIM_INFINITY else hard
    backlog = int(_BACKLOG.read_text()) if _BACKLOG.exists() else None
    looked_at = [tempfile.gettempdir(), *(one for one in folders if os.path.isdir(one))]
    free = {folder: shutil.disk_usage(folder).free for folder in looked_at}
    return MachineFacts(files, backlog, free)
