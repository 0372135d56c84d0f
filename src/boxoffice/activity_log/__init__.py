"""The append-only log of organizers' actions, and of reads of buyers' personal data.

The entry of an action is written in its transaction, that of a read before the answer. The log never
decides anything.
"""

from boxoffice.activity_log.reads import ReadLog, Shown, read_details
from boxoffice.activity_log.writing import Action, record

__all__ = ["Action", "ReadLog", "Shown", "read_details", "record"]
