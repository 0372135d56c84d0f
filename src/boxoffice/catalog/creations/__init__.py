"""A repeated creation of a concert or schedule finds the first one, by the key of its request."""
