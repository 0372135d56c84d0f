"""Holds: who gets which seats, until when, and what became of it.

PostgreSQL decides (`functions.sql`); the seat lock in Valkey only sheds load. This room must never
promise a seat from a cache, and never decide by a pod's clock.
"""
