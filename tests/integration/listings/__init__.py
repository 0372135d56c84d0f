"""Tests of lists of concerts on real servers."""
