"""The embedded servers: binaries, data directory, processes."""
