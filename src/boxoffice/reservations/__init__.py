"""Reservations: holds of seats and their ends.

PostgreSQL decides (`functions.sql`); the seat lock in Valkey only sheds load. This module must never
promise a seat from a cache, and never decide by a pod's clock.
"""
