"""Helpers for asyncio that several modules use."""
