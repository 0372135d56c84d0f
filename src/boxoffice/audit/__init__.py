"""Checks on the live database that every promise is kept, apart from the code that keeps them."""
