"""Concerts, schedules and venues: public look-ups, and the commands of their organizers.

Look-ups are served from memory for a moment, so they may be slightly old. They never decide whether a
seat may be taken: `reservations` does, on the database.
"""
