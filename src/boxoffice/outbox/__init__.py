"""The transactional outbox, and the relay role that moves its events to a Valkey stream."""
