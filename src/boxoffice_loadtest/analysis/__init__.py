"""What the measurements come to: results, comparison, costs, capacity, sizing. Pure."""
