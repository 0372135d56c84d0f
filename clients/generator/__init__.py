"""Generates the clients: `python -m clients.generator` writes, `--check` compares.

What is written is committed, so that a client is read and installed without this package.
"""
