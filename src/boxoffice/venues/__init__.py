"""Venues: names, addresses and time zones of the places where concerts are performed.

This module must never decide about a sale: a schedule names its venue, and keeps its times as instants.
"""
