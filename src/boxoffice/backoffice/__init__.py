"""Reservation search and history for organizers.

Reads the tables of other modules, limited to the organizer's own schedules; each read is in the
activity log.
"""
