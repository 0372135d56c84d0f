"""The guards that markers in the source name, and trials without them."""
