"""The server: listening, connections and their bounds, framing, and the fast path."""
