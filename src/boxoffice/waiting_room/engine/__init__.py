"""What the leader does: ticks, the queue state in Valkey, the draw of the lobby."""
