"""The client of Valkey: one server, a master that Sentinels name, or the masters of a Cluster."""

from boxoffice.platform.valkey.client import Valkey
from boxoffice.platform.valkey.node import Script, ValkeyUnavailable

__all__ = ["Script", "Valkey", "ValkeyUnavailable"]
