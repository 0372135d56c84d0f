"""People who wait without an account: they join by a secret, and an account redeems the place."""
