"""Tests of brands on real servers."""
