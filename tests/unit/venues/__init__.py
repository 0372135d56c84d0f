"""Tests of venues and their local times."""
