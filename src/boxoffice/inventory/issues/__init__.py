"""Tickets that an organizer issues without a hold: complimentary ones, and sales at the box office.

It never takes a seat that is held or sold, and issues no ticket without its record.
"""
