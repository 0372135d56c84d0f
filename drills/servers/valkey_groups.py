"""Groups of Valkey servers: a Cluster of masters, and a master with a replica under Sentinels."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from redis.crc import key_slot

from drills.servers.valkey_process import HOST, PASSWORD, ValkeyProcess, free_port

MASTER = "mymaster"
_SLOTS = 16_384
_READY_TIMEOUT_S = 20.0


class ValkeyCluster:
    """Three masters with a third of the slots each; `require-full-coverage` is off."""

    def __init__(self, folder: Path, *, node_timeout_ms: int = 1_000) -> None:
        # The bus has a port of its own here: by default it is the port + 10,000, which may be taken.
        self.nodes = [
            ValkeyProcess(
                folder,
                {
                    "cluster-enabled": "yes",
                    "cluster-port": free_port(),
                    "cluster-node-timeout": node_timeout_ms,
                    "cluster-require-full-coverage": "no",
                },
                name=f"node{number}",
            )
            for number in range(3)
        ]

    @property
    def url(self) -> str:
        """The address of all nodes."""
        hosts = ",".join(node.at for node in self.nodes)
        return f"redis+cluster://:{PASSWORD}@{hosts}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            node.kill()

    def _start(self) -> None:
        for node in self.nodes:
            node.start()
        share = _SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            last = min((number + 1) * share, _SLOTS) - 1
            node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        for node in self.nodes[1:]:
            bus_port = self.nodes[0].command("CONFIG", "GET", "cluster-port")
            port = bus_port[b"cluster-port"] if isinstance(bus_port, dict) else bus_port[1]
            node.command("CLUSTER", "MEET", HOST, self.nodes[0].port, int(port))
        _wait(lambda: all(_is_whole(node) for node in self.nodes), "the cluster is not whole")

    def owner(self, key: str) -> ValkeyProcess:
        """Return the node of a key's slot."""
        slot = key_slot(key.encode())
        for first, last, master, *_ in self.nodes[0].command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        raise LookupError(key)

    def move_slot(self, key: str, to: ValkeyProcess) -> None:
        """Move the slot of a key with its data, as a resharding does, and return when all know."""
        slot, source = key_slot(key.encode()), self.owner(key)
        target_id, source_id = (_text(one.command("CLUSTER", "MYID")) for one in (to, source))
        to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.command(
                "MIGRATE", HOST, to.port, "", 0, 5_000, "AUTH", PASSWORD, "KEYS", *keys
            )  # fmt: skip
        for node in (to, source, *self.nodes):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def migrate_slot(self, key: str, to: ValkeyProcess) -> None:
        """Move the slot of a key in one piece, as Valkey 9 can, and return when it has moved."""
        slot, source = key_slot(key.encode()), self.owner(key)
        target_id = _text(to.command("CLUSTER", "MYID"))
        source.command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target_id)
        _wait(lambda: self.owner(key) is to, "the slot has not moved")


class SentinelGroup:
    """A master with one replica, and three Sentinels that replace a master after `down_ms`."""

    def __init__(self, folder: Path, *, down_ms: int = 500) -> None:
        self._folder = folder
        self._down_ms = down_ms
        self.servers = [ValkeyProcess(folder, name=f"server{number}") for number in range(2)]
        self.sentinels: list[ValkeyProcess] = []

    @property
    def url(self) -> str:
        """The address through the Sentinels."""
        hosts = ",".join(one.at for one in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER}?sentinel_password={PASSWORD}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self.sentinels, *self.servers):
            one.kill()

    def _start(self) -> None:
        for server in self.servers:
            server.start()
        master, replica = self.servers
        replica.command("REPLICAOF", HOST, master.port)
        _wait(lambda: _is_synchronized(replica), "the replica is not synchronized")
        lines = (
            f"sentinel monitor {MASTER} {HOST} {master.port} 2",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} {self._down_ms}",
            f"sentinel failover-timeout {MASTER} 3000",
            f"sentinel sentinel-pass {PASSWORD}",
        )
        self.sentinels = [
            ValkeyProcess(self._folder, name=f"sentinel{at}", flags=("--sentinel",), lines=lines)
            for at in range(3)
        ]
        for sentinel in self.sentinels:
            sentinel.start()
        _wait(self._is_ready, "the Sentinels do not know each other and the replica")

    def master(self) -> ValkeyProcess:
        """Return the server that the Sentinels name."""
        for sentinel in self.sentinels:
            _, port = sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
            return next(one for one in self.servers if one.port == int(port))
        raise LookupError(MASTER)

    def await_replica(self) -> None:
        """Return when the other server follows the master, and the Sentinels know it."""
        master = self.master()
        replica = next(one for one in self.servers if one is not master)
        _wait(lambda: _is_synchronized(replica), "the replica is not synchronized")
        _wait(self._is_ready, "the Sentinels do not know the replica")

    def _is_ready(self) -> bool:
        return all(self._knows_all(one) for one in self.sentinels)

    @staticmethod
    def _knows_all(sentinel: ValkeyProcess) -> bool:
        about = _fields(sentinel.command("SENTINEL", "MASTER", MASTER))
        return about["num-other-sentinels"] == "2" and about["num-slaves"] == "1"


def _is_whole(node: ValkeyProcess) -> bool:
    about = _text(node.command("CLUSTER", "INFO"))
    is_known = "cluster_known_nodes:3" in about and "cluster_slots_ok:16384" in about
    return is_known and "cluster_state:ok" in about


def _is_synchronized(replica: ValkeyProcess) -> bool:
    return bool(replica.command("ROLE")[3] == b"connected")


def _fields(reply: object) -> dict[str, str]:
    pairs = reply.items() if isinstance(reply, dict) else ()
    if isinstance(reply, list):
        pairs = zip(reply[::2], reply[1::2], strict=True)  # type: ignore[assignment]  # a list of pairs
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _READY_TIMEOUT_S
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(0.02)
