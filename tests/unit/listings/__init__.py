"""Tests of lists of concerts without servers."""
