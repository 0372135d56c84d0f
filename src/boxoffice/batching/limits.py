"""The limits of a group commit and of its connections, from the settings."""

from boxoffice.batching.commands import GroupCommitLimits
from boxoffice.batching.handover.link import HandOverLimits
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


def hand_over_limits(settings: BatchingSettings) -> HandOverLimits:
    """Return the limits of a connection between two workers."""
    return HandOverLimits(
        commands_max=settings.hand_over_commands_max,
        max_bytes=settings.hand_over_max_bytes,
        timeout_s=settings.hand_over_timeout_ms / 1000,
    )
