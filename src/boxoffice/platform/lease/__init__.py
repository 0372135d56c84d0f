"""Leases in PostgreSQL: one process at a time does a role's work, under a fencing token."""
