"""How a process starts, is supervised, and how many files it may open."""
