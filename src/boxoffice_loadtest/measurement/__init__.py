"""What the load test measures: k6's output, processes, the database and the API."""
