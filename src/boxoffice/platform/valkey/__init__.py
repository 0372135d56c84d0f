"""The client of Valkey: one server, a master that Sentinel names, or the masters of a Cluster."""

from boxoffice.platform.valkey.client import Script, Valkey, ValkeyUnavailable

__all__ = ["Script", "Valkey", "ValkeyUnavailable"]
