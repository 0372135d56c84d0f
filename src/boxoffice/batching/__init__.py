"""Group commit: the requests that arrive while a batch is at the database make up the next batch.

This room knows nothing of seats or money. A room that writes gives it a `Decider` per kind of command.
"""

from boxoffice.batching.group_commit import Decider, GroupCommit, Limits, Pending, Retry, Verdict

__all__ = ["Decider", "GroupCommit", "Limits", "Pending", "Retry", "Verdict"]
