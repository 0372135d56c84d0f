"""The JSON of a seat map, plain and compressed."""
