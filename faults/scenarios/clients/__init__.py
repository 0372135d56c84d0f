"""Scenarios whose fault is what clients do."""
