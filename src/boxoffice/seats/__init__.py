"""Live seat state: where seats are, what became of them, who is told, and how a map is encoded."""
