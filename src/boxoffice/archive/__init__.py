"""The archive: moves old rows out of the tables that sales read; look-ups still find them.

It moves unpaid reservations some time after their end, and records of waiting rooms some time after the
sale. It must never move a reservation that is held, paid, or named by a seat.
"""
