"""What the measurements mean. Pure."""
