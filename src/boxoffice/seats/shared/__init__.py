"""One reading of a schedule's seats for all processes, through Valkey."""
