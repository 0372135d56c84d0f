"""What is measured: k6's lines, processes, the database and the API."""
