"""The cashier: looks up, repeats, renews, returns and compares what serving processes left open.

This module must never send another idempotency key after an unknown outcome, settle with anything but
what a provider was asked for, or let a provider that is away delay another one.
"""
