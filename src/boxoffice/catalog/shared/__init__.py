"""Look-ups of concerts and schedules for all processes, through Valkey."""
