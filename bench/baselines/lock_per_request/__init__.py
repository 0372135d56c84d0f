"""The common design of a ticket shop, one lock per request; written for the benchmark only."""
