"""Scenarios whose fault is in PostgreSQL."""
