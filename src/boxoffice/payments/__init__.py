"""Payments: wallets, the ledger, payments and the tickets that they issue.

This module must never call a payment provider inside a transaction, and never change an entry of the
ledger: a correction is a new entry.
"""
