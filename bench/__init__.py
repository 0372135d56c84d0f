"""What a request costs, side by side: a bare reply, the lock_per_request design, and the shop.

Run it as `make bench` or `python -m bench`. Nothing of the shop imports it.
"""
