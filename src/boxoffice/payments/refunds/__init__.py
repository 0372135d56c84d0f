"""Refunds: the policy, the quote, the decision, and the call that returns the money.

This module must never call a payment provider inside a transaction, and never decide a fee in SQL: the
fee is the policy's, and the database compares it with what was paid for the ticket.
"""
