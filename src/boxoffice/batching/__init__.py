"""Group commit: the requests that arrive while a batch is at the database make up the next batch.

It does not import any feature. A module that writes provides a `BatchHandler` per kind of command.
"""

from boxoffice.batching.group_commit import (
    BatchHandler,
    GroupCommit,
    Limits,
    Outcome,
    Pending,
    Retry,
)

__all__ = ["BatchHandler", "GroupCommit", "Limits", "Outcome", "Pending", "Retry"]
