"""The number of an order: what people read, print and say instead of a reservation's id.

Triggers assign it in the transaction that confirms a reservation (migration 0022). This module must
never write one.
"""
