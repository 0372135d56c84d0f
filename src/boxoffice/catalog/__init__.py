"""Concerts, schedules and seats: looked up by everybody, managed by the organizer who made them.

The room keeps what it has read for a moment, so what it shows may be a little old. It must never decide
whether a seat may be taken: that is said by the reservations room, on the database.
"""
