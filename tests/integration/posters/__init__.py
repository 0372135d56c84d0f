"""Tests of posters on real servers."""
