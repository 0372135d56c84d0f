"""Runs k6 against an installation, scenario after scenario."""
