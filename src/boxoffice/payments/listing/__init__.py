"""Lists of payments, as their buyers and their sellers see them; it only reads."""
