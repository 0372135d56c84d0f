"""The lock_per_request design of a ticket shop, written for the benchmark alone."""
