"""What may go wrong with a release."""


class ReleaseFailed(Exception):
    """A step of the release failed; the message is for people."""
