"""The live seats of a schedule: layout, states, refusals from memory, seat map, stream of changes."""
