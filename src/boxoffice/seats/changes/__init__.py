"""Changes of seats: their publication to other pods, and their application to the cache."""
