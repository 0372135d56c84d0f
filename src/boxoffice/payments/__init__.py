"""Money: wallets, the ledger, payments and the tickets that they issue.

This room must never call a payment provider inside a transaction, and never correct an entry: a
correction is a new one.
"""
