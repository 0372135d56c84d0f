"""Accounts: sign-up, login, roles, and the access tokens that every other module trusts.

This module must never store or log a password or a token in clear text, reveal at login whether an
e-mail address has an account, query the database to verify a token, or touch money except in seeding.
"""
