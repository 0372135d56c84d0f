"""What the benchmark measures: each scenario prepares the shop and returns the requests to send."""
