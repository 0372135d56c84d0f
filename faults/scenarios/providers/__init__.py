"""Scenarios of payments through providers."""
