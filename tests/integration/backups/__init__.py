"""Tests of the archive, of stores, and of what follows a restore."""
