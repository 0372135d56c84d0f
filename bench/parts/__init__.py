"""`python -m bench.parts`: what the parts of a request cost, each alone."""
