"""Access to a sale: price types, fees, codes, presales, channels with quotas, seats sold together.

It never decides from memory: eligibility and limits are decided in the transaction of a hold.
"""
