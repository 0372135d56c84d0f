"""Payment providers behind one port; a file for each provider.

A client must never decide what a payment is worth, choose an idempotency key of its own where money
could move twice, follow a redirect, or be called inside a transaction.
"""
