"""A client of S3-compatible stores, and the signatures of its requests."""
