"""What the leader of the waiting rooms does: admission, the state in Valkey, the draw of the lobby."""
