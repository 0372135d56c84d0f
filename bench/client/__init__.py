"""The load clients: processes of their own that send requests or read event streams."""
