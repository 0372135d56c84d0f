"""The event stream of a schedule's seats."""
