"""What every room stands on: PostgreSQL, Valkey, SQL files, ids, the clock, logs and metrics.

Nothing here knows what a seat is.
"""
