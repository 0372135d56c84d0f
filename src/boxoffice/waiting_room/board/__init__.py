"""The public board of a waiting room: the same bytes for all, for caches in front of the service.

It never changes the queue, and never says what only one user may know.
"""
