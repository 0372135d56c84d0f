"""Live statistics of a sale for its organizer: traffic, refusals, holds, sales.

Each worker counts requests with its metrics and flushes the sums to Valkey; holds and money are read
from PostgreSQL. Nothing here decides anything, and counting adds no work to a request.
"""
