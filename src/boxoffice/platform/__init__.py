"""What every module uses: PostgreSQL, Valkey, ids, the clock, signing, and helpers for asyncio.

No module of a feature is imported here.
"""
