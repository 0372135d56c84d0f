"""Servers that drills, and the tests beside them, start: each in a folder of its own, on free ports."""
