"""How the cost of a hold grows with batches, workers, seats, history, watchers and people waiting."""
