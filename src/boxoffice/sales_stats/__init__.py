"""The live figures of a schedule, for its organizer: what is asked, what is refused, what is sold.

Requests are counted by each worker beside its metrics and summed in Valkey, holds and money are read
from PostgreSQL. Nothing here decides anything, and nothing is done on the way of a request.
"""
