"""Valkey as more than one server: a Cluster, a master under Sentinels, TLS and an ACL."""
