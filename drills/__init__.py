"""Drills: what an operator does on a bad day, done here with the real programs, and checked.

`make drills` runs all of them; each is one module of `drills/scenarios/`. A fault of a server or a
process during a sale is a scenario of `faults`; a drill is about an installation: its image, standby,
backup, release.
"""
