"""Runs the scenarios with k6 against an embedded or a running target."""
