"""Two releases side by side: how each is installed and run, and the sale that goes on meanwhile."""
