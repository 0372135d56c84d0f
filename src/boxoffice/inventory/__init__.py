"""Seats after the opening: blocked, put back on sale, repriced, added.

It never changes a seat that is held or sold, and never decides a hold.
"""
