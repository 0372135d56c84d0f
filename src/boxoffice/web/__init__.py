"""The pages: static ES modules, styles and one HTML shell, served from memory under hashed names.

Everything that a page shows it asks the API for. This room never decides a price or whether a seat is
available, and knows no other room.
"""
