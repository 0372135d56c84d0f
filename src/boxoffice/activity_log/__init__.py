"""The append-only log of organizers' actions.

An entry is written in the transaction of its action. The log never decides anything.
"""

from boxoffice.activity_log.writing import Action, record

__all__ = ["Action", "record"]
