"""Leases in PostgreSQL: one process of all does a role's work, under a fencing token."""
