"""The usual design of a ticket shop, written for the benchmark alone."""
