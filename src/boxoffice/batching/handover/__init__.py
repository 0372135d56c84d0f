"""Workers of one machine that batch together: each schedule has one worker that collects its commands.

The others hand their commands over as arrays, one write per turn of the event loop, and get outcomes
back likewise. PostgreSQL decides as before, and a worker whose collector is slow or gone decides alone:
it forbids what the collector has not begun, looks up the rest, and decides what was not done.
It must never make an outcome depend on whether a command was handed over.
"""
