"""What organizers did, with who and when: written by the rooms inside the transaction of the deed.

It must never decide anything, nor be written outside the transaction that it tells of.
"""

from boxoffice.activity_log.writing import Entry, record

__all__ = ["Entry", "record"]
