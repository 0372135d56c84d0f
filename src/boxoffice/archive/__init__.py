"""The archive: what ended long ago leaves the tables that sales read, and is still found.

Reservations that were never paid go there some time after their end, records of waiting rooms some time
after the sale. It must never move what is held, paid, or named by a seat.
"""
