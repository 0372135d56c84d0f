"""What the faults use: external database clients, abusive HTTP clients, floods, kills in flight."""
