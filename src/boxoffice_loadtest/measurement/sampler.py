"""Samples every process and server once a second, in a thread."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from boxoffice.errors import BoxofficeError
from boxoffice.platform.valkey import Valkey, ValkeyUnavailable
from boxoffice.settings import Settings
from boxoffice_loadtest.measurement import database_reader, processes
from boxoffice_loadtest.model import API, ResourceSample

INTERVAL_S = 1.0
_TIMEOUT_S = 2.0
# Counters that only grow are reported as rates.
_RATES = ("commits", "rollbacks", "wal_bytes", "commands")


class Sampler:
    """Keeps one sample per second: cores and memory by component, counters of both servers.

    `pids` returns the top process of each component. Without addresses in the settings, samples have no
    counters of the servers.
    """

    def __init__(
        self, settings: Settings | None, pids: Callable[[], Mapping[str, list[int]]], began: float
    ) -> None:
        self._settings = settings
        self._pids = pids
        self._began = began
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._last_cpu: dict[int, float] = {}
        self._last_wakeups: dict[int, int] = {}
        self._last_machine: tuple[float, float] | None = None
        self._last_rates: dict[str, float] = {}
        self._last_at = time.monotonic()
        self.samples: list[ResourceSample] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(3 * _TIMEOUT_S)

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed at exit
            asyncio.run(self._sample())

    async def _sample(self) -> None:
        async with self._counters() as counters:
            await self._sample_once(counters, is_kept=False)
            while not self._stop.is_set():
                due = self._last_at + INTERVAL_S
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._sample_once(counters, is_kept=True)

    @asynccontextmanager
    async def _counters(self) -> AsyncIterator["_ServerCounters"]:
        async with AsyncExitStack() as stack:
            counters = _ServerCounters()
            if self._settings is not None and self._settings.database.database_url:
                try:
                    counters.reader = await stack.enter_async_context(
                        database_reader.open_reader(self._settings)
                    )
                except BoxofficeError as error:
                    self.failures.append(str(error))
            if self._settings is not None and self._settings.valkey.valkey_url:
                counters.valkey = Valkey(self._settings.valkey)
                stack.push_async_callback(counters.valkey.close)
            yield counters

    async def _sample_once(self, counters: "_ServerCounters", *, is_kept: bool) -> None:
        database, valkey = await counters.database(), await counters.cache()
        now = time.monotonic()
        seconds, self._last_at = now - self._last_at, now
        cores, memory = self._usage(seconds)
        cpu_busy, wakeups = self._cpu_busy(), self._wakeups()
        sample = ResourceSample(
            at_s=round(now - self._began, 3),
            seconds=round(seconds, 4),
            cores=cores,
            memory_mib=memory,
            cpu_busy=cpu_busy,
            wakeups=round(wakeups / seconds, 2) if seconds else 0.0,
            database=self._as_rates("database", database, seconds),
            valkey=self._as_rates("valkey", valkey, seconds),
        )
        if is_kept and seconds > 0:
            self.samples.append(sample)

    def _usage(self, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
        if not processes.is_supported():
            return {}, {}
        children = processes.children_of_all()
        cores: dict[str, float] = {}
        memory: dict[str, float] = {}
        for name, pids in self._pids().items():
            for number, pid in enumerate(pids, start=1):
                # All other components are our children, so without them.
                is_own = pid == os.getpid()
                seen = processes.own_usage() if is_own else processes.usage(pid, children)
                # A new process has used all of its CPU since the last sample.
                used = max(0.0, seen.cpu_s - self._last_cpu.get(pid, 0.0))
                self._last_cpu[pid] = seen.cpu_s
                label = f"{name}-{number}" if len(pids) > 1 else name
                cores[label] = round(used / seconds, 5) if seconds else 0.0
                memory[label] = round(seen.memory_mib, 2)
        return cores, memory

    def _wakeups(self) -> int:
        """Return how often the API processes were woken since the last sample."""
        if not processes.is_supported():
            return 0
        found = 0
        for pid in self._pids().get(API, []):
            now = processes.wakeups(pid)
            found += max(0, now - self._last_wakeups.get(pid, now))
            self._last_wakeups[pid] = now
        return found

    def _cpu_busy(self) -> float | None:
        now = processes.machine_cpu_s() if processes.is_supported() else None
        before, self._last_machine = self._last_machine, now
        if now is None or before is None:
            return None
        busy, idle = now[0] - before[0], now[1] - before[1]
        return round(busy / (busy + idle), 4) if busy + idle > 0 else None

    def _as_rates(self, server: str, now: dict[str, float], seconds: float) -> dict[str, float]:
        shown = dict(now)
        for name in _RATES:
            if name in now:
                before = self._last_rates.get(f"{server}.{name}", now[name])
                self._last_rates[f"{server}.{name}"] = now[name]
                shown[name] = round((now[name] - before) / seconds, 2) if seconds else 0.0
        return shown


class _ServerCounters:
    """Connections to both servers; a failed read returns nothing and is tried again."""

    reader: database_reader.DatabaseReader | None = None
    valkey: Valkey | None = None

    async def database(self) -> dict[str, float]:
        if self.reader is None:
            return {}
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self.reader.counters()
        except Exception:
            # A counter must never end the sampling.
            return {}

    async def cache(self) -> dict[str, float]:
        if self.valkey is None:
            return {}
        try:
            info: Mapping[str, Any] = await self.valkey.command("INFO", "all")
        except ValkeyUnavailable:
            return {}
        return {
            "commands": float(info.get("total_commands_processed", 0)),
            "connections": float(info.get("connected_clients", 0)),
            "memory_mib": round(float(info.get("used_memory", 0)) / (1 << 20), 2),
        }
