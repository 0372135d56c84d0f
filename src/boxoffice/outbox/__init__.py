"""Tells others what happened: the outbox, and the relay role that empties it into a stream."""
