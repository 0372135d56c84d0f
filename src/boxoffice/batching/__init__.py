"""Group commit: the requests that arrive while a batch is at the database make up the next batch.

It does not import any feature. A module that writes provides a `BatchHandler` per kind of command.
"""

from boxoffice.batching.commands import (
    BatchHandler,
    GroupCommitLimits,
    Outcome,
    Pending,
    Retry,
)
from boxoffice.batching.group_commit import GroupCommit

__all__ = ["BatchHandler", "GroupCommit", "GroupCommitLimits", "Outcome", "Pending", "Retry"]
