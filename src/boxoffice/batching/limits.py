"""The limits of a group commit, from the settings."""

from boxoffice.batching.commands import GroupCommitLimits
from boxoffice.settings import BatchingSettings


def batch_limits(settings: BatchingSettings) -> GroupCommitLimits:
    """Return the limits of a process's group commit."""
    return GroupCommitLimits(
        batch_max=settings.batch_max,
        batches_in_flight=settings.batches_in_flight,
        concurrent_min=settings.concurrent_batch_min,
        concurrent_after_s=settings.concurrent_batch_after_ms / 1000,
        queue_max=settings.batch_queue_max,
        wait_max_s=settings.batch_wait_max_ms / 1000,
        retry_after_max_s=settings.retry_after_max_s,
        retry_after_share_min=settings.retry_after_share_min_percent / 100,
        retry_for_s=settings.batch_retry_for_ms / 1000,
        unknown_outcome_timeout_s=settings.unknown_outcome_timeout_ms / 1000,
        isolation_timeout_s=settings.batch_isolation_timeout_ms / 1000,
    )
