"""Passwords and e-mail addresses of accounts: their change, and what a link in mail proves.

This module must never reveal to a caller without a session whether an address has an account, or keep
the token of a link.
"""
