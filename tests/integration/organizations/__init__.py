"""Organizations on a real PostgreSQL."""
