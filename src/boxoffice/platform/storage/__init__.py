"""Files for their owner alone, and a client of S3-compatible stores."""
