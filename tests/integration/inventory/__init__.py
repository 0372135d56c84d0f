"""Seats after the opening."""
