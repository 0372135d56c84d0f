"""Backups of a real server, restored to real servers."""
