"""Payments through a provider: intent, fence, call, settle once.

This module must never call a provider inside a transaction, before its call is committed, or for a
hold that has ended; send another idempotency key after an unknown outcome; or sell for money that the
provider has not confirmed.
"""
