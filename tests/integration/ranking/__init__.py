"""Tests of the ranking on real servers."""
