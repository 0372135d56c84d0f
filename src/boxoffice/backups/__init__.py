"""Backups: base backups and an archive of WAL, their verification, and what follows a restore.

PostgreSQL's own programs copy, combine and check; this module orders them, keeps a catalog, and raises
what must not go backward (`after_restore.py`). Commands alone use it: no serving process reads a
backup, and none holds the keys of its store. This module must never write into the server that it
copies, put a password on a command line, or start a server that listens to other machines.
"""
