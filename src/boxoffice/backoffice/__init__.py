"""The organizer's desk: finding a reservation, and what became of it.

It reads what other rooms wrote, of the organizer's own schedules only, and changes nothing.
"""
